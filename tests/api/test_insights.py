"""A subscription at a glance: its numbers, its connectors, and what needs a person."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import insert

from isthmus.arm.envelope import instant
from isthmus.keys import Expiry
from isthmus.providers.resources import DELETE_GROUP
from isthmus.solutions.insights import upkeep
from isthmus.solutions.insights.concern import KINDS, SEVERITIES
from isthmus.store.tables import client_secrets, operations
from tests.api.conftest import Api
from tests.api.seeds import Seeds, fail_jobs

VERSION = "2026-11-01"
OTHER = "210987654321"
DAY = 86_400_000
INVENTORY = "Microsoft.AssetManagement"


class View:
    """What a caller sees of a subscription."""

    def __init__(self, api: Api) -> None:
        self.api, self.seeds = api, Seeds(api)

    @property
    def base(self) -> str:
        return f"/subscriptions/{self.api.subscription}/providers/Isthmus.Insights"

    def get(self, path: str, **more: Any) -> Any:
        answer = self.api.call("GET", f"{self.base}/{path}", version=VERSION, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def attention(self, query: str = "", **more: Any) -> list[dict[str, Any]]:
        return [one["properties"] for one in self.get(f"attention{query}", **more)["value"]]

    def only(self, kind: str) -> dict[str, Any]:
        (found,) = self.attention(f"?kind={kind}")
        assert found["severity"] in SEVERITIES
        assert found["remedy"]
        return found

    def connectors(self, query: str = "") -> list[str]:
        return [one["properties"]["displayName"] for one in self.get(f"connectors{query}")["value"]]


@pytest.fixture
def view(api: Api) -> View:
    return View(api)


@pytest.fixture
def connector(api: Api) -> str:
    return api.connector()


@pytest.fixture
def inventory(view: View, connector: str) -> str:
    """A solution that is content."""
    return view.seeds.solution(connector, INVENTORY, "inv", status="Completed", lastSyncTime="2026-01-01T00:00:00.000Z")


@pytest.fixture
def onboard(view: View, connector: str) -> str:
    """Another."""
    return view.seeds.solution(connector, status="Completed")


def test_an_empty_store_is_all_zeros_and_needs_nobody(view: View) -> None:
    told = view.get("summaries/default")["properties"]
    machines = told.pop("machines")
    assert told.pop("generatedAt")
    assert told == dict.fromkeys(("connectors", "accounts", "resources", "types", "gaps", "running"), 0)
    assert set(machines.values()) == {0}
    assert view.get("attention?$count=true") == {"value": [], "count": 0}
    assert view.get("connectors?$count=true") == {"value": [], "count": 0}
    assert [one["name"] for one in view.get("summaries")["value"]] == ["default"]
    assert view.api.call("GET", f"{view.base}/summaries/other", version=VERSION).status_code == 404


def test_a_subscription_in_numbers(view: View, inventory: str, onboard: str) -> None:
    seeds = view.seeds
    view.api.connector(OTHER, name="other")
    for name in ("a", "b", "c"):
        seeds.indexed("123456789012", "ec2Volumes", name)
    seeds.indexed(OTHER, "s3Buckets", "bucket")
    seeds.indexed("999999999999", "sqsQueues", "elsewhere", subscription="0a0a0a0a-0000-4000-8000-000000000000")
    for outcome in ("denied", "error", "complete", "unsupported", "not-opted-in", "not-selected"):
        seeds.scope(inventory, "eu-west-1", outcome, outcome)
    for number, state in enumerate(("CONNECTED", "KEYGEN", "DISCOVERED", "BLOCKED", "SSM_WAIT", "STOPPED", "EXCLUDED", "REMOVED")):
        seeds.instance(onboard, f"i-0{number}", (state, ""))
    times = {"kind": "sync", "status": "Accepted", "started_at": 1, "location": "", "caller": "c", "resource": "r"}
    with view.api.app.engine.store.begin() as connection:
        for id, ended in (("going", None), ("over", 2)):
            connection.execute(insert(operations).values(id=id, ended_at=ended, subscription=view.api.subscription.lower(), **times))
    told = view.get("summaries/default")["properties"]
    assert {name: told[name] for name in ("connectors", "accounts", "resources", "types", "gaps", "running")} == {
        "connectors": 2,
        "accounts": 2,
        "resources": 4,
        "types": 2,
        "gaps": 2,
        "running": 1,
    }
    assert told["machines"] == {
        "found": 7,
        "connected": 1,
        "disconnected": 0,
        "inProgress": 2,
        "blocked": 1,
        "excluded": 1,
        "other": 2,
    }


def test_connectors_show_their_figures(view: View, connector: str, inventory: str, onboard: str) -> None:
    seeds = view.seeds
    seeds.indexed("123456789012", "ec2Volumes", "a")
    seeds.scope(inventory, "eu-west-1", "ec2Volumes", "denied")
    seeds.scope(onboard, "eu-west-1", "ec2Instances", "error")
    seeds.instance(onboard, "i-0a", ("CONNECTED", ""))
    seeds.instance(onboard, "i-0b", ("BLOCKED", "NO_PROFILE"))
    seeds.instance(onboard, "i-0c", ("REMOVED", ""))
    (shown,) = view.get("connectors")["value"]
    properties = shown["properties"]
    solutions = {one["name"]: one for one in properties.pop("solutions")}
    assert properties == {
        "connectorId": connector,
        "displayName": "conn",
        "accountId": "123456789012",
        "resourceGroup": connector.split("/")[4],
        "location": "eastus",
        "isOrganization": False,
        "provisioningState": "Succeeded",
        "lastScan": "2026-01-01T00:00:00.000Z",
        "resources": 1,
        "gaps": 2,
        "machinesFound": 2,
        "machinesConnected": 1,
    }
    assert set(solutions) == {"inv", "onboard"}
    assert (solutions["inv"]["id"], solutions["inv"]["type"], solutions["inv"]["status"]) == (inventory, INVENTORY, "Completed")


def test_connectors_are_filtered_and_ordered(view: View, inventory: str) -> None:
    view.api.connector(OTHER, name="alpha")
    view.seeds.solution(view.api.connector("111111111111", name="beta"), INVENTORY, status="Failed")
    view.seeds.indexed(OTHER, "s3Buckets", "bucket")
    assert view.connectors() == ["alpha", "beta", "conn"]
    assert view.connectors("?$orderby=account%20desc") == ["alpha", "conn", "beta"]
    assert view.connectors("?$orderby=resources%20desc&$top=1") == ["alpha"]
    assert view.connectors("?$orderby=lastScan%20desc&$top=1") == ["conn"]
    assert view.connectors("?name=ALP") == ["alpha"]
    assert view.connectors("?name=1111") == ["beta"]
    assert view.connectors("?status=failed") == ["beta"]
    page = view.get("connectors?$top=1&$count=true&name=a")
    assert (page["count"], "$skip=1" in page["nextLink"]) == (2, True)
    assert "$skip=2" in view.get("connectors?$top=2")["nextLink"]


def test_gaps_are_grouped_by_what_is_missing(view: View, connector: str, inventory: str) -> None:
    for region, kind in (("eu-west-1", "ec2Volumes"), ("us-east-1", "ec2Volumes"), ("us-east-1", "ec2VolumeStatus")):
        reason = f"The role lacks ec2:DescribeVolumes: update the stack. {region}"
        view.seeds.scope(inventory, region, kind, "denied", reason=reason, action="ec2:DescribeVolumes")
    view.seeds.scope(inventory, "", "s3Buckets", "scp", reason="forbidden", action="s3:ListAllMyBuckets")
    view.seeds.scope(inventory, "us-east-1", "sqsQueues", "throttled", reason="slow")
    view.seeds.scope(inventory, "us-east-1", "snsTopics", "error", reason="broken")
    view.seeds.scope(inventory, "us-east-1", "lambdaFunctions", "unsupported", reason="not here")
    found = view.attention()
    assert [(one["kind"], one["severity"], one["count"]) for one in found] == [
        ("gap", "error", 3),
        ("gap", "warning", 1),
        ("gap", "warning", 1),
        ("gap", "information", 1),
    ]
    denied = found[0]
    assert denied["title"] == "ec2:DescribeVolumes is not allowed"
    assert "3 scopes of conn (123456789012) in 2 regions" in denied["detail"]
    assert "account 123456789012" in denied["remedy"]
    assert (denied["targetId"], denied["since"]) == (connector, instant(view.seeds.now - 60_000))
    assert {one["title"] for one in found} >= {"The organization forbids s3:ListAllMyBuckets", "AWS slows us down"}
    page = view.get("attention?$top=1&$count=true&severity=warning")
    assert (len(page["value"]), page["count"]) == (1, 2)
    assert page["nextLink"]
    assert view.attention("?$orderby=severity%20desc")[0]["severity"] == "information"


def test_blocked_machines_are_grouped_by_code_with_its_remedy(view: View, connector: str, onboard: str) -> None:
    second = view.seeds.solution(view.api.connector(OTHER, name="other"), status="Completed")
    view.seeds.instance(onboard, "i-0a", ("BLOCKED", "IMDS_DISABLED"), since=view.seeds.now - 5 * DAY)
    view.seeds.instance(second, "i-0b", ("BLOCKED", "IMDS_DISABLED"), account=OTHER)
    view.seeds.instance(onboard, "i-0c", ("QUARANTINED", "KEY_REUSED"), evidence={"other": "i-0f"})
    view.seeds.instance(onboard, "i-0d", ("BLOCKED", "EGRESS_BLOCKED"), evidence={"tail": "no route"})
    view.seeds.instance(onboard, "i-0e", ("SSM_WAIT", "SSM_BACKOFF"))
    found = view.attention()
    assert [(one["subject"], one["count"], one["severity"]) for one in found] == [
        ("IMDS_DISABLED", 2, "error"),
        ("KEY_REUSED", 1, "error"),
        ("EGRESS_BLOCKED", 1, "warning"),
    ]
    many, one, _ = found
    assert "--instance-id …" in many["remedy"]
    assert "--instance-id i-0a" in many["detail"]
    assert (many["targetId"], many["since"]) == (f"/subscriptions/{view.api.subscription}", instant(view.seeds.now - 5 * DAY))
    assert "key of i-0f" in one["remedy"]
    assert one["targetId"] == connector


def test_silent_ended_and_ending_machines_are_told_apart(view: View, onboard: str) -> None:
    seeds = view.seeds
    seeds.machine("123456789012", "i-0a", properties={}, silent_since=seeds.now - 3_600_000)
    seeds.machine("123456789012", "i-0b", properties={}, silent_since=seeds.now - DAY)
    seeds.machine("123456789012", "i-0c", properties={}, silent_since=seeds.now - DAY)
    seeds.instance(onboard, "i-0c", ("STOPPED", "INSTANCE_STOPPED"))
    seeds.machine("123456789012", "i-0d", "expired", properties={}, expires_at=seeds.now - DAY)
    seeds.machine("123456789012", "i-0e", properties={}, expires_at=seeds.now + 20 * DAY)
    seeds.machine("123456789012", "i-0f", properties={}, expires_at=seeds.now + 40 * DAY)
    quiet = view.only("disconnectedMachines")
    assert (quiet["count"], quiet["since"], quiet["severity"]) == (2, instant(seeds.now - DAY), "warning")
    ended = view.only("expiredMachines")
    assert (ended["count"], ended["targetId"], ended["severity"]) == (1, str(seeds.machine_id("123456789012", "i-0d")), "error")
    assert view.only("expiringMachines")["targetId"].endswith("i-0e")


def test_solutions_that_fail_or_wait_say_what_to_do(view: View, connector: str, inventory: str, onboard: str) -> None:
    view.seeds.tell(inventory, status="Failed", statusDetails="It broke.")
    failed = view.only("failedSync")
    assert (failed["targetId"], failed["severity"]) == (inventory, "error")
    assert "It broke." in failed["detail"]
    for solution in (inventory, onboard):
        view.seeds.tell(solution, status="AuthorizationPending", statusDetails="Not trusted.")
    waiting = view.only("pendingAuthorization")
    assert (waiting["count"], waiting["targetId"]) == (2, connector)
    assert "authentication template" in waiting["remedy"]
    assert "inv, onboard" in waiting["detail"]
    view.seeds.tell(connector, provisioningState="Failed")
    assert view.only("failedRemoval")["targetId"] == connector


def test_frozen_deletions_count_what_vanished(view: View, inventory: str) -> None:
    for kind, keys in (("ec2Volumes", ["/a", "/b", "/c"]), ("sqsQueues", ["/d"])):
        view.seeds.scope(inventory, "eu-west-1", kind, "complete", frozen=True, vanished=json.dumps(keys))
    view.seeds.scope(inventory, "eu-west-1", "snsTopics", "complete", frozen=True)
    frozen = view.only("frozenDeletions")
    assert (frozen["count"], frozen["subject"], frozen["targetId"]) == (4, "eu-west-1", inventory)
    assert "confirmDeletions" in frozen["remedy"]
    view.seeds.scope(inventory, "", "s3Buckets", "complete", frozen=True, vanished='["/e"]')
    assert [(one["count"], one["title"]) for one in view.attention()] == [
        (4, "Deletions are frozen in eu-west-1"),
        (1, "Deletions are frozen in global"),
    ]


def test_secrets_that_end_concern_their_client_unless_a_newer_one_is_there(view: View) -> None:
    made = [view.api.client(None) for _ in range(3)]
    assert len(made) == 3
    listed = view.api.call("GET", "/providers/Isthmus.Identity/clients", version=VERSION).json()["value"]
    ids = [one["name"] for one in listed if one["name"] != "operator"]
    with view.api.app.engine.store.begin() as connection:
        connection.execute(client_secrets.update().values(expires_at=view.seeds.now + 40 * DAY))
        for id, days in ((ids[0], 3), (ids[1], -1)):
            connection.execute(
                client_secrets.update().where(client_secrets.c.client_id == id).values(expires_at=view.seeds.now + days * DAY)
            )
        old = {"client_id": ids[2], "salt": b"s", "hash": b"h", "hint": "h", "created_at": 1}
        connection.execute(insert(client_secrets).values(id="old", expires_at=view.seeds.now - DAY, **old))
    ending = {one["targetId"].rpartition("/")[2]: (one["severity"], one["title"]) for one in view.attention("?kind=expiringSecret")}
    assert ending == {ids[0]: ("warning", "The secret of test expires in 2 days"), ids[1]: ("error", "The secret of test has expired")}


@pytest.mark.parametrize(("days", "told"), [(31, []), (30, ["warning"]), (1, ["warning"]), (0, ["error"]), (-3, ["error"])])
def test_certificates_that_end_are_told_thirty_days_ahead(days: int, told: list[str]) -> None:
    now = 1_767_225_600_000
    found = list(upkeep.certificates([Expiry(file="server.pem", is_root=False, ends_at=now + days * DAY)], now))
    assert [one.severity for one in found] == told
    root = list(upkeep.certificates([Expiry(file="ca.pem", is_root=True, ends_at=now)], now))
    assert "ca.pem" in root[0].remedy


def test_certificates_of_this_installation_are_looked_at(view: View) -> None:
    expiries = {one.file: one.ends_at for one in view.api.app.authority.expiries()}
    assert set(expiries) == {"ca.pem"}
    view.api.app.authority.server_file()
    expiries = {one.file: one.ends_at for one in view.api.app.authority.expiries()}
    assert (expiries["server.pem"] - view.seeds.now) // DAY in (396, 397)
    assert (expiries["ca.pem"] - view.seeds.now) // DAY > 800


def test_attention_is_sorted_by_severity_then_count_and_named_for_good(view: View, inventory: str, onboard: str) -> None:
    view.seeds.scope(inventory, "eu-west-1", "a", "denied", action="a:A")
    view.seeds.tell(inventory, status="Failed")
    view.seeds.tell(onboard, status="AuthorizationPending")
    for number in range(3):
        view.seeds.instance(onboard, f"i-0{number}", ("BLOCKED", "NO_PROFILE"))
    first = view.get("attention")["value"]
    assert [one["properties"]["kind"] for one in first] == ["blockedMachines", "failedSync", "gap", "pendingAuthorization"]
    assert len({one["name"] for one in first}) == 4
    assert {one["properties"]["kind"] for one in first} <= set(KINDS)
    view.seeds.instance(onboard, "i-09", ("BLOCKED", "NO_PROFILE"))
    assert [one["name"] for one in view.get("attention")["value"]] == [one["name"] for one in first]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("attention?kind=gaps", "kind"),
        ("attention?severity=fatal", "severity"),
        ("attention?$orderby=count", "$orderby"),
        ("connectors?$orderby=gaps", "$orderby"),
        (f"connectors?name={'x' * 300}", "name"),
        ("connectors?status=%00", "status"),
    ],
)
def test_what_is_not_understood_is_refused(view: View, path: str, target: str) -> None:
    answer = view.api.call("GET", f"{view.base}/{path}", version=VERSION)
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, target)


def test_insights_need_a_role_in_the_subscription(view: View, inventory: str) -> None:
    api, subscription = view.api, f"/subscriptions/{view.api.subscription}"
    reader, of_group, stranger = api.client("Reader", subscription), api.client("Owner", api.group()), api.client(None)
    for path in ("attention", "summaries/default", "summaries", "connectors"):
        assert api.call("GET", f"{view.base}/{path}", version=VERSION, token=reader).status_code == 200
        for token in (of_group, stranger):
            assert api.call("GET", f"{view.base}/{path}", version=VERSION, token=token).status_code == 403


def test_what_belongs_to_the_tenant_is_for_those_who_may_read_the_tenant(view: View) -> None:
    reader, of_tenant = view.api.client("Reader", f"/subscriptions/{view.api.subscription}"), view.api.client("Reader")
    fail_jobs(view.api, "f1", "f2")
    with view.api.app.engine.store.begin() as connection:
        connection.execute(client_secrets.update().values(expires_at=view.seeds.now + DAY))
    assert view.attention(token=reader) == []
    kinds = [("failedJob", 2), ("expiringSecret", 1), ("expiringSecret", 1)]
    assert [(one["kind"], one["count"]) for one in view.attention()] == kinds
    assert [(one["kind"], one["count"]) for one in view.attention(token=of_tenant)] == kinds
    failed = view.only("failedJob")
    assert (failed["subject"], failed["targetId"]) == (DELETE_GROUP, "/providers/Isthmus.Operations/jobs")
    assert failed["since"] is not None


def test_another_subscription_needs_nobody_for_this_one(view: View, inventory: str, onboard: str) -> None:
    view.seeds.scope(inventory, "eu-west-1", "a", "denied", frozen=True, vanished='["/x"]')
    view.seeds.instance(onboard, "i-0a", ("BLOCKED", "NO_PROFILE"))
    view.seeds.machine("123456789012", "i-0a", "expired", properties={})
    other = "/subscriptions/0a0a0a0a-0000-4000-8000-000000000000"
    assert view.api.call("PUT", other, {"properties": {"displayName": "other"}}).status_code == 201
    base = f"{other}/providers/Isthmus.Insights"
    assert view.api.call("GET", f"{base}/attention", version=VERSION).json() == {"value": []}
    assert view.api.call("GET", f"{base}/connectors", version=VERSION).json() == {"value": []}
    assert view.api.call("GET", f"{base}/summaries/default", version=VERSION).json()["properties"]["gaps"] == 0


def test_attention_and_figures_of_one_connector(view: View, connector: str) -> None:
    other = view.api.connector(OTHER, name="other")
    seeds = view.seeds
    inventory = seeds.solution(connector, INVENTORY, "inv", status="Failed", statusDetails="no")
    seeds.solution(other, INVENTORY, "inv", status="Failed", statusDetails="no")
    assert len(view.attention()) == 2
    (mine,) = view.attention(f"?target={connector.upper()}")
    assert mine["targetId"] == inventory
    assert view.attention(f"?target={connector}/") == [mine]
    assert view.attention(f"?target={connector[:-1]}") == []
    assert view.connectors(f"?connector={connector.upper()}") == ["conn"]
    assert view.connectors(f"?connector={connector}x") == []
