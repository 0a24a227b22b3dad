"""Isthmus.Inventory over HTTP: lists, facets, relations, changes and progress; who may read them, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, insert, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, parse_resource
from isthmus.arm.types import Actor
from isthmus.store.tables import audit_records, scans, scopes
from tests.api.conftest import Api

VERSION = "2026-11-01"
SYNC = Actor(id="isthmus:inventory", kind="Application")
ACCOUNT, OTHER = "123456789012", "222222222222"
VPC, SUBNET, LOST = "vpc-0000000000000000a", "subnet-0000000000000000b", "sg-0000000000000000f"
INVENTORY = "providers/Isthmus.Inventory"
KINDS = {"ec2VPCs": "vpc", "ec2Subnets": "subnet", "ec2Instances": "instance"}


class Estate:
    """Two accounts in one subscription: a VPC, a subnet and an instance in the first, a VPC in the other."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.groups = {account: api.group(f"aws_{account}") for account in (ACCOUNT, OTHER)}
        self.subscription = f"/subscriptions/{api.subscription}"
        self.vpc = self.put(ACCOUNT, "ec2VPCs", VPC, {"vpcId": VPC, "ownerId": ACCOUNT}, tags={"env": "prod"})
        self.subnet = self.put(ACCOUNT, "ec2Subnets", SUBNET, {"vpcId": VPC})
        self.machine = f"{self.groups[ACCOUNT]}/providers/Microsoft.HybridCompute/machines/i-0000000000000000c"
        self.write(Resource(id=parse_resource(self.machine), location="westeurope", properties={}))
        names = {"subnetId": SUBNET, "groups": [{"groupId": LOST}], "vpc": VPC}
        self.instance = self.put(ACCOUNT, "ec2Instances", "i-0000000000000000c", names, host=self.machine)
        self.far = self.put(OTHER, "ec2VPCs", "vpc-0000000000000000d", {"peer": VPC}, name="100%_far")

    def write(self, *puts: Resource, deletes: tuple[ResourceId, ...] = ()) -> None:
        """Put and delete as a sync does."""
        self.api.app.engine.apply(Change(puts=puts, deletes=deletes), SYNC, "inventory/project", "/")

    def put(self, account: str, kind: str, id: str, names: Any, *, host: str = "", name: str = "", tags: Any = None) -> str:
        """Project a resource; its id."""
        full = f"Microsoft.AwsConnector/{kind}"
        place = parse_resource(host or self.groups[account]).extension(full, "default" if host else id)
        properties = {
            "arn": f"arn:aws:ec2:eu-west-1:{account}:{KINDS[kind]}/{id}",
            "awsAccountId": account,
            "awsProperties": names,
            "awsRegion": "eu-west-1",
            "awsTags": tags or {},
            "publicCloudResourceName": name or f"my {id}",
        }
        self.write(Resource(id=place, location="westeurope", properties=properties, source=f"{account}/eu-west-1/{kind}"))
        return str(place)

    def get(self, path: str, *, status: int = 200, token: str | None = None) -> Any:
        """The body of an answer."""
        answer = self.api.call("GET", path, version=VERSION, token=token)
        assert answer.status_code == status, answer.text
        return answer.json()

    def listed(self, path: str, token: str | None = None) -> list[dict[str, Any]]:
        """Properties of a list's items."""
        return [one["properties"] for one in self.get(path, token=token)["value"]]


@pytest.fixture
def estate(api: Api) -> Estate:
    return Estate(api)


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [one["awsId"] for one in found]


def test_projections_are_listed_with_what_people_look_for(estate: Estate) -> None:
    page = estate.get(f"{estate.subscription}/{INVENTORY}/resources?$orderby=name&$count=true")
    assert page["count"] == 4
    assert "nextLink" not in page
    vpc = next(one["properties"] for one in page["value"] if one["properties"]["awsId"] == VPC)
    assert vpc | {"changedAt": ""} == {
        "resourceId": estate.vpc,
        "displayName": f"my {VPC}",
        "awsId": VPC,
        "arn": f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/{VPC}",
        "awsAccountId": ACCOUNT,
        "awsRegion": "eu-west-1",
        "resourceType": "ec2VPCs",
        "service": "ec2",
        "changedAt": "",
    }
    assert estate.api.call("GET", vpc["resourceId"]).status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"account={OTHER}", ["vpc-0000000000000000d"]),
        ("type=EC2VPCS", [VPC, "vpc-0000000000000000d"]),
        ("region=global", []),
        ("region=eu-west-1&type=ec2Subnets", [SUBNET]),
        ("name=%25_F", ["vpc-0000000000000000d"]),
        ("name=MY%20SUB", [SUBNET]),
        ("name=instance/i-0000", ["i-0000000000000000c"]),
        ("tag=env:PROD", [VPC]),
        ("tag=env", [VPC]),
        ("tag=en", []),
        ("account=&name=&tag=&region=&type=&$top=2", None),
    ],
)
def test_lists_and_facets_take_the_same_filters(estate: Estate, query: str, found: list[str] | None) -> None:
    shown = ids(estate.listed(f"{estate.subscription}/{INVENTORY}/resources?{query}"))
    assert sorted(shown) == sorted(found) if found is not None else len(shown) == 2
    facets = estate.get(f"{estate.subscription}/{INVENTORY}/facets/default?{query}")["properties"]
    assert (facets["total"], facets["isComplete"]) == (4 if found is None else len(found), True)


