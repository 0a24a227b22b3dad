"""Somebody always remains who may give roles in the whole tenant."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from isthmus.identity.roles import OWNER
from tests.api.conftest import Api

ASSIGNMENTS = "/providers/Microsoft.Authorization/roleAssignments"
CLIENTS = "/providers/Isthmus.Identity/clients"
OURS = "2026-11-01"
AUTHORIZATION = "2022-04-01"


def owners(api: Api) -> list[str]:
    """Ids of the assignments of the role Owner at '/'."""
    found = api.call("GET", f"{ASSIGNMENTS}?$filter=atScope()", version=AUTHORIZATION).json()["value"]
    return [one["id"] for one in found if one["properties"]["roleDefinitionId"].endswith(OWNER.id)]


def remove(api: Api, id: str) -> Any:
    return api.call("DELETE", id, version=AUTHORIZATION)


def keep_one(api: Api) -> str:
    """Take the role away from everybody but the operator; its assignment."""
    me = api.call("GET", "/providers/Isthmus.Identity/me", version=OURS).json()["value"][0]["name"]
    found = api.call("GET", f"{ASSIGNMENTS}?$filter=principalId eq '{me}'", version=AUTHORIZATION).json()["value"]
    mine = str(found[0]["id"])
    for id in owners(api):
        if id != mine:
            assert remove(api, id).status_code == 200
    return mine


def test_the_last_owner_of_the_tenant_stays(api: Api) -> None:
    last = keep_one(api)
    answer = remove(api, last)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "LastOwner")
    assert owners(api) == [last]
    api.client("Owner")
    assert remove(api, last).status_code == 200


def test_owners_of_less_and_other_roles_do_not_count(api: Api) -> None:
    last = keep_one(api)
    api.client("Owner", api.group())
    api.client("Contributor")
    assert remove(api, last).json()["error"]["code"] == "LastOwner"
    for one in api.call("GET", f"/subscriptions/{api.subscription}{ASSIGNMENTS}", version=AUTHORIZATION).json()["value"]:
        if one["id"] != last:
            assert remove(api, one["id"]).status_code == 200


def test_two_owners_cannot_remove_each_other(api: Api) -> None:
    first = keep_one(api)
    api.client("Owner")
    second = next(id for id in owners(api) if id != first)
    gate = threading.Barrier(2)
    seen: list[int] = []

    def go(id: str) -> None:
        gate.wait()
        seen.append(remove(api, id).status_code)

    both = [threading.Thread(target=go, args=(id,)) for id in (first, second)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    # The operator may have lost its right to remove before it asked for the second.
    assert sorted(seen) in ([200, 403], [200, 409])


def test_a_removed_client_leaves_no_role_behind(api: Api) -> None:
    name = f"c-{uuid.uuid4().hex[:8]}"
    made = api.call("POST", CLIENTS, {"name": name, "clientId": name}, version=OURS).json()["properties"]
    for scope in ("", api.group()):
        body = {"properties": {"roleDefinitionId": "Reader", "principalId": made["objectId"]}}
        assert api.call("PUT", f"{scope}{ASSIGNMENTS}/{uuid.uuid4()}", body, version=AUTHORIZATION).status_code == 201
    assert api.call("POST", f"{CLIENTS}/{name}/remove", version=OURS).status_code == 204
    found = api.call("GET", f"{ASSIGNMENTS}?$filter=principalId eq '{made['objectId']}'", version=AUTHORIZATION).json()
    assert found["value"] == []


def test_a_client_that_is_the_last_owner_stays(api: Api) -> None:
    token = api.client("Owner")
    found = api.call("GET", CLIENTS, version=OURS).json()["value"]
    mine = next(one["properties"] for one in found if one["name"] != "operator")
    for id in owners(api):
        one = api.call("GET", id, version=AUTHORIZATION, token=token).json()["properties"]
        if one["principalId"] != mine["objectId"]:
            assert api.call("DELETE", id, version=AUTHORIZATION, token=token).status_code == 200
    answer = api.call("POST", f"{CLIENTS}/{mine['clientId']}/remove", version=OURS, token=token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "LastOwner")
    assert api.call("GET", f"{CLIENTS}/{mine['clientId']}", version=OURS, token=token).status_code == 200


def test_the_operator_stays(api: Api) -> None:
    answer = api.call("POST", f"{CLIENTS}/operator/remove", version=OURS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "OperatorCannotBeRemoved")
