"""A connector is removed with a choice of what stays."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, group_id
from isthmus.arm.types import Actor
from isthmus.engine import Lookup
from isthmus.machines import registration
from isthmus.machines.publickey import parse_public_key
from isthmus.store.tables import audit_records, operations, registrations
from isthmus_agent.keys import Key
from tests.api.conftest import Api

ACCOUNT = "123456789012"
SOLUTIONS = "providers/Microsoft.HybridConnectivity/solutionConfigurations"
KINDS = ("ec2Volumes/vol-1", "ec2Volumes/vol-2", "s3Buckets/b")
SEEDER = Actor(id="t", kind="User")


class Connected:
    """A connector with a solution, three projections, a cluster, an enrolled machine with its projection, a bare one, and a stranger's."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.connector = api.connector(ACCOUNT)
        body = {"properties": {"solutionType": "Microsoft.AssetManagement"}}
        assert api.call("PUT", f"{self.connector}/{SOLUTIONS}/inv", body).status_code == 200
        self.group = group_id(api.subscription, f"aws_{ACCOUNT}")
        self.machine, self.bare, self.mine = (self._machine(name) for name in ("i-0a", "i-0b", "handmade"))
        cluster = self.group.extension("Microsoft.Kubernetes/connectedClusters", "c_us-east-1")
        state = {"provisioningState": "Succeeded"}
        puts = [Resource(id=self.group, location="eastus", properties=state)]
        puts += [self._projection(self.group.extension(f"Microsoft.AwsConnector/{kind.partition('/')[0]}", kind[-1:])) for kind in KINDS]
        puts += [Resource(id=id, location="eastus", properties=state) for id in (self.machine, self.bare, self.mine, cluster)]
        puts += [self._projection(host.extension("Microsoft.AwsConnector/ec2Instances", "default")) for host in (self.machine, self.bare)]
        puts += [self._projection(cluster.extension("Microsoft.AwsConnector/eksClusters", "default"))]
        engine = api.app.engine
        engine.apply(Change(puts=tuple(puts)), SEEDER, "seed", "/")
        key = parse_public_key(Key.generate().public)
        with engine.store.begin() as connection:
            entry = registration.Registrant(machine=self.machine, key=key, vm_id=str(uuid.uuid4()), principal_id=str(uuid.uuid4()))
            registration.register(connection, entry)
            connection.execute(registrations.update().values(state="enrolled", enrolled_at=1, expires_at=engine.now() + 86_400_000))

    def _machine(self, name: str) -> ResourceId:
        return self.group.extension("Microsoft.HybridCompute/machines", name)

    def _projection(self, id: ResourceId) -> Resource:
        source = f"{ACCOUNT}/us-east-1/{id.types[-1]}"
        properties = {"awsAccountId": ACCOUNT, "awsRegion": "us-east-1", "arn": "", "publicCloudResourceName": id.name, "awsProperties": {}}
        return Resource(id=id, properties=properties, source=source, digest="d")

    def remove(self, **body: Any) -> Any:
        return self.api.call("POST", f"{self.connector}/remove", body)

    def removed(self, **body: Any) -> Any:
        """Remove and wait; what the operation answers."""
        answer = self.remove(**body)
        assert answer.status_code == 202, answer.text
        return self.api.finish(answer.headers["Azure-AsyncOperation"].removeprefix(self.api.app.public_url)).json()

    def left(self) -> set[str]:
        """Types and names of what lies in the account's group, `group` for the group itself."""
        page = Lookup(self.api.app.engine.store).page(subscription=self.group.subscription, group=self.group.name, limit=100)
        return {"group" if item.id.key == self.group.key else f"{item.id.types[-1]}/{item.id.name}" for item in page.items}


@pytest.fixture
def connected(api: Api) -> Connected:
    return Connected(api)


PROJECTED = {"ec2Volumes/1", "ec2Volumes/2", "s3Buckets/b", "ec2Instances/default", "eksClusters/default", "connectedClusters/c_us-east-1"}
MACHINES = {"machines/i-0a", "machines/i-0b"}
REST = {"group", "machines/handmade"}