def test_facets_count_values(estate: Estate) -> None:
    properties = estate.get(f"{estate.subscription}/{INVENTORY}/facets/default")["properties"]
    assert properties["accounts"] == [{"value": ACCOUNT, "count": 3}, {"value": OTHER, "count": 1}]
    assert properties["regions"] == [{"value": "eu-west-1", "count": 4}]
    assert {"value": "ec2VPCs", "count": 2} in properties["types"]
    estate.get(f"{estate.subscription}/{INVENTORY}/facets/other", status=404)
    assert len(estate.get(f"{estate.subscription}/{INVENTORY}/facets")["value"]) == 1


def test_links_lead_through_a_filtered_list(estate: Estate) -> None:
    seen, path = [], f"{estate.subscription}/{INVENTORY}/resources?$top=1&type=ec2VPCs&$orderby=account desc&api-version={VERSION}"
    while path:
        page = estate.api.call("GET", path, version="").json()
        seen += [one["properties"]["awsId"] for one in page["value"]]
        path = page.get("nextLink", "").removeprefix(estate.api.app.public_url)
    assert seen == ["vpc-0000000000000000d", VPC]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("account=12", "InvalidFilter"),
        ("account=%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1", "InvalidFilter"),
        ("region=eu%20west", "InvalidFilter"),
        ("region=" + "r" * 33, "InvalidFilter"),
        ("type=nothing", "InvalidFilter"),
        ("name=a%00b", "InvalidFilter"),
        ("name=" + "x" * 257, "InvalidFilter"),
        ("tag=a%0Ab", "InvalidFilter"),
        ("tag=a%1Fb", "InvalidFilter"),
        ("$filter=name%20eq%20'x'", "InvalidFilter"),
        ("$orderby=size", "InvalidOrderBy"),
        ("$orderby=name;drop", "InvalidOrderBy"),
        ("$skip=-1", "InvalidSkip"),
        ("$skip=10000001", "InvalidSkip"),
        ("$top=1001", "InvalidTop"),
        ("$count=maybe", "InvalidCount"),
    ],
)
def test_what_a_list_cannot_mean_is_refused(estate: Estate, query: str, code: str) -> None:
    for scope in (estate.subscription, estate.groups[ACCOUNT]):
        error = estate.get(f"{scope}/{INVENTORY}/resources?{query}", status=400)["error"]
        assert error["code"] == code
        assert len(error["message"]) > 20
    if code == "InvalidFilter":
        assert estate.get(f"{estate.subscription}/{INVENTORY}/facets/default?{query}", status=400)["error"]["code"] == code


@pytest.mark.parametrize("query", ["direction=up", "$skip=x", "$top=0", "direction=a%00", "$count=2"])
def test_what_relations_cannot_mean_is_refused(estate: Estate, query: str) -> None:
    estate.get(f"{estate.vpc}/{INVENTORY}/relations?{query}", status=400)


@pytest.mark.parametrize("name", ["'; drop table projections --", "%", "_", "\\", '"', "*", "🦄" * 60, "<script>"])
def test_hostile_words_are_only_words(estate: Estate, name: str) -> None:
    found = estate.api.http.get(
        f"{estate.subscription}/{INVENTORY}/resources",
        params={"name": name, "tag": name, "api-version": VERSION},
        headers={"Authorization": f"Bearer {estate.api.token}"},
    )
    assert (found.status_code, found.json()["value"]) == (200, [])


