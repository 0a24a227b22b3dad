"""How many examples a property is tried on: all of them in `make test` (hypothesis profile `whole`), a tenth in `make test-fast` (`fast`),
many times as many in `make fuzz` (`long`, the environment's `FUZZ_TIMES`)."""

from __future__ import annotations

import os

from hypothesis import settings

WHOLE, FAST, LONG = "whole", "fast", "long"


def examples(number: int) -> int:
    """`number`, or a tenth of it and at least ten in the inner loop, or a multiple of it in the long run."""
    profile = settings.get_current_profile_name()
    if profile == LONG:
        return number * int(os.environ.get("FUZZ_TIMES", "50"))
    return max(10, number // 10) if profile == FAST else number
