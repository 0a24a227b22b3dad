"""Refusals of callers that nobody knows: counted in memory and written in bulk, or anybody could fill the chain for ever."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.audit.chain import Record, append
from isthmus.store import Store

_Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Counted:
    """The last refusal of a key, how many were not written yet, and when (epoch seconds) one was written last."""

    last: Record
    waiting: int
    written_at: float


class Refusals:
    """At most one record in `every` seconds per action and code: the first at once, the others as a count (`detail.count`) later.

    Actions and codes are literals of this program, so the counts are bounded. `settle` is called now and then, `flush` at the end;
    what a killed process had counted is lost. `counts` are all refusals of this process by action and code.
    """

    def __init__(self, store: Store, clock: Callable[[], float], *, every: float = 60.0) -> None:
        self._store = store
        self._clock = clock
        self._every = every
        self._counted: dict[_Key, _Counted] = {}
        self._lock = threading.Lock()
        self.counts: Counter[_Key] = Counter()

    def refuse(self, actor: Actor, action: str, target: str, error: ArmError) -> None:
        """Count a refusal. A write that fails raises, and the count stays."""
        record = Record(
            at=int(self._clock() * 1000),
            actor=actor.id,
            action=action,
            target=target[:2048],
            outcome="refused",
            detail={"code": error.code, "status": error.status},
            correlation=actor.correlation,
        )
        key = (action, error.code)
        with self._lock:
            self.counts[key] += 1
            known = self._counted.get(key, _Counted(last=record, waiting=0, written_at=float("-inf")))
            self._counted[key] = replace(known, last=record, waiting=known.waiting + 1)
        self._write((key,), due_only=True)

    def settle(self) -> None:
        """Write every count whose time has come."""
        self._write(None, due_only=True)

    def flush(self) -> None:
        """Write every count."""
        self._write(None, due_only=False)

    def _write(self, keys: Sequence[_Key] | None, *, due_only: bool) -> None:
        taken = self._take(keys, due_only=due_only)
        if not taken:
            return
        records = [replace(one.last, detail={**one.last.detail, "count": one.waiting}) for one in taken.values()]
        try:
            with self._store.begin() as connection:
                append(connection, records)
        except BaseException:
            self._give_back(taken)
            raise

    def _take(self, keys: Sequence[_Key] | None, *, due_only: bool) -> dict[_Key, _Counted]:
        """What is to be written now. It counts as written at once, so that no two threads write the same."""
        now = self._clock()
        with self._lock:
            taken = {key: one for key in keys or self._counted if (one := self._counted[key]).waiting}
            if due_only:
                # A clock that was set back does not hold counts up.
                taken = {key: one for key, one in taken.items() if not 0 <= now - one.written_at < self._every}
            self._counted |= {key: replace(one, waiting=0, written_at=now) for key, one in taken.items()}
        return taken

    def _give_back(self, taken: dict[_Key, _Counted]) -> None:
        with self._lock:
            for key, one in taken.items():
                self._counted[key] = replace(
                    self._counted[key], waiting=self._counted[key].waiting + one.waiting, written_at=one.written_at
                )
