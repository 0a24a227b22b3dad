"""Rights hold for every way to write an id, and for lists."""

from __future__ import annotations

import uuid

import pytest

from tests.api.conftest import Api
from tests.api.people import Visitor

HC = "providers/Microsoft.HybridConnectivity"


@pytest.fixture
def other(api: Api) -> str:
    """The id of a second subscription."""
    id = f"/subscriptions/{uuid.uuid4()}"
    assert api.call("PUT", id, {"properties": {"displayName": "mine"}}).status_code == 201
    return id


def test_no_scope_inside_another_lends_its_rights(api: Api, other: str) -> None:
    """The owner of one subscription or group reaches nothing of another by nesting the one in the other."""
    group = api.group("theirs")
    connector = api.connector(group=group)
    mine = f"{other}/resourceGroups/mine"
    assert api.call("PUT", mine, {"location": "eastus"}).status_code == 201
    owner, contributor = api.client("Owner", other), api.client("Contributor", mine)
    for token, outer in ((owner, other), (contributor, mine)):
        assert api.call("GET", connector, token=token).status_code == 403
        for path in (
            group,
            connector,
            f"{group}/resources",
            f"/subscriptions/{api.subscription}/resources",
            "/subscriptions",
            "/tenants/x",
        ):
            for method, body in (("GET", None), ("PUT", {"location": "eastus"}), ("DELETE", None)):
                answer = api.call(method, f"{outer}{path}", body, token=token)
                assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidResourceId"), path
    answer = api.call("DELETE", f"{mine}/resourceGroups/theirs", token=contributor)
    assert answer.status_code == 400
    assert api.call("GET", connector).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/providers/Isthmus.Audit/records", "/providers/Isthmus.Identity/clients", "/providers/Microsoft.Authorization/roleAssignments"],
)
def test_lists_of_the_tenant_need_a_role_in_the_tenant(api: Api, path: str) -> None:
    version = "2026-11-01" if "Isthmus" in path else "2022-04-01"
    assert api.call("GET", path, version=version, token=api.client(None)).status_code == 403
    assert api.call("GET", path, version=version, token=api.client("Reader", api.group())).status_code == 403
    assert api.call("GET", path, version=version, token=api.client("Reader")).json()["value"]


def test_what_everybody_may_know_is_listed_and_subscriptions_by_rights(api: Api, other: str) -> None:
    stranger = api.client(None)
    for path in ("/providers", "/tenants", "/providers/Microsoft.Authorization/roleDefinitions", f"/{HC}/operations"):
        version = "2024-12-01"
        assert api.call("GET", path, version=version, token=stranger).json()["value"], path
    assert api.call("GET", "/subscriptions", token=stranger).json()["value"] == []
    reader = api.client("Reader", other)
    assert [one["id"] for one in api.call("GET", "/subscriptions", token=reader).json()["value"]] == [other]


def test_a_conflict_names_a_resource_only_to_its_readers(api: Api, other: str) -> None:
    theirs = api.connector()
    mine = f"{other}/resourceGroups/mine"
    api.call("PUT", mine, {"location": "eastus"})
    owner = api.client("Owner", other)
    body = {"location": "eastus", "properties": {"hostType": "AWS", "awsCloudProfile": {"accountId": "123456789012"}}}
    answer = api.call("PUT", f"{mine}/{HC}/publicCloudConnectors/conn", body, token=owner)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "DuplicateResource")
    assert theirs.lower() not in answer.text.lower()
    assert api.call("PUT", f"{mine}/{HC}/publicCloudConnectors/conn", body).json()["error"]["target"] == theirs


@pytest.mark.parametrize(("scope", "shown"), [("", "/"), ("/subscriptions/{}", "/subscriptions/{}")])
def test_a_role_is_given_once(api: Api, scope: str, shown: str) -> None:
    at, shown = (text.format(api.subscription) for text in (scope, shown))
    person = str(uuid.uuid4())
    body = {"properties": {"principalId": person, "roleDefinitionId": "Owner"}}
    path = f"{at}/providers/Microsoft.Authorization/roleAssignments"
    assert api.call("PUT", f"{path}/{uuid.uuid4()}", body, version="2022-04-01").status_code == 201
    again = api.call("PUT", f"{path}/{uuid.uuid4()}", body, version="2022-04-01")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "RoleAssignmentExists")
    assert f"{person} has the role Owner at {shown} already" in again.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("PATCH", "", {"properties": [1]}, "InvalidRequestContent"),
        ("PATCH", "", {"properties": {"awsCloudProfile": "x"}}, "InvalidRequestContent"),
        ("PATCH", "", {"tags": {"a": "b\u0000c"}}, "InvalidTagValue"),
        ("PATCH", "", {"tags": {"\U0001f600" * 400: "\U0001f600" * 250}}, "InvalidTagValue"),
        ("GET", "?$top=1", None, ""),
    ],
)
def test_bodies_that_once_broke_something(api: Api, method: str, path: str, body: object, code: str) -> None:
    answer = api.call(method, f"{api.connector()}{path}", body)
    assert answer.json().get("error", {}).get("code", "") == code


