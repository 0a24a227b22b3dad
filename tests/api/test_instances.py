"""Instances of all connectors with their onboarding, as pages list them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from isthmus.arm.envelope import instant
from isthmus.solutions.onboard import rows
from isthmus.solutions.onboard.statuses import STATUSES
from tests.api.conftest import Api
from tests.api.seeds import Seeds

VERSION = "2026-11-01"
OTHER = "210987654321"


class Fleet:
    """Two connectors with instances in different states."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.seeds = seeds = Seeds(api)
        self.connector, self.other = api.connector(), api.connector(OTHER, name="other")
        first, second = seeds.solution(self.connector), seeds.solution(self.other)
        seeds.instance(first, "i-0a", ("DISCOVERED", ""), ("KEYGEN", ""), ("CONNECTED", ""), since=seeds.now - 600_000)
        seeds.instance(first, "i-0b", ("DISCOVERED", ""), ("BLOCKED", "IMDS_DISABLED"), since=seeds.now - 500_000)
        seeds.instance(first, "i-0c", ("EXCLUDED", "FILTERED_TAG"), evidence={"rule": "env:prod"}, region="us-east-1")
        seeds.instance(second, "i-0d", ("BLOCKED", "IMDS_DISABLED"), account=OTHER)
        seeds.instance(second, "i-0e", ("SSM_WAIT", "SSM_BACKOFF"), account=OTHER)
        facts = {"displayName": "web-1", "status": "Connected", "osSku": "Debian 12", "agentVersion": "1.2", "lastStatusChange": "then"}
        seeds.machine("123456789012", "i-0a", properties=facts)
        key = seeds.machine_id("123456789012", "i-0b").key + "/providers/microsoft.awsconnector/ec2instances/default"
        seeds.indexed("123456789012", "ec2Instances", "Batch_50%", key)

    @property
    def path(self) -> str:
        return f"/subscriptions/{self.api.subscription}/providers/Isthmus.Onboarding/instances"

    def listed(self, query: str = "") -> Any:
        answer = self.api.call("GET", f"{self.path}{query}", version=VERSION)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def names(self, query: str = "") -> list[str]:
        return [one["properties"]["instanceId"] for one in self.listed(query)["value"]]


@pytest.fixture
def fleet(api: Api) -> Fleet:
    return Fleet(api)


def test_an_instance_shows_its_onboarding_and_its_machine(fleet: Fleet) -> None:
    shown = {one["name"]: one["properties"] for one in fleet.listed()["value"]}
    connected = shown["123456789012.eu-west-1.i-0a"]
    expected = {
        "status": "connected",
        "armStatus": "Completed",
        "state": "CONNECTED",
        "account": "123456789012",
        "connectorId": fleet.connector,
        "displayName": "web-1",
        "machineStatus": "Connected",
        "osSku": "Debian 12",
        "agentVersion": "1.2",
        "lastStatusChange": "then",
        "lastHeartbeat": instant(fleet.seeds.now),
        "assurance": "ssm",
        "nextRetry": None,
        "since": instant(fleet.seeds.now - 600_000),
    }
    assert {name: connected[name] for name in expected} == expected
    assert connected["machineId"] == connected["azureResourceId"] == str(fleet.seeds.machine_id("123456789012", "i-0a"))
    blocked = shown["123456789012.eu-west-1.i-0b"]
    assert (blocked["status"], blocked["displayName"], blocked["machineId"]) == ("blocked", "Batch_50%", None)
    assert (blocked["assurance"], blocked["machineStatus"], blocked["lastHeartbeat"]) == (None, None, None)
    assert "--instance-id i-0b" in blocked["statusDetails"]
    assert shown[f"{OTHER}.eu-west-1.i-0d"]["solutionId"].startswith(fleet.other)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["i-0a", "i-0b", "i-0c", "i-0d", "i-0e"]),
        ("?state=BLOCKED", ["i-0b", "i-0d"]),
        ("?status=Blocked&account=123456789012", ["i-0b"]),
        ("?status=waiting", ["i-0e"]),
        ("?status=connected&state=blocked", []),
        ("?code=imds_disabled", ["i-0b", "i-0d"]),
        ("?region=us-east-1", ["i-0c"]),
        ("?name=I-0A", ["i-0a"]),
        ("?name=batch_5", ["i-0b"]),
        ("?name=50%25", ["i-0b"]),
        ("?name=5_%25", []),
        ("?$orderby=since", ["i-0a", "i-0b", "i-0c", "i-0d", "i-0e"]),
        ("?$orderby=name%20desc", ["i-0e", "i-0d", "i-0c", "i-0a", "i-0b"]),
        ("?$orderby=region%20desc&$top=2", ["i-0c", "i-0e"]),
        ("?$skip=3&$top=1", ["i-0d"]),
    ],
)
def test_filters_and_orders_are_the_databases(fleet: Fleet, query: str, names: list[str]) -> None:
    assert fleet.names(query) == names


def test_windows_count_and_lead_on(fleet: Fleet) -> None:
    page = fleet.listed("?status=blocked&$count=true&$top=1&name=i-")
    assert page["count"] == 2
    following = fleet.api.call("GET", page["nextLink"].removeprefix(fleet.api.app.public_url), version="").json()
    assert [one["properties"]["instanceId"] for one in following["value"]] == ["i-0d"]
    assert "nextLink" not in following


def test_a_connector_has_its_own_instances(fleet: Fleet) -> None:
    assert fleet.names(f"?connector={quote(fleet.other.upper(), safe='')}") == ["i-0d", "i-0e"]
    assert fleet.names(f"?connector={quote(fleet.other + 'x', safe='')}") == []


