"""What operators see and do with workflows: list, retry, and the deletion of old history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from dbos import DBOSClient, WorkflowStatus
from sqlalchemy import BigInteger, Connection, String, column, func, select, table

from isthmus.arm.errors import ArmError, conflict
from isthmus.store.dialect import is_sqlite
from isthmus.work.engine import SCHEMA
from isthmus.work.jobs import FAILED, RUNNING, Backlog, JobCount, JobRecord

_FINISHED = ["SUCCESS", "ERROR", "CANCELLED"]
_BATCH = 1000
_DAY = 86_400.0


def list_records(client: DBOSClient, states: Sequence[str], *, limit: int, offset: int, newest_first: bool) -> list[JobRecord]:
    """Workflows in these states, in the order of their creation."""
    found = client.list_workflows(status=list(states), limit=limit, offset=offset, sort_desc=newest_first, load_input=False)
    return [_record(status) for status in found]


def find_record(client: DBOSClient, workflow_id: str) -> JobRecord | None:
    """The workflow of an id, None if there is no such."""
    found = client.list_workflows(workflow_ids=[workflow_id], load_input=False)
    return _record(found[0]) if found else None


def count_records(client: DBOSClient, states: Sequence[str]) -> list[JobCount]:
    """How many workflows of each name are in these states, most first. (The engine's public way is to list them all.)"""
    system: Any = client._sys_db
    table = system.tables.workflow_status
    columns = (table.c.name, func.count().label("number"), func.min(table.c.updated_at).label("since"))
    wanted = select(*columns).where(table.c.status.in_(list(states))).group_by(table.c.name)
    with system.engine.connect() as connection:
        found = connection.execute(wanted).all()
    counted = [JobCount(job=row.name, count=int(row.number), since=int(row.since or 0)) for row in found]
    return sorted(counted, key=lambda one: (-one.count, one.job))


def _record(status: WorkflowStatus) -> JobRecord:
    error = status.error
    if error is not None and not isinstance(error, ArmError):
        error = ArmError("InternalError", str(error), status=500)
    return JobRecord(
        id=status.workflow_id,
        job=status.name,
        queue=status.queue_name or "",
        state=status.status,
        executor=status.executor_id or "",
        created_at=status.created_at or 0,
        changed_at=status.updated_at or 0,
        recoveries=max(0, (status.recovery_attempts or 0) - 1),
        error=error,
    )


def count_unfinished(connection: Connection) -> list[Backlog]:
    """Unfinished workflows by queue and state, counted by the database: the engine's own way reads every one."""
    queue, state, created = column("queue_name", String), column("status", String), column("created_at", BigInteger)
    rows = table("workflow_status", queue, state, created, schema=None if is_sqlite(connection) else SCHEMA)
    asked = select(queue, state, func.count(), func.min(created)).select_from(rows).where(state.in_(RUNNING)).group_by(queue, state)
    return [Backlog(queue=row[0] or "", state=row[1], count=row[2], oldest_at=row[3]) for row in connection.execute(asked)]


def retry_record(client: DBOSClient, workflow_id: str) -> None:
    """Run a failed workflow again from its beginning, under its id. Raises ArmError 404 or, unless it failed, 409."""
    found = client.list_workflows(workflow_ids=[workflow_id], load_input=False, load_output=False)
    if not found:
        raise ArmError(
            "JobNotFound", f"There is no job '{workflow_id}'; finished ones are deleted after some days.", status=404, target=workflow_id
        )
    status = found[0]
    if status.status not in FAILED:
        raise conflict(f"The job '{workflow_id}' is {status.status}: only a failed one can be run again.", target=workflow_id)
    client.rewind_workflow(workflow_id, queue_name=status.queue_name, queue_partition_key=status.queue_partition_key)


def delete_old(
    client: DBOSClient, *, keep_days: float, clock: Callable[[], float], timetables: Sequence[str], active: Callable[[], bool]
) -> int:
    """Delete finished workflows older than `keep_days`, runs of timetables after one day; how many were deleted.

    Works in batches, a transaction each, and leaves the rest for next time when `active` says no.
    """
    deleted = 0
    for schedules, days in ((list(timetables), min(1.0, keep_days)), (None, keep_days)):
        if schedules == []:
            continue
        before = datetime.fromtimestamp(clock() - days * _DAY, UTC).isoformat()
        while active():
            old = client.list_workflows(
                status=_FINISHED, completed_before=before, schedule_name=schedules, limit=_BATCH, load_input=False, load_output=False
            )
            if not old:
                break
            client.delete_workflows([status.workflow_id for status in old])
            deleted += len(old)
    return deleted
