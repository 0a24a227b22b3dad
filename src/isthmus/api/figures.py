"""Figures of the installation for `/metrics`, read from the database when somebody looks, at most every ten seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from platform import python_version
from time import perf_counter
from typing import Any

from sqlalchemy import Connection, case, func, select

from isthmus.arm.errors import ArmError
from isthmus.engine.rows import from_row
from isthmus.metrics import Metrics, Sample
from isthmus.solutions.certificates import ACCESS_SOLUTIONS, seconds_left
from isthmus.store import Store
from isthmus.store.tables import audit_records, instances, operations, registrations, resources, scopes
from isthmus.tracing import PARENT, Tracing
from isthmus.work import Around, Backlog

_FRESH = 10.0
_PROJECTIONS = ("microsoft.awsconnector/", "microsoft.awsconnector0")
_CONNECTORS = "microsoft.hybridconnectivity/publiccloudconnectors"
_NO_GAPS = ("complete", "not-selected")


class Figures:
    """`backlog` answers the unfinished jobs, `clock` epoch seconds. While the database is away there are no figures, and that shows."""

    def __init__(self, store: Store, backlog: Callable[[], Sequence[Backlog]], clock: Callable[[], float]) -> None:
        self._store = store
        self._backlog = backlog
        self._clock = clock
        self._read_at = float("-inf")
        self._known: Mapping[str, Iterable[Sample]] = {}

    def read(self) -> Mapping[str, Iterable[Sample]]:
        """Samples by the name of their metric."""
        now = self._clock()
        if not 0 <= now - self._read_at < _FRESH:
            try:
                with self._store.read() as connection:
                    self._known = {**_counted(connection), **_certificates(connection, now), **_jobs(self._backlog(), now)}
            except ArmError:
                self._known = {}
            self._read_at = now
        return self._known


def _counted(connection: Connection) -> Mapping[str, Iterable[Sample]]:
    type = resources.c.type
    silent = case((registrations.c.silent_since.is_(None), "connected"), else_="disconnected")
    status = case((registrations.c.state == "enrolled", silent), else_=registrations.c.state)
    grouped = {
        "isthmus_gaps": select(scopes.c.outcome, func.count()).where(scopes.c.outcome.not_in(_NO_GAPS)).group_by(scopes.c.outcome),
        "isthmus_instances": select(instances.c.state, func.count()).group_by(instances.c.state),
        "isthmus_machines": select(status, func.count()).select_from(registrations).group_by(status),
    }
    single = {
        "isthmus_projections": select(func.count()).select_from(resources).where(type >= _PROJECTIONS[0], type < _PROJECTIONS[1]),
        "isthmus_connectors": select(func.count()).select_from(resources).where(type == _CONNECTORS),
        "isthmus_operations_running": select(func.count()).select_from(operations).where(operations.c.ended_at.is_(None)),
        "isthmus_audit_records": select(func.coalesce(func.max(audit_records.c.seq), 0)),
    }
    found: dict[str, Iterable[Sample]] = {
        name: [((str(label).lower(),), float(count)) for label, count in connection.execute(asked)] for name, asked in grouped.items()
    }
    return found | {name: [((), float(connection.execute(asked).scalar_one()))] for name, asked in single.items()}


def _certificates(connection: Connection, now: float) -> Mapping[str, Iterable[Sample]]:
    """Of each connector whose account trusts a directory by SAML."""
    found = []
    for row in connection.execute(select(resources).where(resources.c.unique_key.like(ACCESS_SOLUTIONS))):
        solution = from_row(row)
        left = seconds_left(solution.properties.get("federation"), int(now * 1000))
        if left is not None and solution.id.parent is not None:
            found.append(((solution.id.parent.key,), left))
    return {"isthmus_directory_certificate_seconds": found}


def _jobs(backlog: Sequence[Backlog], now: float) -> Mapping[str, Iterable[Sample]]:
    return {
        "isthmus_jobs": [((one.queue, one.state.lower()), float(one.count)) for one in backlog],
        "isthmus_oldest_job_seconds": [((one.queue,), max(0.0, now - one.oldest_at / 1000)) for one in backlog if one.state == "ENQUEUED"],
    }


def connect(
    metrics: Metrics,
    figures: Figures,
    *,
    store: Store,
    calls: Counter[tuple[str, str, str]],
    throttles: Counter[str],
    refusals: Counter[tuple[str, str]],
    key_ages: Callable[[], Mapping[str, tuple[float, float]]],
    certificates: Callable[[], Mapping[str, float]],
) -> None:
    """Join the metrics with what the process counts elsewhere: AWS calls by (service, operation, region), refusals by (action, code).

    `key_ages` says for each purpose how old its key is and in how many seconds the next is due, `certificates` in how many each ends.
    """
    store.watch(lambda seconds: metrics.time("isthmus_database_seconds", seconds))
    metrics.ask(figures.read)

    def read() -> Mapping[str, Iterable[Sample]]:
        by_operation: Counter[tuple[str, str]] = Counter()
        for (service, operation, _region), count in list(calls.items()):
            by_operation[service, operation] += count
        in_use, idle = store.connections
        ages = key_ages()
        return {
            "isthmus_build_info": [((version("isthmus"), python_version()), 1.0)],
            "isthmus_refusals_total": [(key, float(count)) for key, count in list(refusals.items())],
            "isthmus_aws_calls_total": [(key, float(count)) for key, count in by_operation.items()],
            "isthmus_aws_throttles_total": [((service,), float(count)) for service, count in list(throttles.items())],
            "isthmus_database_connections": [(("in_use",), float(in_use)), (("idle",), float(idle))],
            "isthmus_signing_key_age_seconds": [((purpose,), age) for purpose, (age, _) in ages.items()],
            "isthmus_signing_key_due_seconds": [((purpose,), due) for purpose, (_, due) in ages.items()],
            "isthmus_certificate_left_seconds": [((name,), left) for name, left in certificates().items()],
        }

    metrics.ask(read)


def timed(metrics: Metrics, tracing: Tracing | None) -> Around:
    """What measures every attempt of a job, and traces it below the request that ordered it."""

    @contextmanager
    def around(job: str, arguments: Mapping[str, Any]) -> Iterator[None]:
        began, outcome = perf_counter(), "failed"
        parent = str(arguments.get(PARENT, ""))
        try:
            with nullcontext() if tracing is None else tracing.span(job, "CONSUMER", {"isthmus.job": job}, parent=parent):
                yield
            outcome = "succeeded"
        finally:
            metrics.count("isthmus_job_attempts_total", job, outcome)
            metrics.time("isthmus_job_seconds", perf_counter() - began, job)

    return around


def note_scan(metrics: Metrics, tracing: Tracing | None) -> Callable[[str, float, Mapping[str, int]], None]:
    """What counts every scan that ended, and says so on the span of its job."""

    def note(status: str, seconds: float, outcomes: Mapping[str, int]) -> None:
        metrics.time("isthmus_scan_seconds", seconds, status)
        if tracing is not None:
            tracing.note({"isthmus.scan.status": status, **{f"isthmus.scan.scopes.{name}": count for name, count in outcomes.items()}})
        for outcome, count in outcomes.items():
            metrics.count("isthmus_scan_scopes_total", outcome, by=count)

    return note
