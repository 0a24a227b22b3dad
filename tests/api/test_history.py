"""What happened, as it can be read: scans and scopes of a solution."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from isthmus.providers.scans import OUTCOMES, REMEDIES
from isthmus.store.tables import scans
from tests.api.conftest import Api
from tests.api.seeds import Seeds

SOLUTIONS = "providers/Microsoft.HybridConnectivity/solutionConfigurations"
INVENTORY = "Microsoft.AssetManagement"


def listed(api: Api, path: str) -> list[dict[str, Any]]:
    """Every entry of a list, page after page."""
    found: list[dict[str, Any]] = []
    link = f"{path}{'&' if '?' in path else '?'}api-version=2026-11-01"
    while link:
        answer = api.call("GET", link.removeprefix(api.app.public_url), version="")
        assert answer.status_code == 200, answer.text
        found += answer.json()["value"]
        link = answer.json().get("nextLink", "")
    return found


@pytest.fixture
def solution(api: Api) -> str:
    return Seeds(api).solution(api.connector(), INVENTORY, "inv")


def test_scans_come_newest_first_in_windows_of_a_size(api: Api, solution: str) -> None:
    texts = {"solution": solution.lower(), "account": "123456789012", "status": "Completed", "summary": "{}"}
    rows = [{**texts, "id": f"s:{n:05}", "started_at": n, "ended_at": n} for n in range(230)]
    with api.app.engine.store.begin() as connection:
        connection.execute(insert(scans), rows)
    path = f"{solution}/providers/Isthmus.Inventory/scans"
    assert [one["name"] for one in listed(api, path)] == [f"s-{n:05}" for n in reversed(range(230))]
    window = api.call("GET", f"{path}?$top=50&$count=true&$orderby=startTime", version="2026-11-01").json()
    assert (window["count"], len(window["value"]), window["value"][0]["name"]) == (230, 50, "s-00000")
    assert window["value"][0]["properties"]["startTime"] == "1970-01-01T00:00:00.000Z"


def test_scopes_are_filtered_and_say_what_to_do(api: Api, solution: str) -> None:
    seeds = Seeds(api)
    seeds.scope(solution, "eu-west-1", "ec2Volumes", "denied", reason="no", action="ec2:DescribeVolumes")
    seeds.scope(solution, "eu-west-1", "sqsQueues", "complete", rows=3)
    seeds.scope(solution, "us-east-1", "sqsQueues", "scp", reason="forbidden", action="sqs:ListQueues")
    seeds.scope(solution, "", "iamRoles", "error", reason="broken")
    path = f"{solution}/providers/Isthmus.Inventory/scopes"

    def names(query: str) -> list[str]:
        return [one["name"] for one in listed(api, f"{path}{query}")]

    assert names("") == ["global.iamRoles", "eu-west-1.ec2Volumes", "eu-west-1.sqsQueues", "us-east-1.sqsQueues"]
    assert names("?outcome=denied,scp") == ["eu-west-1.ec2Volumes", "us-east-1.sqsQueues"]
    assert names("?region=global") == ["global.iamRoles"]
    assert names("?service=sqs&outcome=scp") == ["us-east-1.sqsQueues"]
    assert names("?service=nothing") == []
    assert names("?$orderby=resourceType desc")[0] == "us-east-1.sqsQueues"
    (denied,) = listed(api, f"{path}?outcome=denied")
    told = denied["properties"]
    assert (told["service"], told["action"], told["reason"]) == ("ec2", "ec2:DescribeVolumes", "no")
    assert "123456789012" in told["remedy"]
    wrong = api.call("GET", f"{path}?outcome=lost", version="2026-11-01")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "InvalidFilter")


def test_every_outcome_but_the_good_one_has_a_remedy() -> None:
    assert set(REMEDIES) == set(OUTCOMES) - {"complete"}
