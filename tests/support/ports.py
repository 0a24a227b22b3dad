"""Ports of servers that tests stop and start again."""

from __future__ import annotations

import os
import random
from contextlib import suppress

from isthmus_lab.environment import listen

_WORKERS = 16
_given: set[int] = set()


def lasting_port() -> int:
    """A port that stays free while its server is down: below those that systems give away by themselves (RFC 6335, Linux from 32768).

    It is given once: nobody else in this process gets it, and workers of one run choose among ports of their own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    while True:
        port = random.randrange(20_000 + worker, 32_000, _WORKERS)
        if port in _given:
            continue
        with suppress(OSError), listen(port, exact=True):
            _given.add(port)
            return port
