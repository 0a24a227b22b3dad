"""Every metric: name with unit, kind, labels, meaning. The reference page and the tests of the dashboard derive from here.

Metrics of a process are its own: sum them over processes. Metrics of the installation are read from the shared database, so every process
says the same: take the maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Sample = tuple[Sequence[str], float]
Ask = Callable[[], Mapping[str, Iterable[Sample]]]

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LONG = (0.05, 0.25, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """One metric. `whole` says that it speaks of the installation and not of one process. `buckets` are for histograms."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    whole: bool = False
    buckets: tuple[float, ...] = ()


METRICS: tuple[Declared, ...] = (
    Declared(name="isthmus_build_info", kind="gauge", help="1, with the version that runs", labels=("version", "python")),
    Declared(name="isthmus_http_requests_total", kind="counter", help="Requests answered", labels=("method", "status")),
    Declared(name="isthmus_http_request_seconds", kind="histogram", help="Time to answer", labels=("method",), buckets=_QUICK),
    Declared(name="isthmus_refusals_total", kind="counter", help="Sign-ins and enrolments of strangers refused", labels=("action", "code")),
    Declared(name="isthmus_break_glass_total", kind="counter", help="Roles given by breaking the glass"),
    Declared(name="isthmus_job_attempts_total", kind="counter", help="Attempts of jobs that ended", labels=("job", "outcome")),
    Declared(name="isthmus_job_seconds", kind="histogram", help="Time of one attempt", labels=("job",), buckets=_LONG),
    Declared(name="isthmus_scan_seconds", kind="histogram", help="Time from start to end of scans", labels=("status",), buckets=_LONG),
    Declared(name="isthmus_scan_scopes_total", kind="counter", help="Scopes of ended scans", labels=("outcome",)),
    Declared(name="isthmus_aws_calls_total", kind="counter", help="Requests sent to AWS", labels=("service", "operation")),
    Declared(name="isthmus_aws_throttles_total", kind="counter", help="Requests that AWS throttled", labels=("service",)),
    Declared(name="isthmus_graph_calls_total", kind="counter", help="Requests sent to Microsoft Graph", labels=("call", "outcome")),
    Declared(name="isthmus_database_seconds", kind="histogram", help="Time of one statement", buckets=_QUICK),
    Declared(name="isthmus_database_connections", kind="gauge", help="Connections of the pool", labels=("state",)),
    Declared(name="isthmus_signing_key_age_seconds", kind="gauge", help="Age of the key that signs", labels=("purpose",)),
    Declared(
        name="isthmus_signing_key_due_seconds",
        kind="gauge",
        help="Time until the next key is due to sign; below 0 something holds it up",
        labels=("purpose",),
    ),
    Declared(
        name="isthmus_certificate_left_seconds",
        kind="gauge",
        help="Time until a certificate of our own CA ends",
        labels=("certificate",),
    ),
    Declared(name="isthmus_jobs", kind="gauge", help="Unfinished jobs", labels=("queue", "state"), whole=True),
    Declared(name="isthmus_oldest_job_seconds", kind="gauge", help="Age of the oldest job that waits", labels=("queue",), whole=True),
    Declared(name="isthmus_operations_running", kind="gauge", help="Operations that have not ended", whole=True),
    Declared(name="isthmus_connectors", kind="gauge", help="Connectors", whole=True),
    Declared(name="isthmus_projections", kind="gauge", help="AWS resources in the inventory", whole=True),
    Declared(name="isthmus_gaps", kind="gauge", help="Scopes that the last scans could not list", labels=("outcome",), whole=True),
    Declared(name="isthmus_instances", kind="gauge", help="EC2 instances by what onboarding made of them", labels=("state",), whole=True),
    Declared(name="isthmus_machines", kind="gauge", help="Registered machines", labels=("status",), whole=True),
    Declared(
        name="isthmus_directory_certificate_seconds",
        kind="gauge",
        help="Time until the first certificate of an account's directory (SAML) expires",
        labels=("connector",),
        whole=True,
    ),
    Declared(name="isthmus_audit_records", kind="gauge", help="Records of the audit chain", whole=True),
)
PROCESS: Mapping[str, str] = {
    "process_cpu_seconds_total": "Processor time, user and system",
    "process_resident_memory_bytes": "Memory in RAM",
    "process_virtual_memory_bytes": "Address space",
    "process_open_fds": "Open file descriptors",
    "process_max_fds": "Most file descriptors that may be open",
    "process_start_time_seconds": "Start, in seconds since 1970",
}
"""What prometheus-client measures of every process on Linux."""


class Metrics:
    """The metrics of one process: those that it counts itself, and those that it asks for when somebody looks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._asked: list[Ask] = []
        for one in METRICS:
            if one.kind == "histogram":
                self._histograms[one.name] = Histogram(one.name, one.help, one.labels, registry=self.registry, buckets=one.buckets)
        self.registry.register(_Asked(self._asked))
        ProcessCollector(registry=self.registry)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter; its name as declared, its labels in the declared order."""
        counter = self._counters.get(name)
        if counter is None:
            one = _DECLARED[name]
            counter = self._counters[name] = Counter(one.name, one.help, one.labels, registry=self.registry)
        (counter.labels(*labels) if labels else counter).inc(by)

    def time(self, name: str, seconds: float, *labels: str) -> None:
        """Add a duration to a histogram."""
        histogram = self._histograms[name]
        (histogram.labels(*labels) if labels else histogram).observe(seconds)

    def ask(self, source: Ask) -> None:
        """Have counters and gauges read when somebody looks: samples (labels in the declared order, value) by name."""
        self._asked.append(source)


class _Asked(Collector):
    """What is read when somebody looks."""

    def __init__(self, sources: Sequence[Ask]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        for source in self._sources:
            for name, samples in source().items():
                one = _DECLARED[name]
                kind = CounterMetricFamily if one.kind == "counter" else GaugeMetricFamily
                family = kind(one.name, one.help, labels=one.labels)
                for labels, value in samples:
                    family.add_metric(labels, value)
                yield family


_DECLARED = {one.name: one for one in METRICS}
