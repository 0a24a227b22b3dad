"""Durable work in this process: enqueueing, launching, stopping, and taking over from processes that died."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import structlog
from dbos import DBOS, EnqueueOptions
from sqlalchemy import Connection

from isthmus.store import Store, typed_outage
from isthmus.store.dialect import database_file
from isthmus.work import records
from isthmus.work.attempts import Activity, Around, nothing
from isthmus.work.claims import Claim, FileClaim, SessionClaim, try_lock, unlock
from isthmus.work.engine import build_client, build_engine, executor_name, migrate_engine, recover_executor
from isthmus.work.jobs import RUNNING, Arguments, Backlog, Job, JobCount, JobRecord, Queue, Timetable
from isthmus.work.workflows import ScheduledWorkflow, register_job, register_timetable

_log = structlog.get_logger("isthmus.work")

_LARGEST_ARGUMENTS = 4096
_RETENTION = "isthmus.retention"


def _exit_at_once() -> None:
    os._exit(70)


class Work:
    """The jobs, queues and timetables of this process; one per process at a time.

    Everything but `launch` and `reap` works without `launch`, once the engine's tables exist. When the database is locked or away,
    every method raises ArmError 503 (`enqueue` leaves that to the caller's `store.begin`).

    `executor` names this process (default: one name per SQLite file, a fresh one per process on PostgreSQL). `clock` is epoch seconds.
    `on_lost` is called when this process can no longer prove that it is alive (PostgreSQL); it must end the process, since others may
    repeat its steps from then on. `around` is entered for every attempt of a job, for those who measure.
    """

    def __init__(
        self,
        store: Store,
        *,
        jobs: Iterable[Job],
        queues: Iterable[Queue],
        timetables: Iterable[Timetable] = (),
        executor: str | None = None,
        clock: Callable[[], float],
        keep_days: float = 7.0,
        reap_seconds: float = 3.0,
        on_lost: Callable[[], None] = _exit_at_once,
        around: Around = nothing,
    ) -> None:
        self._store = store
        self._jobs = {job.name: job for job in jobs}
        self._queues = {queue.name: queue for queue in queues}
        for job in self._jobs.values():
            if job.queue not in self._queues:
                raise ValueError(f"job '{job.name}' wants the queue '{job.queue}', which is not declared")
        self._timetables = [*timetables, Timetable(name=_RETENTION, cron="0 23 * * * *", run=self.delete_old)]
        self._clock = clock
        self._keep_days = keep_days
        self._reap_seconds = reap_seconds
        self._file = database_file(store.engine)
        self.executor = executor or executor_name(store.engine)
        self._on_lost = on_lost
        self._around = around
        self._client = build_client(store)
        self._activity = Activity(self._around)
        self._claim: Claim | None = None
        self._reaper: threading.Thread | None = None

    def migrate(self) -> None:
        """Create or upgrade the engine's tables, so that `enqueue` works. `launch` does it too."""
        migrate_engine(self._client)

    def enqueue(
        self,
        connection: Connection,
        job: str,
        workflow_id: str,
        arguments: Arguments,
        *,
        delay_seconds: float = 0,
        partition: str | None = None,
    ) -> None:
        """See `Jobs.enqueue`. A partitioned queue needs `partition`, another one refuses it (ValueError)."""
        options = self._options(job, workflow_id, delay_seconds, partition)
        self._client.enqueue_in_transaction(connection, options, _checked(arguments))

    def _options(self, job: str, workflow_id: str, delay_seconds: float, partition: str | None) -> EnqueueOptions:
        if job not in self._jobs:
            raise ValueError(f"job '{job}' is not declared; known are {', '.join(sorted(self._jobs))}")
        queue = self._queues[self._jobs[job].queue]
        if queue.partitioned != (partition is not None):
            raise ValueError(f"queue '{queue.name}' {'needs a' if queue.partitioned else 'has no'} partition")
        options: EnqueueOptions = {"workflow_name": job, "queue_name": queue.name, "workflow_id": workflow_id}
        if delay_seconds > 0:
            options["delay_seconds"] = delay_seconds
        if partition is not None:
            options["queue_partition_key"] = partition
        return options

    def launch(self) -> None:
        """Claim the database, migrate the engine, take up what was left undone, and begin to work.

        Raises ArmError 409 when another process has the SQLite file (or this executor's name). Not to be called on an event loop's thread.
        """
        claim: Claim = FileClaim(self._file) if self._file else SessionClaim(self._store.engine, self.executor, on_lost=self._on_lost)
        with typed_outage():
            claim.take()
        self._claim = claim
        self._activity = Activity(self._around)
        try:
            with typed_outage():
                self._start()
        except BaseException:
            self.stop(timeout_seconds=0)
            raise

    def _start(self) -> None:
        migrate_engine(self._client)
        build_engine(self._store, self.executor)
        for job in self._jobs.values():
            register_job(job, clock=self._clock, activity=self._activity)
        schedules = {table.name: register_timetable(table, clock=self._clock, activity=self._activity) for table in self._timetables}
        for queue in self._queues.values():
            self._client.register_queue(
                queue.name,
                worker_concurrency=queue.worker_concurrency,
                partition_concurrency=1 if queue.partitioned else None,
                polling_interval_sec=queue.polling_seconds,
            )
        DBOS.listen_queues(list(self._queues))
        DBOS.launch()
        self._apply_timetables(schedules)
        if self._file is None:
            self._reaper = threading.Thread(target=self._reap_for_ever, args=(self._activity,), name="isthmus-reaper", daemon=True)
            self._reaper.start()

    def _apply_timetables(self, workflows: dict[str, ScheduledWorkflow]) -> None:
        for known in DBOS.list_schedules():
            if known["schedule_name"] not in workflows:
                DBOS.delete_schedule(known["schedule_name"])
        DBOS.apply_schedules(
            [{"schedule_name": table.name, "workflow_fn": workflows[table.name], "schedule": table.cron} for table in self._timetables]
        )

    @property
    def is_running(self) -> bool:
        """Whether this process has launched its work and not stopped it."""
        return self._claim is not None and not self._activity.stopping.is_set()

    def stop(self, *, timeout_seconds: float = 20.0) -> None:
        """Take no more work, let running steps end (at most `timeout_seconds`), give the database back. Safe to repeat.

        What is not finished is taken up by the next process.
        """
        if self._claim is None:
            return
        self._activity.stopping.set()
        if self._reaper is not None:
            self._reaper.join(timeout=10)
            self._reaper = None
        wait = math.ceil(timeout_seconds) if self._activity.running else 0
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=wait)
        self._claim.give_back()
        self._claim = None

    def _reap_for_ever(self, activity: Activity) -> None:
        while True:
            try:
                self.reap()
            except Exception as error:  # noqa: BLE001 - the border of a job: a database that is away now must not end the reaper
                _log.warning("cannot look for dead processes", error=type(error).__name__)
            if activity.stopping.wait(self._reap_seconds):
                return

    def reap(self) -> None:
        """Put the work of processes that died back on its queues (PostgreSQL; runs by itself every few seconds)."""
        pending = self._client.list_workflows(status="PENDING", load_input=False, load_output=False)
        for executor in {status.executor_id for status in pending if status.executor_id} - {self.executor}:
            with self._store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                if try_lock(connection, executor):
                    try:
                        _log.warning("taking over the work of a process that ended", executor=executor)
                        recover_executor(executor)
                    finally:
                        unlock(connection, executor)

    def state(self, workflow_id: str) -> str | None:
        """The engine's word for the workflow's state, None if there is no such workflow."""
        with typed_outage():
            found = self._client.list_workflows(workflow_ids=[workflow_id], load_input=False, load_output=False)
        return found[0].status if found else None

    def list(self, states: Sequence[str] = RUNNING, *, limit: int = 100, offset: int = 0, newest_first: bool = True) -> list[JobRecord]:
        """Workflows in these states, in the order of their creation. `RUNNING` and `FAILED` name the usual sets."""
        with typed_outage():
            return records.list_records(self._client, states, limit=limit, offset=offset, newest_first=newest_first)

    def counts(self, states: Sequence[str]) -> Sequence[JobCount]:
        """How many workflows of each job are in these states, most first."""
        with typed_outage():
            return records.count_records(self._client, states)

    def find(self, workflow_id: str) -> JobRecord | None:
        """The workflow of an id, None if there is no such."""
        with typed_outage():
            return records.find_record(self._client, workflow_id)

    def backlog(self) -> Sequence[Backlog]:
        """Unfinished workflows by queue and state."""
        with self._store.read() as connection:
            return records.count_unfinished(connection)

    def retry(self, workflow_id: str) -> None:
        """Run a failed workflow again under its id. Raises ArmError 404 when it is unknown, 409 unless it failed."""
        with typed_outage():
            records.retry_record(self._client, workflow_id)

    def delete_old(self, _planned: datetime | None = None) -> None:
        """Delete finished workflows older than `keep_days` (runs of timetables after a day); runs by itself every hour."""
        names = [table.name for table in self._timetables]
        deleted = records.delete_old(
            self._client,
            keep_days=self._keep_days,
            clock=self._clock,
            timetables=names,
            active=lambda: not self._activity.stopping.is_set(),
        )
        if deleted:
            _log.info("old jobs deleted", count=deleted)


def _checked(arguments: Arguments) -> dict[str, str | int | float | bool]:
    for name, value in arguments.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float | bool):
            raise ValueError(
                f"job argument '{name}' is a {type(value).__name__}: only strings, numbers and booleans may be stored with a job"
            )
    checked = dict(arguments)
    size = len(json.dumps(checked, allow_nan=False))
    if size > _LARGEST_ARGUMENTS:
        raise ValueError(f"job arguments are {size} characters of JSON, more than {_LARGEST_ARGUMENTS}: store the data and pass its name")
    return checked