def test_readers_of_a_group_see_that_group_alone(estate: Estate) -> None:
    reader = estate.api.client("Reader", estate.groups[OTHER])
    assert ids(estate.listed(f"{estate.groups[OTHER]}/{INVENTORY}/resources", reader)) == ["vpc-0000000000000000d"]
    assert estate.get(f"{estate.groups[OTHER]}/{INVENTORY}/facets/default", token=reader)["properties"]["total"] == 1
    narrowed = f"{estate.groups[OTHER]}/{INVENTORY}/resources?account={ACCOUNT}"
    assert estate.listed(narrowed, reader) == []
    for path in (
        f"{estate.subscription}/{INVENTORY}/resources",
        f"{estate.subscription}/{INVENTORY}/facets/default",
        f"{estate.groups[ACCOUNT]}/{INVENTORY}/resources",
        f"{estate.groups[ACCOUNT]}/{INVENTORY}/facets/default",
        f"{estate.vpc}/{INVENTORY}/relations",
        f"{estate.vpc}/{INVENTORY}/changes",
        f"{estate.groups[ACCOUNT]}/{INVENTORY}/changes",
    ):
        assert estate.get(path, status=403, token=reader)["error"]["code"] == "AuthorizationFailed"
    with estate.api.app.engine.store.read() as connection:
        refused = connection.execute(select(func.count()).where(audit_records.c.outcome == "refused")).scalar()
    assert refused == 7


def test_what_is_not_there_is_not_browsed(estate: Estate) -> None:
    nowhere = "/subscriptions/00000000-0000-4000-8000-00000000000f"
    assert estate.get(f"{nowhere}/{INVENTORY}/resources", status=404)["error"]["code"] == "SubscriptionNotFound"
    assert estate.get(f"{nowhere}/{INVENTORY}/facets/default", status=404)["error"]["code"] == "SubscriptionNotFound"
    missing = f"{estate.subscription}/resourceGroups/none/{INVENTORY}"
    assert estate.get(f"{missing}/facets/default", status=404)["error"]["code"] == "ResourceGroupNotFound"
    gone = f"{estate.vpc[:-1]}9/{INVENTORY}/relations"
    assert estate.get(gone, status=404)["error"]["code"] == "ParentResourceNotFound"
    connector = estate.api.connector()
    assert estate.get(f"{connector}/{INVENTORY}/relations", status=404)["error"]["code"] == "InvalidResourceType"


def relations(estate: Estate, of: str, query: str = "", token: str | None = None) -> list[tuple[Any, ...]]:
    found = estate.listed(f"{of}/{INVENTORY}/relations{query}", token)
    return [(one["direction"], one["awsId"], one["known"], one["resourceId"]) for one in found]


def test_relations_lead_both_ways_within_the_account(estate: Estate) -> None:
    assert relations(estate, estate.vpc) == [
        ("usedBy", "i-0000000000000000c", True, estate.instance),
        ("usedBy", SUBNET, True, estate.subnet),
    ]
    assert relations(estate, estate.subnet) == [
        ("uses", VPC, True, estate.vpc),
        ("usedBy", "i-0000000000000000c", True, estate.instance),
    ]
    assert relations(estate, estate.instance) == [
        ("hostedOn", "i-0000000000000000c", True, estate.machine),
        ("uses", LOST, False, None),
        ("uses", SUBNET, True, estate.subnet),
        ("uses", VPC, True, estate.vpc),
    ]
    assert relations(estate, estate.machine) == [("hosts", "i-0000000000000000c", True, estate.instance)]
    assert relations(estate, estate.far) == [("uses", VPC, False, None)], "another account's resource is not looked for"


def test_relations_are_windows_and_can_be_narrowed(estate: Estate) -> None:
    assert [one[0] for one in relations(estate, estate.instance, "?direction=USES")] == ["uses"] * 3
    page = estate.get(f"{estate.instance}/{INVENTORY}/relations?$top=2&$skip=1&$count=true")
    assert (page["count"], [one["properties"]["awsId"] for one in page["value"]]) == (4, [LOST, SUBNET])
    assert "$skip=3" in page["nextLink"]
    kinds = {one["direction"]: one["resourceType"] for one in estate.listed(f"{estate.instance}/{INVENTORY}/relations")}
    assert kinds == {"hostedOn": "Microsoft.HybridCompute/machines", "uses": "ec2VPCs"}


def test_who_may_read_one_resource_learns_only_what_it_says_itself(estate: Estate) -> None:
    reader = estate.api.client("Reader", estate.subnet)
    assert relations(estate, estate.subnet, token=reader) == [("uses", VPC, False, None)]
    assert estate.get(f"{estate.subnet}/{INVENTORY}/relations?$count=true", token=reader)["count"] == 1


def changes(estate: Estate, of: str, query: str = "", token: str | None = None) -> list[tuple[Any, ...]]:
    found = estate.listed(f"{of}/{INVENTORY}/changes{query}", token)
    return [(one["kind"], one["actor"], [(each["path"], each["before"], each["after"]) for each in one["changes"]]) for one in found]


