"""Sign-in links are for the owner of the data folder alone: whoever uses one is no particular human, and must not be a second one."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.people import Visitor

OURS = "2026-11-01"
LINKS = "/providers/Isthmus.Identity/signInLinks"
OPERATOR = "/providers/Isthmus.Identity/clients/operator"


def code(answer: Any) -> str:
    return str(answer.json()["error"]["code"])


def administrator(api: Api) -> str:
    """A token by a link."""
    url = api.call("POST", LINKS, version=OURS).json()["url"]
    return str(api.http.post("/sign-in", json={"code": url.rpartition("#")[2]}).json()["access_token"])


def test_no_owner_makes_one_but_the_owner_of_the_data_folder(api: Api) -> None:
    for token in (Visitor(api, "alice").owns("/").token, api.client("Owner"), administrator(api), api.client("Contributor")):
        answer = api.call("POST", LINKS, version=OURS, token=token)
        assert (answer.status_code, code(answer)) == (403, "AuthorizationFailed")
    assert "isthmus login --link" in answer.json()["error"]["message"] or "owner of the tenant" in answer.json()["error"]["message"]
    assert api.call("POST", LINKS, version=OURS).status_code == 200


def test_who_made_one_is_on_record_where_it_is_used(api: Api) -> None:
    administrator(api)
    client = api.call("GET", OPERATOR, version=OURS).json()["properties"]
    records = [one["properties"] for one in api.call("GET", "/providers/Isthmus.Audit/records?$top=100", version=OURS).json()["value"]]
    [used] = [one for one in records if one["action"] == "Isthmus.Identity/signIn"]
    assert (used["actor"], used["detail"]["madeBy"]) == (api.app.installation.admin, client["objectId"])


@pytest.mark.parametrize(
    ("action", "body"),
    [("addSecret", {"days": 1}), ("addFederatedCredential", {"issuer": "https://i.test", "subject": "s"})],
)
def test_nobody_else_becomes_the_operator(api: Api, action: str, body: dict[str, Any]) -> None:
    """Else another owner could be the owner of the data folder, and be somebody else by a link."""
    answer = api.call("POST", f"{OPERATOR}/{action}", body, version=OURS, token=Visitor(api, "alice").owns("/").token)
    assert (answer.status_code, code(answer)) == (409, "OperatorHasItsKey")
    shown = api.call("GET", OPERATOR, version=OURS).json()["properties"]
    assert (shown["secrets"], shown["federatedCredentials"]) == ([], [])


def test_the_administrator_can_be_offboarded_too(api: Api) -> None:
    """When somebody leaves who could read the data folder, and its key was taken from them."""
    token, unused = administrator(api), api.call("POST", LINKS, version=OURS).json()["url"].rpartition("#")[2]
    admin = f"/providers/Isthmus.Access/people/{api.app.installation.admin}"
    assert api.call("GET", "/providers/Isthmus.Access/grants", version=OURS, token=token).status_code == 200
    assert api.call("POST", f"{admin}/offboard", version=OURS).status_code == 200
    answer = api.call("GET", "/providers/Isthmus.Access/grants", version=OURS, token=token)
    assert (answer.status_code, code(answer)) == (403, "AccessRevoked")
    used = api.http.post("/sign-in", json={"code": unused})
    assert (used.status_code, code(used)) == (403, "AccessRevoked")
    assert api.call("POST", f"{admin}/readmit", version=OURS).json() == {"lifted": 1}
    assert api.http.post("/sign-in", json={"code": unused}).status_code == 200


def test_an_owner_who_was_offboarded_has_no_other_way(api: Api) -> None:
    alice = Visitor(api, "alice").owns("/")
    assert api.call("POST", LINKS, version=OURS, token=alice.token).status_code == 403
    assert api.call("POST", f"/providers/Isthmus.Access/people/{alice.id}/offboard", version=OURS).status_code == 200
    other = f"/providers/Isthmus.Access/people/{uuid.uuid4()}"
    for method, path in (("GET", "/providers/Isthmus.Access/grants"), ("GET", other), ("POST", LINKS), ("POST", f"{OPERATOR}/addSecret")):
        answer = api.call(method, path, version=OURS, token=alice.token)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AccessRevoked"), path
