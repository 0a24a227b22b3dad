"""The auto-assignment function as CloudFormation and a schedule call it."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from isthmus.clouds.aws.template import assign_profile
from isthmus.clouds.aws.template.assign_profile import lambda_handler
from tests.clouds.aws.template.fake_aws import ACCOUNT, FakeAws, Region, refusal
from tests.clouds.aws.template.small_account import CONTEXT, DOCUMENT, HOME, SETTINGS, small_account


@pytest.fixture
def aws() -> FakeAws:
    return small_account()


class Answers(BaseHTTPRequestHandler):
    """Stands for CloudFormation's response URL."""

    received: list[dict[str, Any]]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def deploy(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call the handler as a custom resource; gives what CloudFormation was told."""
    server = HTTPServer(("127.0.0.1", 0), Answers)
    server.received = []  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(assign_profile, "client", aws.client)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)

    def call(kind: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{server.server_port}/answer"
        event = {"RequestType": kind, "ResponseURL": url, "StackId": "stack", "RequestId": "1", "LogicalResourceId": "AssignmentRun"}
        lambda_handler(event, CONTEXT)
        told: dict[str, Any] = server.received.pop()  # type: ignore[attr-defined]
        assert server.received == []  # type: ignore[attr-defined]
        return told

    yield call
    server.shutdown()
    thread.join()
    server.server_close()


def test_deploying_runs_once_and_reports_counts(aws: FakeAws, deploy: Any) -> None:
    aws.add(HOME, "i-1")
    told = deploy("Create")
    assert told["Status"] == "SUCCESS"
    assert told["PhysicalResourceId"] == "isthmus-assignment"
    assert told["Data"] == {"failed": "", "counts": '{"associate": 1}'}
    assert len(json.dumps(told)) < 4096


def test_deleting_the_stack_assigns_nothing_and_removes_the_copies(aws: FakeAws, deploy: Any) -> None:
    aws.add(HOME, "i-1")
    aws.regions["eu-west-1"] = Region(documents={DOCUMENT: "{}"})
    aws.regions["eu-north-1"] = Region()
    assert deploy("Delete")["Status"] == "SUCCESS"
    assert aws.regions["eu-west-1"].documents == {}
    assert DOCUMENT in aws.regions[HOME].documents
    assert "IamInstanceProfile" not in aws.instance(HOME, "i-1")


def test_a_failing_clean_up_does_not_block_the_deletion_of_the_stack(aws: FakeAws, deploy: Any) -> None:
    aws.failures[(HOME, "ec2:DescribeRegions")] = refusal("UnauthorizedOperation")
    assert deploy("Delete")["Status"] == "SUCCESS"


def test_the_template_of_another_account_fails_to_deploy(aws: FakeAws, deploy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCOUNT", "210987654321")
    told = deploy("Create")
    assert told["Status"] == "FAILED"
    assert told["Reason"] == f"This template belongs to account 210987654321, not {ACCOUNT}."
    assert aws.calls == []


def test_a_scheduled_run_returns_its_result(aws: FakeAws, deploy: Any) -> None:
    aws.add(HOME, "i-1")
    assert lambda_handler({}, CONTEXT)["counts"] == {"associate": 1}
