"""What people did long ago is forgotten: events of trails, then the sessions, grants and requests that no kept event needs.

Events go from the oldest on, up to a checkpoint that the second store has; the cut is recorded in the chain before the first one goes. So
the proof begins behind it and says so. Without a second store no event goes: nobody could tell a cut from a theft.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Table, delete, exists, func, select, tuple_

from isthmus.arm.change import Change
from isthmus.arm.types import Actor
from isthmus.audit.cuts import ACTION
from isthmus.engine import Engine
from isthmus.store.tables import (
    access_grants,
    access_requests,
    access_sessions,
    audit_checkpoints,
    sign_in_logs,
    trail_events,
    trail_files,
    trail_machines,
    trail_sessions,
    trail_use,
)
from isthmus.work import Timetable

SLICE: Final = 1_000
"""Rows that one transaction deletes."""
SPARE: Final = 2 * 86_400_000
"""How much longer than its events a session stays known (ms): the longest session of a role and what comes late."""
_DAY = 86_400_000
_ACTOR = Actor(id="isthmus:retention", kind="Application", name="Isthmus retention")


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """Deletes what happened more than `keep_days` ago."""

    engine: Engine
    keep_days: float

    def timetable(self) -> Timetable:
        """Daily, at night."""
        return Timetable(name="trail-retention", cron="0 23 3 * * *", run=self.delete_old)

    def delete_old(self, _planned: datetime) -> None:
        """Delete in slices, each a transaction of its own. What a crash leaves is done the next time."""
        before = int(self.engine.now() - self.keep_days * _DAY)
        grants, sessions, requests = access_grants.c, access_sessions.c, access_requests.c
        events, made = trail_events.c, trail_sessions.c
        ended = func.coalesce(grants.ended_at, grants.ends_at) < before
        reason = exists().where(grants.mapping == requests.mapping, grants.because == "request:" + requests.id)
        counted = {
            "events": self._cut(before),
            "sign_in_logs": self._delete(sign_in_logs, sign_in_logs.c.at < before),
            "files": self._delete(trail_files, trail_files.c.at < before),
            "trail_sessions": self._delete(trail_sessions, made.began_at < before - SPARE, *_unused(made.id)),
            "sessions": self._delete(access_sessions, sessions.lease_until < before - SPARE, *_unused(sessions.id)),
            "grants": self._delete(access_grants, ended, ~_any(sessions.grant == grants.id), ~_any(events.grant == grants.id)),
            "use": self._delete(trail_use, trail_use.c.last_at < before, ~_any(grants.id == trail_use.c.grant)),
            "requests": self._delete(access_requests, requests.state != "Pending", requests.expires_at < before, ~reason),
        }
        if any(counted.values()):
            structlog.get_logger("isthmus.trail").info("old_trail_deleted", **counted)

    def _cut(self, before: int) -> int:
        """Delete events up to the newest anchored checkpoint that is old enough."""
        table = audit_checkpoints.c
        anchored = (table.tree == "trail", table.at < before, table.anchored_at.is_not(None))
        with self.engine.store.begin() as connection:
            until = connection.execute(select(func.max(table.size)).where(*anchored)).scalar()
            first = connection.execute(select(func.min(trail_events.c.seq))).scalar()
            if until is None or first is None or first > until:
                return 0
            # Recorded before the first one goes: a cut that nobody wrote down is a theft.
            detail = {"from": first, "until": until, "keepDays": self.keep_days}
            self.engine.apply_within(connection, Change(detail=detail), _ACTOR, ACTION, "/")
        for start in range(first, until + 1, SLICE):
            end = min(start + SLICE - 1, until)
            with self.engine.store.begin() as connection:
                for row in (trail_machines.c.seq, trail_events.c.seq):
                    connection.execute(delete(row.table).where(row.between(start, end)))
        return int(until - first + 1)

    def _delete(self, table: Table, *wanted: ColumnElement[bool]) -> int:
        keys = tuple(table.primary_key.columns)
        count = 0
        while True:
            with self.engine.store.begin() as connection:
                old = [tuple(row) for row in connection.execute(select(*keys).where(*wanted).limit(SLICE))]
                for chosen in _chosen(keys, old):
                    connection.execute(delete(table).where(chosen))
            count += len(old)
            if len(old) < SLICE:
                return count


def _chosen(keys: tuple[Any, ...], rows: list[tuple[Any, ...]]) -> Iterable[ColumnElement[bool]]:
    for start in range(0, len(rows), 200):
        part = rows[start : start + 200]
        yield keys[0].in_([row[0] for row in part]) if len(keys) == 1 else tuple_(*keys).in_(part)


def _unused(key: ColumnElement[str]) -> tuple[ColumnElement[bool], ...]:
    """That no kept event is of a session, or of one that was made with it."""
    events = trail_events.c
    return ~_any(events.session == key), ~_any(events.access_key == key), ~_any(events.made == key)


def _any(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(condition)
