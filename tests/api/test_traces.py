"""Traces reach a collector, join requests with their jobs, and hold nothing that names a resource."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from isthmus.api.spans import route_of
from isthmus.app import build
from isthmus.arm.errors import ArmError
from isthmus.cli.reference import table
from isthmus.providers.resources import DELETE_GROUP
from isthmus.settings import Settings
from isthmus.tracing import Tracing, begin_tracing
from tests.api.conftest import PORT, Api

pytestmark = pytest.mark.slow

ROWS = table().rows
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """A small receiver of OTLP over HTTP."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def spans(self) -> list[Span]:
        """Every span that came."""
        return [
            span for request in self.requests for group in request.resource_spans for scope in group.scope_spans for span in scope.spans
        ]

    @property
    def services(self) -> set[str]:
        """Who sent them."""
        found = [one for request in self.requests for group in request.resource_spans for one in group.resource.attributes]
        return {one.value.string_value for one in found if one.key == "service.name"}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    made = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def traced(collector: Collector, database_url: str, tmp_path: Path, made_keys: Path) -> Api:
    """The application, sending traces. Closing it sends what is left."""
    shutil.copytree(made_keys, tmp_path / "data" / "keys")
    app = build(Settings(data=tmp_path / "data", database_url=database_url), port=PORT, environ=os.environ)
    return Api(app, tmp_path / "data")


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_request_and_its_job_are_one_trace(traced: Api, collector: Collector) -> None:
    group = traced.group("telling-name")
    answer = traced.call("DELETE", group, headers={"traceparent": PARENT})
    assert answer.status_code == 202
    assert traced.finish(answer.headers["location"]).status_code == 200
    traced.call("GET", "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/telling-too")
    traced.app.close()
    asked = next(span for span in collector.spans if span.name == "DELETE Microsoft.Resources/resourceGroups")
    done = next(span for span in collector.spans if span.name == DELETE_GROUP)
    assert asked.trace_id.hex() == done.trace_id.hex() == PARENT.split("-")[1]
    assert asked.parent_span_id.hex() == PARENT.split("-")[2]
    assert done.parent_span_id == asked.span_id
    assert attributes(asked)["http.response.status_code"] == 202
    assert attributes(asked)["isthmus.correlation"] == answer.headers["x-ms-correlation-request-id"]
    assert attributes(done) == {"isthmus.job": DELETE_GROUP}
    assert (asked.kind, done.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER)
    everything = b"".join(request.SerializeToString() for request in collector.requests)
    for secret in (b"telling", traced.token.encode(), traced.subscription.encode()):
        assert secret not in everything
    assert collector.services == {"isthmus"}


def test_calls_of_aws_are_spans_and_errors_say_their_code_alone(collector: Collector) -> None:
    tracing = Tracing("somebody")

    def run() -> None:
        with tracing.span("job", "CONSUMER", {}):
            with tracing.aws("ec2", "DescribeVpcs", "eu-west-1") as tell:
                tell(403)
            assert tracing.parent == "", "a job that orders jobs begins a new trace"
            raise ArmError("SomeCode", "secret words")

    with pytest.raises(ArmError):
        run()
    with tracing.span("GET x", "SERVER", {}):
        assert tracing.parent.startswith("00-")
    tracing.close()
    found = {span.name: span for span in collector.spans}
    assert attributes(found["ec2.DescribeVpcs"]) == {
        "rpc.system": "aws-api",
        "rpc.service": "ec2",
        "rpc.method": "DescribeVpcs",
        "cloud.region": "eu-west-1",
        "http.response.status_code": 403,
        "error.type": "403",
    }
    assert found["ec2.DescribeVpcs"].parent_span_id == found["job"].span_id
    assert (found["job"].status.code, found["job"].status.message) == (2, "SomeCode")
    assert b"secret words" not in b"".join(request.SerializeToString() for request in collector.requests)
    assert collector.services == {"somebody"}


def test_nothing_is_traced_unless_asked_for(api: Api) -> None:
    assert begin_tracing({}) is None
    assert begin_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) is None
    assert api.call("GET", "/subscriptions").status_code == 200


def test_without_the_extra_the_program_runs_and_says_what_is_missing_when_asked() -> None:
    script = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import isthmus.app
from isthmus.tracing import begin_tracing
assert begin_tracing({}) is None
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
begin_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert "TracingNotInstalled" in ran.stderr, ran.stderr
    assert "pip install 'isthmus[otel]'" in ran.stderr


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/subscriptions", "Microsoft.Resources/subscriptions"),
        ("/subscriptions/s/resourceGroups/g", "Microsoft.Resources/resourceGroups"),
        ("/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridCompute/machines/m", "Microsoft.HybridCompute/machines"),
        ("/x/providers/microsoft.hybridcompute/MACHINES", "Microsoft.HybridCompute/machines"),
        (
            "/x/providers/Microsoft.HybridConnectivity/publicCloudConnectors/c/testPermissions",
            "Microsoft.HybridConnectivity/publicCloudConnectors/testPermissions",
        ),
        (
            "/x/providers/Microsoft.HybridConnectivity/publicCloudConnectors/c/secret",
            "Microsoft.HybridConnectivity/publicCloudConnectors",
        ),
        ("/x/providers/Evil.Words/things/t", "other"),
        ("/t/oauth2/v2.0/token", "token"),
        ("/t/oauth2/v2.0/devicecode", "devicecode"),
        ("/healthz", "healthz"),
        ("/any/thing", "other"),
        ("/", "other"),
        ("/providers", "other"),
    ],
)
def test_routes_are_types_and_never_names(path: str, route: str) -> None:
    assert route_of(path, ROWS) == route