@pytest.mark.parametrize("top", ["0", "00001", "00001999999", "1001", "1" + "9" * 30, "-1"])
def test_page_sizes_that_once_broke_something(api: Api, top: str) -> None:
    answer = api.call("GET", f"{api.group()}/{HC}/publicCloudConnectors?$top={top}")
    assert answer.json()["error"]["code"] == "InvalidTop"


def test_tokens_and_filters_that_once_broke_something(api: Api) -> None:
    records = api.call("GET", "/providers/Isthmus.Audit/records?$skiptoken=YWJj", version="2026-11-01")
    assert records.json()["error"]["code"] == "InvalidSkipToken"
    filtered = api.call("GET", f"/subscriptions/{api.subscription}/resources?$filter=name eq 'a%00b'")
    assert filtered.json()["error"]["code"] == "InvalidFilter"


def test_deleting_a_role_assignment_answers_what_was_deleted(api: Api) -> None:
    """azure-mgmt-authorization reads a body from 200."""
    body = {"properties": {"principalId": str(uuid.uuid4()), "roleDefinitionId": "Owner"}}
    path = f"/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    made = api.call("PUT", path, body, version="2022-04-01").json()
    gone = api.call("DELETE", path, version="2022-04-01")
    assert (gone.status_code, gone.json()["id"], gone.json()["properties"]) == (200, made["id"], made["properties"])
    assert api.call("DELETE", path, version="2022-04-01").status_code == 204


def test_the_kind_of_a_principal_is_what_is_known_of_it(api: Api) -> None:
    """Whom nobody calls a kind: an application that is registered here, or a person, also one who has not signed in yet."""
    base = "/providers/Microsoft.Authorization/roleAssignments"
    robot = api.call("POST", "/providers/Isthmus.Identity/clients", {"name": "robot"}, version="2026-11-01").json()["properties"][
        "objectId"
    ]
    told = {}
    for who, principal in (("robot", robot), ("alice", str(uuid.uuid4()))):
        path, body = f"{base}/{uuid.uuid4()}", {"properties": {"principalId": principal, "roleDefinitionId": "Reader"}}
        told[who] = api.call("PUT", path, body, version="2022-04-01").json()["properties"]["principalType"]
        assert api.call("PUT", path, body, version="2022-04-01").status_code < 300, "the same again"
    assert told == {"robot": "ServicePrincipal", "alice": "User"}


def test_lists_name_people_and_applications_to_whom_may_know_them(api: Api) -> None:
    alice = Visitor(api, "alice")
    base = "/providers/Microsoft.Authorization/roleAssignments"
    body = {"properties": {"principalId": alice.id, "roleDefinitionId": "Reader"}}
    path = f"/subscriptions/{api.subscription}{base}"
    assert api.call("PUT", f"{path}/{uuid.uuid4()}", body, version="2022-04-01").status_code < 300
    chosen = f"{path}?$filter=principalId eq '{alice.id}'"

    def names(token: str | None = None) -> list[str | None]:
        found = api.call("GET", chosen, version="2022-04-01", token=token).json()["value"]
        return [one["properties"].get("principalName") for one in found]

    assert names() == ["alice"]
    assert names(alice.token) == [None], "who reads the subscription alone does not read who is in the directory"
    assert api.call("POST", f"/providers/Isthmus.Access/people/{alice.id}/offboard", version="2026-11-01").status_code == 200
    revoked = api.call("GET", "/providers/Isthmus.Access/revocations", version="2026-11-01").json()["value"]
    assert [one["properties"]["personName"] for one in revoked] == ["alice"]
    records = api.call("GET", "/providers/Isthmus.Audit/records", version="2026-11-01").json()["value"]
    assert records[-1]["properties"]["actorName"] == "Operator of this installation"
    told = api.call("POST", "/providers/Isthmus.Audit/records", version="2026-11-01").json()
    assert (told["valid"], told["records"], told["checkpoint"]) == (True, len(records), None)
