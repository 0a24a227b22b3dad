"""What happened long ago is forgotten: ended operations, changes of resources, and scans beyond the newest of each solution, sign-ins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, Table, delete, exists, func, select

from isthmus.engine import Engine
from isthmus.store.tables import access_sessions, operations, refresh_tokens, resource_changes, scans, sign_in_codes, sign_ins
from isthmus.work import Timetable

NEWEST_SCANS = 50
"""Scans that every solution keeps, however old they are."""
_DAY = 86_400_000
_BATCH = 500
_IS_EVIDENCE = exists().where(access_sessions.c.person == sign_ins.c.object_id, access_sessions.c.sign_in == sign_ins.c.id)
"""A session in an account stands on it: it is kept as long as that."""


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Deletes what ended or happened more than `keep_days` ago."""

    engine: Engine
    keep_days: float

    def timetable(self) -> Timetable:
        """Hourly."""
        return Timetable(name="retention", cron="0 41 * * * *", run=self.delete_old)

    def delete_old(self, _planned: datetime) -> None:
        """Delete in batches, each a transaction of its own, so that nobody waits long for a writer."""
        before = int(self.engine.now() - self.keep_days * _DAY)
        counted = {
            "operations": self._delete(operations, operations.c.ended_at < before),
            "scans": self._delete_scans(before),
            "changes": self._delete(resource_changes, resource_changes.c.at < before),
            "sign_ins": self._delete(sign_ins, sign_ins.c.ends_at < before, ~_IS_EVIDENCE),
            "codes": self._delete(sign_in_codes, sign_in_codes.c.expires_at < before),
            "refresh_tokens": self._delete(refresh_tokens, refresh_tokens.c.expires_at < before),
        }
        if any(counted.values()):
            structlog.get_logger().info("old_history_deleted", **counted)

    def _delete_scans(self, before: int) -> int:
        turn = func.row_number().over(partition_by=scans.c.solution, order_by=(scans.c.started_at.desc(), scans.c.id.desc()))
        ranked = select(scans.c.id, turn.label("turn")).subquery()
        beyond = select(ranked.c.id).where(ranked.c.turn > NEWEST_SCANS)
        return self._delete(scans, scans.c.ended_at < before, scans.c.id.in_(beyond))

    def _delete(self, table: Table, *wanted: ColumnElement[bool]) -> int:
        count, key = 0, next(iter(table.primary_key.columns))
        while True:
            with self.engine.store.begin() as connection:
                old = list(connection.execute(select(key).where(*wanted).order_by(key).limit(_BATCH)).scalars())
                if old:
                    connection.execute(delete(table).where(key.in_(old)))
            count += len(old)
            if len(old) < _BATCH:
                return count
