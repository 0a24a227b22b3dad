"""Admin paths of the lab: faults, call counter, reset; and who may use them."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError, IncompleteReadError, ResponseStreamingError

from isthmus_lab.process import LabProcess

pytestmark = pytest.mark.e2e


@pytest.fixture
def faults(lab: LabProcess) -> Iterator[Callable[..., None]]:
    def add(**rule: Any) -> None:
        lab.admin("POST", "/_lab/faults", rule)

    yield add
    lab.admin("DELETE", "/_lab/faults")


CALLS = {"ec2": "describe_vpcs", "s3": "list_buckets", "dynamodb": "list_tables", "sns": "list_topics", "lambda": "list_functions"}


@pytest.mark.parametrize(
    ("service", "kind", "code"),
    [
        ("ec2", "throttling", "RequestLimitExceeded"),
        ("s3", "throttling", "SlowDown"),
        ("dynamodb", "throttling", "ThrottlingException"),
        ("lambda", "throttling", "ThrottlingException"),
        ("sns", "throttling", "Throttling"),
        ("ec2", "unavailable", "ServiceUnavailable"),
        ("sns", "internal", "InternalFailure"),
        ("ec2", "denied", "UnauthorizedOperation"),
        ("dynamodb", "denied", "AccessDeniedException"),
        ("ec2", "expired", "RequestExpired"),
        ("sns", "expired", "ExpiredToken"),
    ],
)
def test_faults_speak_the_service_s_protocol(
    faults: Callable[..., None], client: Callable[..., Any], service: str, kind: str, code: str
) -> None:
    faults(service=service, region="eu-west-1", kind=kind, count=1)
    call = getattr(client(service, "eu-west-1"), CALLS[service])
    getattr(client(service, "us-east-1"), CALLS[service])()
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    call()


def test_fault_of_one_account_and_action(faults: Callable[..., None], client: Callable[..., Any], account: str) -> None:
    faults(service="ec2", action="DescribeVpcs", account=account, code="Blocked", status=503)
    with pytest.raises(ClientError, match="Blocked"):
        client("ec2").describe_vpcs()
    client("ec2").describe_subnets()


def test_dropped_connection_is_a_truncated_answer(faults: Callable[..., None], client: Callable[..., Any]) -> None:
    faults(service="ec2", drop=True, count=1)
    with pytest.raises((ConnectionClosedError, IncompleteReadError, ResponseStreamingError, HTTPClientError)):
        client("ec2").describe_vpcs()
    client("ec2").describe_vpcs()


def test_rule_without_effect_is_refused(lab: LabProcess) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        lab.admin("POST", "/_lab/faults", {"service": "ec2"})
    assert caught.value.code == 400
    assert "effect" in caught.value.read().decode()


def test_calls_are_counted_denied_ones_too(lab: LabProcess, client: Callable[..., Any]) -> None:
    iam = client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    lab.admin("DELETE", "/_lab/calls")
    client("ec2", "eu-west-1").describe_vpcs()
    with pytest.raises(ClientError):
        client("ec2", "eu-west-1", credentials={**key, "SessionToken": None}).describe_vpcs()
    client("s3").list_buckets()
    counted = lab.admin("GET", "/_lab/calls")
    assert counted["total"] == 3
    assert {"service": "ec2", "action": "DescribeVpcs", "region": "eu-west-1", "count": 2} in counted["calls"]


@pytest.mark.parametrize("path", ["/_lab/reset", "/_lab/faults", "/_ministack/reset"])
def test_web_pages_cannot_reach_admin_paths(lab: LabProcess, client: Callable[..., Any], path: str) -> None:
    client("sqs").create_queue(QueueName="kept")
    for method in ("POST", "OPTIONS"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(lab.url + path, b"{}" if method == "POST" else None, method=method))
        assert caught.value.code == 403
        assert caught.value.headers["access-control-allow-origin"] is None
    assert client("sqs").list_queues()["QueueUrls"]


def test_name_that_was_pointed_at_loopback_cannot_reach_admin_paths(lab: LabProcess) -> None:
    headers = {"x-isthmus-lab": "1", "host": "rebound.example:4566"}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(lab.url + "/_lab/reset", b"{}", headers))
    assert caught.value.code == 403


def test_unknown_admin_path(lab: LabProcess) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        lab.admin("GET", "/_lab/nothing")
    assert caught.value.code == 404
    assert "nothing" in json.loads(caught.value.read())["error"]
