"""The newest records of all accounts, in bounded memory."""

from collections import deque
from collections.abc import Iterator

from isthmus_lab.trail.entry import Entry

CAPACITY = 100_000
BODIES = 64 * 1024 * 1024
"""Most records that are kept, and most bytes of request bodies in them; the oldest go first, whatever their account."""


class Store:
    """Used on the event loop only."""

    def __init__(self, *, capacity: int = CAPACITY, bodies: int = BODIES) -> None:
        self._capacity, self._most_bytes, self._bytes = capacity, bodies, 0
        self._all: deque[Entry] = deque()
        self._places: dict[tuple[str, str], deque[Entry]] = {}

    def add(self, entry: Entry) -> None:
        """Keep a record; numbers rise."""
        self._all.append(entry)
        self._places.setdefault((entry.account, entry.region), deque()).append(entry)
        self._bytes += len(entry.request.body or b"")
        while len(self._all) > self._capacity or self._bytes > self._most_bytes:
            oldest = self._all.popleft()
            self._bytes -= len(oldest.request.body or b"")
            place = self._places[oldest.account, oldest.region]
            place.popleft()
            if not place:
                del self._places[oldest.account, oldest.region]

    def newest_first(self, account: str, region: str) -> Iterator[Entry]:
        """Records of a place."""
        return reversed(self._places.get((account, region), deque()))

    def since(self, account: str, number: int, at: float) -> list[Entry]:
        """Records of an account above a number, of calls at a moment (epoch seconds) or later, oldest first."""
        found = []
        for entry in reversed(self._all):
            if entry.number <= number:
                break
            if entry.account == account and entry.at >= at:
                found.append(entry)
        return found[::-1]

    def clear(self) -> None:
        """Forget everything."""
        self._all.clear()
        self._places.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._all)
