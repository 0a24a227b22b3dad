"""How many examples a property is tried on: all of them in `make test`, a tenth in `make test-fast` (hypothesis profile `fast`), and
twenty times as many where somebody looks for trouble (`--hypothesis-profile=thorough`)."""

from __future__ import annotations

from hypothesis import settings

FAST, THOROUGH = "fast", "thorough"


def examples(number: int) -> int:
    """`number`, or a tenth of it and at least ten in the inner loop, or twenty times as many."""
    if settings.get_current_profile_name() == THOROUGH:
        return number * 20
    return max(10, number // 10) if settings.get_current_profile_name() == FAST else number
