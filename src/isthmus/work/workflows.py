"""The workflow of a job and of a timetable, registered with the engine under their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from dbos import DBOS

from isthmus.arm.errors import ArmError
from isthmus.work.attempts import Activity, repeat
from isthmus.work.jobs import Job, Timetable

# A workflow that kills its process is given up after so many recoveries.
_MOST_RECOVERIES = 20
_CALLBACK_ATTEMPTS = 5

ScheduledWorkflow = Callable[[datetime, Any], None]


def register_job(job: Job, *, clock: Callable[[], float], activity: Activity) -> None:
    """Make the job known to the engine; before launch, so that recovery finds it."""

    def body(arguments: dict[str, Any]) -> Mapping[str, Any] | None:
        def act() -> Mapping[str, Any] | None:
            with activity.around(job.name, arguments):
                return job.run(arguments)

        outcome = repeat(
            "run",
            act,
            attempts=job.attempts,
            interval_seconds=job.interval_seconds,
            backoff=job.backoff,
            clock=clock,
            activity=activity,
        )
        if "error" not in outcome:
            result: Mapping[str, Any] | None = outcome["result"]
            return result
        error: ArmError = outcome["error"]
        if job.failed is not None:
            _tell(job, job.failed, arguments, error, clock=clock, activity=activity)
        raise error

    DBOS.workflow(name=job.name, max_recovery_attempts=_MOST_RECOVERIES)(body)


def _tell(
    job: Job,
    failed: Callable[[Mapping[str, Any], ArmError], None],
    arguments: Mapping[str, Any],
    error: ArmError,
    *,
    clock: Callable[[], float],
    activity: Activity,
) -> None:
    repeat(
        "failed",
        lambda: failed(arguments, error),
        attempts=_CALLBACK_ATTEMPTS,
        interval_seconds=job.interval_seconds,
        backoff=job.backoff,
        clock=clock,
        activity=activity,
    )


def register_timetable(timetable: Timetable, *, clock: Callable[[], float], activity: Activity) -> ScheduledWorkflow:
    """Make the timetable's workflow known to the engine and answer it; its schedule is applied after launch."""

    def body(planned: datetime, _context: Any) -> None:
        def act() -> None:
            with activity.around(f"timetable.{timetable.name}", {}):
                timetable.run(planned)

        outcome = repeat("run", act, attempts=3, interval_seconds=1.0, backoff=2.0, clock=clock, activity=activity)
        if "error" in outcome:
            raise outcome["error"]

    return DBOS.workflow(name=f"timetable.{timetable.name}", max_recovery_attempts=_MOST_RECOVERIES)(body)
