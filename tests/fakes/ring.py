"""A ring of one key."""

from __future__ import annotations

from isthmus.keys.signer import Signer, make_signer


class OneKey:
    """Signs with the same key for ever."""

    def __init__(self, key: Signer | None = None) -> None:
        self.key: Signer = key or make_signer()

    def signer(self) -> Signer:
        """The key."""
        return self.key
