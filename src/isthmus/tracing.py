"""Traces, for who asks for them: OTEL_EXPORTER_OTLP_ENDPOINT switches them on, `isthmus[otel]` brings what they need.

Everything else is set as OpenTelemetry defines it (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS and so on). Spans
carry types, names of operations and statuses; never bodies, tokens, ids of resources or messages of errors. While they are off, nothing of
OpenTelemetry is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal

from isthmus.arm.errors import ArmError

Value = str | int | float | bool
Note = Callable[[str, Value], None]
"""Adds an attribute to the span that is open."""
Kind = Literal["SERVER", "CLIENT", "CONSUMER"]

_SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PARENT = "traceparent"
"""The argument of jobs that says which request ordered them (W3C Trace Context)."""
_IN_A_JOB: ContextVar[bool] = ContextVar("isthmus_in_a_job", default=False)


def begin_tracing(environ: Mapping[str, str]) -> Tracing | None:
    """Traces as the environment says; None when it does not ask for any. ArmError `TracingNotInstalled` when the extra is missing."""
    if not any(environ.get(name) for name in _SWITCHES):
        return None
    if not _is_installed():
        message = "OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, and what sends them is not installed. Run: pip install 'isthmus[otel]'"
        raise ArmError("TracingNotInstalled", message, status=500)
    return Tracing(environ.get("OTEL_SERVICE_NAME") or "isthmus")


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.sdk") is not None and find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


class Tracing:
    """Spans of this process. They are sent in the background, in batches; when nobody takes them they are dropped."""

    def __init__(self, service: str) -> None:
        sdk, export = import_module("opentelemetry.sdk.trace"), import_module("opentelemetry.sdk.trace.export")
        exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter()
        facts = {"service.name": service, "service.version": version("isthmus")}
        resource = import_module("opentelemetry.sdk.resources").Resource.create(facts)
        self._trace: Any = import_module("opentelemetry.trace")
        self._provider: Any = sdk.TracerProvider(resource=resource)
        self._provider.add_span_processor(export.BatchSpanProcessor(exporter))
        self._tracer: Any = self._provider.get_tracer("isthmus", version("isthmus"))
        self._propagator: Any = import_module("opentelemetry.trace.propagation.tracecontext").TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, kind: Kind, attributes: Mapping[str, Value], *, parent: str = "") -> Iterator[Note]:
        """A span around what is inside, below `parent` (a `traceparent`) or the span that is open. An error marks it by its code alone."""
        context = self._propagator.extract({PARENT: parent}) if parent else None
        opened = self._tracer.start_as_current_span(
            name,
            context=context,
            kind=getattr(self._trace.SpanKind, kind),
            attributes=dict(attributes),
            record_exception=False,
            set_status_on_exception=False,
        )
        with opened as span:
            token = _IN_A_JOB.set(kind == "CONSUMER" or _IN_A_JOB.get())
            try:
                yield span.set_attribute
            except BaseException as error:
                self._fail(span, error.code if isinstance(error, ArmError) else type(error).__name__)
                raise
            finally:
                _IN_A_JOB.reset(token)

    @contextmanager
    def aws(self, service: str, operation: str, region: str) -> Iterator[Callable[[int], None]]:
        """A span around one exchange with AWS, which is told its HTTP status; 4xx and 5xx mark it."""
        attributes = {"rpc.system": "aws-api", "rpc.service": service, "rpc.method": operation, "cloud.region": region}
        with self.span(f"{service}.{operation}", "CLIENT", attributes) as note:

            def tell(status: int) -> None:
                note("http.response.status_code", status)
                if status >= 400:
                    self._fail(self._trace.get_current_span(), str(status))

            yield tell

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes to the span that is open, if one is."""
        self._trace.get_current_span().set_attributes(dict(attributes))

    @property
    def parent(self) -> str:
        """The `traceparent` of the request that is being answered; empty elsewhere: jobs that order jobs would make one endless trace."""
        if _IN_A_JOB.get():
            return ""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get(PARENT, "")

    def close(self) -> None:
        """Send what is left, for five seconds at most."""
        self._provider.force_flush(5_000)
        self._provider.shutdown()

    def _fail(self, span: Any, code: str) -> None:
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, code))
        span.set_attribute("error.type", code)
