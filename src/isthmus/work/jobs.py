"""What is declared about durable work: jobs, queues, timetables. Data only; their owners write them, `app` hands them to `Work`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from isthmus.arm.errors import ArmError

RUNNING = ("ENQUEUED", "DELAYED", "PENDING")
"""States of workflows that are still to end."""
FAILED = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
"""States of workflows that ended without having done their work."""
ENDED = ("SUCCESS",)
"""States of workflows that did it."""

Arguments = Mapping[str, Any]
"""Strings, numbers and booleans by name, at most 4 KB as JSON. They lie in the database in clear: names of things, never secrets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One kind of work: one step, repeated until it succeeds, its error is final, or its attempts are used up.

    `run` gets the arguments and answers small JSON or None. It may run more than once for one workflow (a process can die after the
    effect and before the record), so every effect is idempotent or checked first. An `ArmError` with a 4xx status, except 408 and 429,
    is final; anything else is tried again after `interval_seconds`, then that times `backoff`, and so on (at most 60 s apart; an
    error's own `retry_after` counts if longer). `failed` is told the last error when nothing more will be tried; idempotent as well.
    """

    name: str
    queue: str
    run: Callable[[Arguments], Mapping[str, Any] | None]
    failed: Callable[[Arguments, ArmError], None] | None = None
    attempts: int = 5
    interval_seconds: float = 2.0
    backoff: float = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """A line of jobs. `worker_concurrency` bounds how many run at once in one process (None: no bound).

    A partitioned queue runs one job at a time per partition key, over all processes. `polling_seconds` is the longest an idle queue
    sleeps before it sees a new job: 0.2 where a person waits (about 1 % of a core), 1.0 elsewhere (a fifth of that).
    """

    name: str
    worker_concurrency: int | None
    partitioned: bool = False
    polling_seconds: float = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Timetable:
    """`run` is called with the planned time (UTC) whenever `cron` (six fields, seconds first, UTC) matches, once over all processes.

    Times missed while no process ran are not made up for, and a start may be late by a tenth of the interval (at most 10 s): enqueue
    whatever is due by now, with ids that carry the slot.
    """

    name: str
    cron: str
    run: Callable[[datetime], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """One workflow as operators see it. Times are epoch milliseconds; `state` is one of the engine's words (ENQUEUED, PENDING, …)."""

    id: str
    job: str
    queue: str
    state: str
    executor: str
    created_at: int
    changed_at: int
    recoveries: int
    error: ArmError | None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobCount:
    """How many workflows of one job there are; `since` is when the first of them changed last (epoch milliseconds)."""

    job: str
    count: int
    since: int


class JobBook(Protocol):
    """What those who show jobs need of durable work. Every method raises ArmError 503 when the database is away."""

    def list(self, states: Sequence[str], *, limit: int, offset: int, newest_first: bool) -> Sequence[JobRecord]:
        """Workflows in these states, in the order of their creation."""
        ...

    def counts(self, states: Sequence[str]) -> Sequence[JobCount]:
        """How many there are in these states by job, most first."""
        ...

    def find(self, workflow_id: str) -> JobRecord | None:
        """One of them, None if there is no such."""
        ...

    def retry(self, workflow_id: str) -> None:
        """Run a failed one again under its id; ArmError 404 when it is unknown, 409 unless it failed."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """Unfinished jobs of one queue in one state: how many, and when (epoch milliseconds) the oldest was ordered."""

    queue: str
    state: str
    count: int
    oldest_at: int


class Jobs(Protocol):
    """What writers of the store need of durable work."""

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
        """Queue the job in the caller's transaction: it exists if and only if that commits. An id that exists already is left alone.

        Raises ValueError for an unknown job or for arguments that are not small plain JSON, ArmError 503 when the database is away.
        """
        ...