def test_only_what_changed_is_asked_for_by_pages_that_live(fleet: Fleet) -> None:
    after = f"?changedAfter={quote(instant(fleet.seeds.now - 300_000))}"
    fleet.seeds.tell(str(fleet.seeds.machine_id("123456789012", "i-0a")), status="Disconnected")
    assert fleet.names(after) == ["i-0a", "i-0c", "i-0d", "i-0e"], "i-0a by its machine, i-0b not at all"
    assert fleet.names("?changedAfter=2999-01-01T00:00:00%2B01:00") == []


def test_one_instance_tells_what_happened_to_it_newest_first(fleet: Fleet) -> None:
    one = fleet.api.call("GET", f"{fleet.path}/123456789012.eu-west-1.i-0B", version=VERSION).json()
    events = one["properties"]["events"]
    assert [(event["state"], event["status"], event["code"]) for event in events] == [
        ("BLOCKED", "blocked", "IMDS_DISABLED"),
        ("DISCOVERED", "inProgress", ""),
    ]
    assert "--instance-id i-0b" in events[0]["remedy"]
    assert (events[1]["remedy"], events[1]["evidence"]) == ("", {})
    assert events[0]["at"] == instant(fleet.seeds.now - 500_000)
    for missing in ("i-0a", "123456789012.eu-west-1.i-ff", "1.2.3.4", "123456789012.us-east-1.i-0a"):
        assert fleet.api.call("GET", f"{fleet.path}/{missing}", version=VERSION).status_code == 404


def test_counts_say_how_many_there_are_and_why(fleet: Fleet) -> None:
    path = fleet.path.replace("instances", "counts/default")
    told = fleet.api.call("GET", path, version=VERSION).json()["properties"]
    zeros = dict.fromkeys(("disconnected", "inProgress", "stopped", "gone"), 0)
    assert told["statuses"] == {"connected": 1, "waiting": 1, "blocked": 2, "excluded": 1, **zeros}
    assert told["total"] == 5
    assert [(one["code"], one["count"]) for one in told["codes"]] == [("IMDS_DISABLED", 2), ("FILTERED_TAG", 1), ("SSM_BACKOFF", 1)]
    assert "--instance-id …" in told["codes"][0]["remedy"]
    mine = fleet.api.call("GET", f"{path}?connector={quote(fleet.connector, safe='')}", version=VERSION).json()["properties"]
    assert (mine["total"], mine["statuses"]["blocked"]) == (3, 1)
    listed = fleet.api.call("GET", path.removesuffix("/default"), version=VERSION).json()
    assert [one["name"] for one in listed["value"]] == ["default"]
    assert fleet.api.call("GET", path.replace("default", "other"), version=VERSION).status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "state=asleep",
        "status=fine",
        "code=NONE_SUCH",
        "account=12",
        "account=١٢٣٤٥٦٧٨٩٠١٢",
        "connector=conn",
        "connector=/subscriptions/x/resourceGroups",
        f"name={'x' * 300}",
        "name=%00",
        "region=%0a",
        "changedAfter=yesterday",
        "changedAfter=2026-01-01T00:00:00",
        "changedAfter=0001-01-01T00:00:00Z",
    ],
)
def test_filters_that_are_not_understood_are_refused(api: Api, query: str) -> None:
    path = f"/subscriptions/{api.subscription}/providers/Isthmus.Onboarding/instances?{query}"
    answer = api.call("GET", path, version=VERSION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidFilter"), answer.text
    assert answer.json()["error"]["target"] == query.partition("=")[0]


def test_an_empty_store_answers_empty_lists_and_zeros(api: Api) -> None:
    base = f"/subscriptions/{api.subscription}/providers/Isthmus.Onboarding"
    assert api.call("GET", f"{base}/instances?$count=true", version=VERSION).json() == {"value": [], "count": 0}
    told = api.call("GET", f"{base}/counts/default", version=VERSION).json()["properties"]
    assert (told["total"], told["codes"], set(told["statuses"].values())) == (0, [], {0})


def test_instances_need_a_role_in_the_subscription(fleet: Fleet) -> None:
    api, subscription = fleet.api, f"/subscriptions/{fleet.api.subscription}"
    reader, of_group, stranger = api.client("Reader", subscription), api.client("Reader", api.group()), api.client(None)
    for path in (fleet.path, f"{fleet.path}/123456789012.eu-west-1.i-0a", fleet.path.replace("instances", "counts/default")):
        assert api.call("GET", path, version=VERSION, token=reader).status_code == 200
        assert api.call("GET", path, version=VERSION, token=of_group).status_code == 403
        assert api.call("GET", path, version=VERSION, token=stranger).status_code == 403


def test_another_subscription_sees_nothing_of_it(fleet: Fleet) -> None:
    other = "/subscriptions/0a0a0a0a-0000-4000-8000-000000000000"
    assert fleet.api.call("PUT", other, {"properties": {"displayName": "other"}}).status_code == 201
    base = f"{other}/providers/Isthmus.Onboarding"
    assert fleet.api.call("GET", f"{base}/instances", version=VERSION).json() == {"value": []}
    assert fleet.api.call("GET", f"{base}/instances/123456789012.eu-west-1.i-0a", version=VERSION).status_code == 404
    assert fleet.api.call("GET", f"{base}/counts/default", version=VERSION).json()["properties"]["total"] == 0


def test_every_state_has_one_status() -> None:
    assert sorted(state for status in STATUSES for state in status.states) == sorted(rows.STATES)
