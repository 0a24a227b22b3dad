"""A clock that tests set."""

from __future__ import annotations


class Clock:
    """Epoch seconds, called like `time.time`; starts at 2026-01-01T00:00:00Z and moves only by `advance` or by setting `now`."""

    def __init__(self, now: float = 1_767_225_600.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move forward."""
        self.now += seconds