@pytest.mark.parametrize(
    ("chosen", "left", "counts"),
    [
        (("keep", "keep"), PROJECTED | MACHINES | REST, (0, 0)),
        (("delete", "keep"), MACHINES | REST, (6, 0)),
        (("keep", "delete"), (PROJECTED - {"ec2Instances/default"}) | REST, (2, 2)),
        (("delete", "delete"), REST, (6, 2)),
    ],
)
def test_what_was_chosen_goes_and_the_rest_stays(
    connected: Connected, chosen: tuple[str, str], left: set[str], counts: tuple[int, int]
) -> None:
    told = connected.removed(resources=chosen[0], machines=chosen[1])
    assert told["status"] == "Succeeded"
    resources, machines = counts
    assert told["properties"] == {"solutions": 1, "resources": resources, "machines": machines, "groups": 0, "isComplete": True}
    assert connected.left() == left
    assert connected.api.call("GET", connected.connector).status_code == 404
    with connected.api.app.engine.store.read() as connection:
        states = list(connection.execute(select(registrations.c.state)).scalars())
        actions = set(connection.execute(select(audit_records.c.action).where(audit_records.c.actor == "isthmus:removal")).scalars())
    assert states == (["removed"] if chosen[1] == "delete" else ["enrolled"]), "as a DELETE of the machine ends it"
    assert actions == {"connector/remove"}


def test_a_group_with_nothing_left_goes_too_and_the_connector_can_come_back(connected: Connected) -> None:
    connected.api.call("DELETE", str(connected.mine), version="2024-07-10")
    told = connected.removed(resources="delete", machines="delete")
    assert told["properties"]["groups"] == 1
    assert connected.left() == set()
    again = connected.api.connector(ACCOUNT)
    assert connected.api.call("GET", again).json()["properties"]["provisioningState"] == "Succeeded"


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"resources": "drop", "machines": "keep"}, "resources"),
        ({"resources": "keep", "machines": "Delete"}, "machines"),
        ({"resources": True, "machines": "keep"}, "resources"),
        ({"resources": "keep"}, "machines"),
        ({}, "resources"),
        (["delete"], "resources"),
        (None, "resources"),
    ],
)
def test_a_choice_is_needed_and_unknown_words_are_refused(api: Api, body: Any, target: str) -> None:
    connector = api.connector()
    answer = api.call("POST", f"{connector}/remove", body)
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, target)
    assert api.call("GET", connector).json()["properties"]["provisioningState"] == "Succeeded"


def test_nothing_is_written_to_a_connector_that_goes(connected: Connected) -> None:
    api, connector = connected.api, connected.connector
    assert connected.remove(resources="delete", machines="keep").status_code == 202
    shown = api.call("GET", connector).json()
    assert shown["properties"]["provisioningState"] == "Deleting"
    put = {"location": shown["location"], "properties": shown["properties"]}
    solution = {"properties": {"solutionType": "Microsoft.HybridCompute.Onboard"}}
    elsewhere = f"{api.group()}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/other"
    for method, path, body, code in (
        ("PUT", connector, put, "ConnectorBeingRemoved"),
        ("PATCH", connector, {"tags": {"a": "b"}}, "ConnectorBeingRemoved"),
        ("DELETE", connector, None, "ConnectorBeingRemoved"),
        ("PUT", f"{connector}/{SOLUTIONS}/more", solution, "ConnectorBeingRemoved"),
        ("PATCH", f"{connector}/{SOLUTIONS}/inv", solution, "ConnectorBeingRemoved"),
        ("POST", f"{connector}/remove", {"resources": "keep", "machines": "keep"}, "ConnectorBeingRemoved"),
        ("PUT", elsewhere, put, "DuplicateResource"),
    ):
        answer = api.call(method, path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, code), f"{method} {path}"


def test_what_is_to_be_deleted_needs_the_right_to_delete_it(connected: Connected) -> None:
    api = connected.api
    group = connected.connector.partition("/providers/")[0]
    contributor, reader = api.client("Contributor", group), api.client("Reader", group)
    path = f"{connected.connector}/remove"
    for body, scope in (
        ({"resources": "delete", "machines": "keep"}, "AwsConnector"),
        ({"resources": "keep", "machines": "delete"}, "Hybrid"),
    ):
        answer = api.call("POST", path, body, token=contributor)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AuthorizationFailed")
        assert scope in answer.json()["error"]["message"]
    keep = {"resources": "keep", "machines": "keep"}
    assert api.call("POST", path, keep, token=reader).status_code == 403
    assert api.call("POST", path, keep, token=api.client(None)).status_code == 403
    assert api.call("POST", path, keep, token=contributor).status_code == 202


def test_an_operation_tells_how_far_it_is(connected: Connected) -> None:
    api = connected.api
    poll = connected.remove(resources="delete", machines="keep").headers["Azure-AsyncOperation"].removeprefix(api.app.public_url)
    with api.app.engine.store.begin() as connection:
        id = connection.execute(select(operations.c.id)).scalar_one()
        api.app.engine.note_progress(connection, id, {"solutions": 1, "resources": 7, "isComplete": False})
    answer = api.call("GET", poll, version="")
    assert (answer.status_code, answer.json()["status"], answer.json()["properties"]["resources"]) == (202, "Running", 7)
