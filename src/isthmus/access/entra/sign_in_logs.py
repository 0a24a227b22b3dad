"""Entra's own log of sign-ins, read every five minutes: what is about our sign-ins and their sessions is kept and joined.

Records come late, so that every reading goes back half an hour; a record that is known replaces itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from isthmus.access.directory_logs import Matched, ingest_sign_ins
from isthmus.access.entra import marks
from isthmus.access.entra.marks import Mark
from isthmus.clouds.azure.graph import Graph, GraphFault
from isthmus.engine import Engine
from isthmus.work import Timetable

OVERLAP: Final = 1_800_000
FIRST: Final = 86_400_000
"""How far back the first reading goes (ms)."""
WINDOW: Final = 3_600_000
"""The longest time that is read at once, so that what was read stays read when the next breaks."""
KINDS: Final = ("interactive", "nonInteractive")
_log = structlog.get_logger("isthmus.access")


@dataclass(frozen=True, kw_only=True)
class SignInLogs:
    """Reads them by Graph."""

    engine: Engine
    graph: Graph

    def timetable(self) -> Timetable:
        """Every five minutes; what fails is made up for by the next time."""
        return Timetable(name="graph-sign-ins", cron="45 */5 * * * *", run=self._planned)

    def read(self, kind: str) -> Matched:
        """Read one kind up to now, window after window. Raises GraphFault, after which what was read stays read."""
        now, name = self.engine.now(), f"sign-ins:{kind}"
        with self.engine.store.read() as connection:
            mark = marks.find(connection, name)
        reached = min(mark.until, now) if mark is not None and mark.until else now - FIRST
        total = Matched()
        while reached < now:
            until = min(reached + WINDOW, now)
            for page in self.graph.sign_ins(reached - OVERLAP, until, is_interactive=kind == "interactive"):
                with self.engine.store.begin() as connection:
                    total = _sum(total, ingest_sign_ins(connection, page))
            reached = until
            self._mark(Mark(name=name, until=reached, read_at=now))
        return total

    def _planned(self, _planned: datetime) -> None:
        for kind in KINDS:
            try:
                found = self.read(kind)
            except GraphFault as error:
                _log.error("sign_ins_not_read", kind=kind, reason=str(error))
                self._note_failure(f"sign-ins:{kind}", str(error))
            else:
                _log.info("sign_ins_read", kind=kind, by_token=found.by_token, by_session=found.by_session)

    def _mark(self, mark: Mark) -> None:
        with self.engine.store.begin() as connection:
            marks.keep(connection, mark)

    def _note_failure(self, name: str, told: str) -> None:
        with self.engine.store.begin() as connection:
            mark = marks.find(connection, name) or Mark(name=name, read_at=self.engine.now())
            marks.keep(connection, replace(mark, detail=told))


def _sum(one: Matched, other: Matched) -> Matched:
    return Matched(
        by_token=one.by_token + other.by_token,
        by_session=one.by_session + other.by_session,
        foreign=one.foreign + other.foreign,
        unreadable=one.unreadable + other.unreadable,
    )