def test_changes_tell_who_what_and_when_the_newest_first(estate: Estate) -> None:
    assert estate.api.call("PATCH", estate.vpc, {"tags": {"owner": "me"}}).status_code == 200
    estate.put(ACCOUNT, "ec2VPCs", VPC, {"vpcId": VPC, "ownerId": "x"}, tags={"env": "prod"})
    found = changes(estate, estate.vpc)
    assert [(kind, paths) for kind, _, paths in found] == [
        ("Update", [("/tags/owner", "me", None), ("/properties/awsProperties/ownerId", ACCOUNT, "x")]),
        ("Update", [("/tags/owner", None, "me")]),
        ("Create", []),
    ]
    assert found[0][1] == found[2][1] == "isthmus:inventory"
    assert found[1][1] not in ("", "isthmus:inventory")
    page = estate.get(f"{estate.vpc}/{INVENTORY}/changes?$top=1&$count=true")
    assert (page["count"], page["value"][0]["properties"]["isComplete"]) == (3, True)
    windows = [changes(estate, estate.vpc, f"?$top=1&$skip={skip}") for skip in range(4)]
    assert [one for window in windows for one in window] == found
    assert "nextLink" not in estate.get(f"{estate.vpc}/{INVENTORY}/changes?$top=1&$skip=2")


def test_the_history_of_what_was_deleted_can_be_read_and_goes_on(estate: Estate) -> None:
    estate.put(ACCOUNT, "ec2VPCs", VPC, {"vpcId": VPC})
    estate.write(deletes=(parse_resource(estate.vpc),))
    assert [kind for kind, _, _ in changes(estate, estate.vpc)] == ["Delete", "Update"]
    estate.put(ACCOUNT, "ec2VPCs", VPC, {"vpcId": VPC})
    estate.put(ACCOUNT, "ec2VPCs", VPC, {"vpcId": VPC, "x": 1})
    kinds = ["Update", "Create", "Delete", "Update"]
    assert [kind for kind, _, _ in changes(estate, estate.vpc)] == kinds
    windows = [changes(estate, estate.vpc, f"?$top=2&$skip={skip}") for skip in range(5)]
    assert [[kind for kind, _, _ in window] for window in windows] == [kinds[skip : skip + 2] for skip in range(5)]
    assert changes(estate, f"{estate.vpc[:-1]}9") == []


def test_groups_and_subscriptions_have_a_history_too(estate: Estate) -> None:
    group = estate.groups[OTHER]
    assert estate.api.call("PATCH", group, {"tags": {"a": "b"}}).status_code == 200
    assert [kind for kind, _, _ in changes(estate, group)] == ["Update", "Create"]
    assert [kind for kind, _, _ in changes(estate, estate.subscription)] == ["Create"]


def test_progress_of_a_scan(estate: Estate) -> None:
    api = estate.api
    solution = f"{api.connector()}/providers/Microsoft.HybridConnectivity/solutionConfigurations/inv"
    api.call("PUT", solution, {"properties": {"solutionType": "Microsoft.AssetManagement"}})
    path = f"{solution}/{INVENTORY}/progress/default"
    before = estate.get(path)["properties"]
    assert (before["scan"], before["expected"], before["done"], before["regions"]) == (None, None, 0, [])
    key = solution.lower()
    row = {"solution": key, "account": ACCOUNT, "scan": "s:1", "reason": "", "vanished": "", "frozen": False, "checked_at": 1}
    with api.app.engine.store.begin() as connection:
        connection.execute(
            insert(scans).values(id="s:1", solution=key, account=ACCOUNT, status="InProgress", started_at=1_700_000_000_000, summary="{}")
        )
        connection.execute(
            insert(scopes),
            [
                {**row, "region": "", "type": "iamRoles", "outcome": "complete", "rows": 4},
                {**row, "region": "eu-west-1", "type": "ec2VPCs", "outcome": "denied", "rows": 0},
            ],
        )
    found = estate.get(path)["properties"]
    assert (found["scan"], found["status"], found["startTime"], found["endTime"]) == ("s-1", "InProgress", "2023-11-14T22:13:20.000Z", None)
    assert (found["expected"], found["done"], found["gaps"], found["resources"]) == (None, 2, 1, 4)
    assert [one["region"] for one in found["regions"]] == ["eu-west-1", "global"]
    assert found["services"][1] == {"service": "iam", "expected": 1, "done": 1, "gaps": 0, "resources": 4}
    assert estate.get(f"{solution}/{INVENTORY}/progress")["value"][0]["properties"] == found
    estate.get(f"{solution}/{INVENTORY}/progress/other", status=404)
    estate.get(f"{estate.vpc}/{INVENTORY}/progress/default", status=404)
    estate.get(path, status=403, token=api.client("Reader", estate.groups[OTHER]))
