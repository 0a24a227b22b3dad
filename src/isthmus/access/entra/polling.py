"""Asking Graph every few seconds what changed: the floor under notifications, which may come late or never.

What is told becomes checks of people in the transaction that notes how far was read, so nothing is told in vain. Where Graph no longer
knows how far that was, or begins for the first time, everybody whom it may concern is checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from isthmus.access.entra import marks
from isthmus.access.entra.checking import QUEUE, Checks
from isthmus.access.entra.marks import Mark
from isthmus.access.entra.watching import NESTED, Watching
from isthmus.clouds.azure.graph import PER_CURSOR, Changes, Graph, GraphFault, GraphGone
from isthmus.engine import Engine
from isthmus.work import Arguments, Job, Timetable

POLL: Final = "access.entra.poll"
USERS, GROUPS = "users", "groups:"
_log = structlog.get_logger("isthmus.access")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Told:
    """What one question brought: how far it was read, whom it is about, who of them is disabled or deleted, everybody or not, and whether
    groups within groups changed."""

    mark: Mark
    people: frozenset[str] = frozenset()
    departed: frozenset[str] = frozenset()
    is_everybody: bool = False
    is_nesting: bool = False


@dataclass(frozen=True, kw_only=True)
class Polling:
    """Asks every `seconds`, which divide a minute, and whenever somebody hints that there is something."""

    engine: Engine
    graph: Graph
    watching: Watching
    checks: Checks
    seconds: int

    def timetable(self) -> Timetable:
        """Asks directly, since nothing else waits for it."""
        return Timetable(name="graph-changes", cron=f"*/{self.seconds} * * * * *", run=self._planned)

    def job(self) -> Job:
        """Asks at once; no arguments. What fails is made up for by the timetable."""
        return Job(name=POLL, queue=QUEUE, run=self._run, attempts=1)

    def poll(self) -> int:
        """Ask once; how many checks were ordered. Raises GraphFault: what was not noted as read is asked for again."""
        told = [self._users()]
        try:
            told += self._groups()
        finally:
            ordered = self._take(told)
        return ordered

    def _planned(self, _planned: datetime) -> None:
        self._run({})

    def _run(self, _arguments: Arguments) -> None:
        try:
            self.poll()
        except GraphFault as error:
            _log.error("graph_not_asked", reason=str(error))
            self._note_failure(str(error))

    def _users(self) -> _Told:
        with self.engine.store.read() as connection:
            mark = marks.find(connection, USERS)
        changes, is_whole = self._ask(self.graph.changed_users, mark)
        new = Mark(name=USERS, link=changes.link, read_at=self.engine.now())
        # In a reading of everything, who left long ago is no news.
        departed = frozenset[str]() if is_whole else changes.disabled | changes.removed
        return _Told(mark=new, people=changes.touched | changes.removed, departed=departed, is_everybody=is_whole)

    def _groups(self) -> list[_Told]:
        told = []
        for mark in self._cursors(self.watching.groups()):
            changes, is_whole = self._ask(partial(self.graph.changed_groups, mark.covers), mark)
            others = [member for member in changes.members if member.is_user is not True]
            # Through a group in a group whole crowds come and go, and a deleted group tells nothing of its members.
            is_crowd = any(member.is_removed for member in others) or bool(changes.removed & mark.covers)
            new = Mark(name=mark.name, covers=mark.covers, link=changes.link, read_at=self.engine.now())
            gone = frozenset(member.id for member in changes.members if member.is_removed)
            told.append(_Told(mark=new, people=gone, is_everybody=is_whole or is_crowd, is_nesting=bool(others) and not is_whole))
        return told

    def _ask(self, ask: Callable[[str], Changes], mark: Mark | None) -> tuple[Changes, bool]:
        """Changes since the mark, and whether that is not known so that everybody counts as changed."""
        if mark is not None and mark.link:
            try:
                return ask(mark.link), False
            except GraphGone as error:
                _log.warning("graph_begins_anew", name=mark.name, reason=str(error))
        return ask(""), True

    def _take(self, told: Sequence[_Told]) -> int:
        now = self.engine.now()
        with self.engine.store.begin() as connection:
            for one in told:
                marks.keep(connection, one.mark)
            if any(one.is_nesting for one in told):
                marks.drop(connection, [NESTED])
            due = marks.take_due(connection)
            departed = frozenset[str]().union(*(one.departed for one in told), due.covers if due else ())
            if due or any(one.is_everybody for one in told):
                return len(self.checks.order_everybody(connection, by="resync", noticed=now, departed=departed))
            people = frozenset[str]().union(*(one.people for one in told))
            return len(self.checks.order(connection, people, by="poll", noticed=now, departed=departed))

    def _cursors(self, watched: frozenset[str]) -> Sequence[Mark]:
        """A mark for each group that matters: old ones as they are, so that nothing is read twice, new ones for the rest."""
        with self.engine.store.begin() as connection:
            held = marks.beginning(connection, GROUPS)
            marks.drop(connection, [mark.name for mark in held if not mark.covers & watched])
            kept = [mark for mark in held if mark.covers & watched]
            rest = sorted(watched - frozenset[str]().union(*(mark.covers for mark in kept)))
        parts = [rest[start : start + PER_CURSOR] for start in range(0, len(rest), PER_CURSOR)]
        return [*kept, *(Mark(name=_name(part), covers=frozenset(part), read_at=0) for part in parts)]

    def _note_failure(self, told: str) -> None:
        with self.engine.store.begin() as connection:
            mark = marks.find(connection, USERS)
            if mark is not None:
                marks.keep(connection, Mark(name=USERS, link=mark.link, read_at=mark.read_at, detail=told))


def _name(groups: Sequence[str]) -> str:
    return GROUPS + hashlib.sha256(" ".join(groups).encode()).hexdigest()[:32]
