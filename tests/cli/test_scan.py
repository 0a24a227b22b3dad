"""`isthmus scan` over a fake server: what a finished scan says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import httpx
import pytest

from isthmus.cli.formats import Output
from isthmus.cli.scan import scan
from isthmus.cli.session import Session
from isthmus.client import Client

BASE = "https://arm.test"
CONNECTOR = "/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridConnectivity/publicCloudConnectors/c"
SOLUTION = f"{CONNECTOR}/providers/Microsoft.HybridConnectivity/solutionConfigurations/inventory"
POLL = f"{BASE}/subscriptions/s/providers/Microsoft.HybridConnectivity/locations/E/operationStatuses/1?api-version=2027-01-01"
RESULT = {
    "scan": "1",
    "status": "CompletedWithGaps",
    "projections": 7,
    "outcomes": {"complete": 2, "denied": 1},
    "frozen": {"eu-west-1": 40},
}


def scope(region: str, outcome: str, rows: int, reason: str = "") -> dict[str, Any]:
    properties = {"region": region, "resourceType": "vpcs", "outcome": outcome, "rows": rows, "reason": reason}
    return {"properties": {**properties, "checkedAt": "9999-01-01T00:00:00.000Z"}}


@pytest.fixture
def sent() -> list[Any]:
    """Bodies of the syncs that were asked for."""
    return []


@pytest.fixture
def session(sent: list[Any]) -> Iterator[Session]:
    """A session whose server scans in two polls."""
    statuses = chain([{"status": "Running"}], repeat({"status": "Succeeded", "properties": RESULT}))

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/syncNow"):
            sent.append(json.loads(request.content or b"null"))
            return httpx.Response(202, headers={"Azure-AsyncOperation": POLL, "Retry-After": "1"})
        if "operationStatuses" in path:
            return httpx.Response(200, json=next(statuses))
        if path.endswith("/scopes"):
            value = [scope("eu-west-1", "complete", 5), scope("us-east-1", "denied", 2, "ec2:DescribeVpcs\x1b[2J is denied")]
            return httpx.Response(200, json={"value": value})
        value = [{"id": SOLUTION, "properties": {"solutionType": "microsoft.assetmanagement"}}]
        return httpx.Response(200, json={"value": value})

    made = Session(sleep=lambda _seconds: None)
    made.client = Client(BASE, lambda: "t", transport=httpx.MockTransport(answer), sleep=lambda _seconds: None)
    yield made
    made.client.close()


def test_a_scan_says_outcomes_gaps_and_frozen_deletions(session: Session, sent: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    scan(session, CONNECTOR)
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()[:3]] == [["OUTCOME", "SCOPES"], ["complete", "2"], ["denied", "1"]]
    assert "us-east-1" in out
    assert "\x1b" not in out + err
    assert "7 resources are known" in err
    assert "40 resources vanished in eu-west-1" in err
    assert "--confirm-deletions" in err
    assert sent == [None]


def test_a_scan_as_json_holds_its_gaps(session: Session, sent: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    session.output = Output.JSON
    scan(session, CONNECTOR, confirm_deletions=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["projections"], [gap["region"] for gap in told["gaps"]]) == (7, ["us-east-1"])
    assert sent == [{"confirmDeletions": True}]


def test_without_waiting_it_says_where_to_look(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    scan(session, CONNECTOR, wait=False)
    out, err = capsys.readouterr()
    assert (out, "isthmus operation list" in err) == ("", True)


def test_a_watched_scan_shows_every_region_and_then_what_it_found(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    scan(session, CONNECTOR, watch=True)
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert lines[:3] == [["REGION", "SCOPES", "READ", "RESOURCES", "GAPS"], ["eu-west-1", "1", "5", "0"], ["us-east-1", "1", "2", "1"]]
    assert lines[3:6] == [["OUTCOME", "SCOPES"], ["complete", "2"], ["denied", "1"]]
    assert "7 resources are known" in err


def test_an_interrupted_watch_says_that_the_scan_goes_on(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    session.sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        scan(session, CONNECTOR, watch=True)
    assert "The scan goes on" in capsys.readouterr().err


def test_a_watched_scan_gives_programs_its_result_alone(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    session.output = Output.CSV
    scan(session, CONNECTOR, watch=True)
    assert capsys.readouterr().out == "OUTCOME,SCOPES\r\ncomplete,2\r\ndenied,1\r\n"
