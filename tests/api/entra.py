"""What Entra's provisioning service sends, as a table: 35 cases that build on each other, in both of its dialects.

`{user}`, `{other}` and `{group}` stand for ids that earlier cases kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
USER = ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE]
GROUP = ["urn:ietf:params:scim:schemas:core:2.0:Group", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"]
PATCH = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
OBJECT_ID = "58342554-38d6-4ec8-948c-50044d0a33fd"
GROUP_ID = "7c1f4cdd-1f6b-4b83-a4f8-5e7a3f1f0c11"
USERS = "/Users"
FLAG = "aadOptscim062020"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One request and what must come of it. `then` reads `at` afterwards; `keep` remembers the id of the answer."""

    number: int
    what: str
    method: str
    path: str
    status: int
    body: Any = None
    holds: Callable[[httpx.Response], bool] = field(default=lambda _answer: True)
    at: str = ""
    then: Callable[[dict[str, Any]], bool] = field(default=lambda _now: True)
    keep: str = ""
    token: str | None = None


def ops(*operations: dict[str, Any]) -> dict[str, Any]:
    """A PATCH."""
    return {"schemas": PATCH, "Operations": list(operations)}


def where(kind: str, text: str, more: str = "") -> str:
    """The path of a filtered search."""
    return f"/{kind}?filter={quote(text, safe='{}')}{more}"


def found(number: int) -> Callable[[httpx.Response], bool]:
    """Whether a list has so many entries."""

    def holds(answer: httpx.Response) -> bool:
        listed = answer.json()
        return listed["totalResults"] == number and len(listed.get("Resources", [])) == number

    return holds


def _ids(now: dict[str, Any]) -> list[str]:
    return [member["value"] for member in now.get("members", [])]


ALICE = {
    "schemas": USER,
    "externalId": OBJECT_ID,
    "userName": "Alice@example.com",
    "active": True,
    "displayName": "Alice Adams",
    "name": {"formatted": "Alice Adams", "familyName": "Adams", "givenName": "Alice"},
    "emails": [{"primary": True, "type": "work", "value": "alice.adams@example.com"}],
    "meta": {"resourceType": "User"},
    "roles": [{"primary": "True", "type": "WindowsAzureActiveDirectoryRole", "value": "old"}],
}
BOB = {"schemas": USER, "externalId": "not-a-guid", "userName": "bob@example.com", "active": "True"}
TEAM = {"schemas": GROUP, "externalId": GROUP_ID, "displayName": "AWS Team", "meta": {"resourceType": "Group"}}
U, G = "/Users/{user}", "/Groups/{group}"

CASES = (
    Case(number=1, what="create", method="POST", path="/Users", body=ALICE, status=201, keep="user"),
    Case(
        number=2,
        what="content type",
        method="GET",
        path=U,
        status=200,
        holds=lambda answer: answer.headers["content-type"].startswith("application/scim+json"),
    ),
    Case(
        number=3,
        what="duplicate in another case",
        method="POST",
        path="/Users",
        body={"schemas": USER, "userName": "ALICE@EXAMPLE.COM"},
        status=409,
        holds=lambda answer: answer.json()["scimType"] == "uniqueness",
    ),
    Case(number=4, what="by userName", method="GET", path=where("Users", 'userName eq "alice@EXAMPLE.com"'), status=200, holds=found(1)),
    Case(
        number=5,
        what="by work mail",
        method="GET",
        path=where("Users", 'emails[type eq "work"].value eq "Alice.Adams@example.com"'),
        status=200,
        holds=found(1),
    ),
    Case(number=6, what="by externalId", method="GET", path=where("Users", f'externalId eq "{OBJECT_ID}"'), status=200, holds=found(1)),
    Case(number=7, what="nobody", method="GET", path=where("Users", 'userName eq "nobody"'), status=200, holds=found(0)),
    Case(number=8, what="a random id", method="GET", path=f"{USERS}/5171a35d82074e068ce2", status=404),
    Case(
        number=9,
        what="disable by text",
        method="PATCH",
        path=U,
        body=ops({"op": "Replace", "path": "active", "value": "False"}),
        status=204,
        at=U,
        then=lambda now: now["active"] is False,
    ),
    Case(
        number=10,
        what="enable by boolean",
        method="PATCH",
        path=U,
        body=ops({"op": "Replace", "path": "active", "value": True}),
        status=204,
        at=U,
        then=lambda now: now["active"] is True,
    ),
    Case(
        number=11,
        what="disable by boolean",
        method="PATCH",
        path=U,
        body=ops({"op": "replace", "path": "active", "value": False}),
        status=204,
        at=U,
        then=lambda now: now["active"] is False and now["userName"] == "Alice@example.com",
    ),
    Case(
        number=12,
        what="Add a single value",
        method="PATCH",
        path=U,
        body=ops({"op": "Add", "path": "nickName", "value": "Al"}),
        status=204,
        at=U,
        then=lambda now: now["nickName"] == "Al",
    ),
    Case(
        number=13,
        what="several replaces",
        method="PATCH",
        path=U,
        body=ops(
            {"op": "Replace", "path": "displayName", "value": "A. Adams"},
            {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "a@example.com"},
            {"op": "Replace", "path": "name.familyName", "value": "Abel"},
            {"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "R&D"},
        ),
        status=204,
        at=U,
        then=lambda now: (
            [now["displayName"], now["emails"][0]["value"], now["name"]["familyName"]] == ["A. Adams", "a@example.com", "Abel"]
            and now[ENTERPRISE]["department"] == "R&D"
        ),
    ),
    Case(
        number=14,
        what="pathless with dotted and URN keys",
        method="PATCH",
        path=U,
        body=ops({"op": "replace", "value": {"active": True, "name.givenName": "Ann", f"{ENTERPRISE}:employeeNumber": "701984"}}),
        status=204,
        at=U,
        then=lambda now: [now["active"], now["name"]["givenName"], now[ENTERPRISE]["employeeNumber"]] == [True, "Ann", "701984"],
    ),
    Case(
        number=15,
        what="Add where nothing matches",
        method="PATCH",
        path=U,
        body=ops({"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+1 555 0100"}),
        status=204,
        at=U,
        then=lambda now: now["phoneNumbers"] == [{"type": "mobile", "value": "+1 555 0100"}],
    ),
    Case(
        number=16,
        what="a bare manager",
        method="PATCH",
        path=U,
        body=ops({"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "26118915-6090-4610-87e4-49d8ca9f808d"}),
        status=204,
        at=U,
        then=lambda now: now[ENTERPRISE]["manager"]["value"] == "26118915-6090-4610-87e4-49d8ca9f808d",
    ),
    Case(
        number=17,
        what="a truth in quotes in a path",
        method="PATCH",
        path=U,
        body=ops({"op": "Replace", "path": 'roles[primary eq "True"].value', "value": "new"}),
        status=204,
        at=U,
        then=lambda now: [(role["primary"], role["value"]) for role in now["roles"]] == [(True, "new")],
    ),
    Case(
        number=18,
        what="Remove an attribute",
        method="PATCH",
        path=U,
        body=ops({"op": "Remove", "path": "nickName"}),
        status=204,
        at=U,
        then=lambda now: "nickName" not in now,
    ),
    Case(
        number=19,
        what="a group with Microsoft's schema",
        method="POST",
        path="/Groups",
        body=TEAM,
        status=201,
        keep="group",
        holds=lambda answer: not any("microsoft" in schema for schema in answer.json()["schemas"]),
    ),
    Case(
        number=20,
        what="without members",
        method="GET",
        path=f"{G}?excludedAttributes=members",
        status=200,
        holds=lambda answer: "members" not in answer.json() and answer.json()["displayName"] == "AWS Team",
    ),
    Case(
        number=21,
        what="by displayName",
        method="GET",
        path=where("Groups", 'displayName eq "aws team"', "&excludedAttributes=members"),
        status=200,
        holds=found(1),
    ),
    Case(number=22, what="another user", method="POST", path="/Users", body=BOB, status=201, keep="other"),
    Case(
        number=23,
        what="a member with an empty reference",
        method="PATCH",
        path=G,
        body=ops({"op": "Add", "path": "members", "value": [{"$ref": None, "value": "{user}"}, {"$ref": None, "value": "{other}"}]}),
        status=204,
        holds=lambda answer: answer.content == b"",
        at=G,
        then=lambda now: len(_ids(now)) == 2 and all("/scim/v2/Users/" in member["$ref"] for member in now["members"]),
    ),
    Case(
        number=24,
        what="is it a member",
        method="GET",
        path=where("Groups", 'id eq "{group}" and members eq "{user}"', "&attributes=id"),
        status=200,
        holds=found(1),
    ),
    Case(
        number=25,
        what="legacy removal of one keeps the other",
        method="PATCH",
        path=G,
        body=ops({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "{user}"}]}),
        status=204,
        at=G,
        then=lambda now: len(_ids(now)) == 1 and now["members"][0]["type"] == "User",
    ),
    Case(
        number=26,
        what="legacy removal of the last empties",
        method="PATCH",
        path=G,
        body=ops({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "{other}"}]}),
        status=204,
        at=G,
        then=lambda now: _ids(now) == [],
    ),
    Case(
        number=27,
        what="flagged removal",
        method="PATCH",
        path=G,
        body=ops({"op": "add", "path": "members", "value": [{"value": "{user}"}]}, {"op": "remove", "path": 'members[value eq "{other}"]'}),
        status=204,
        at=G,
        then=lambda now: len(_ids(now)) == 1,
    ),
    Case(
        number=28,
        what="rename",
        method="PATCH",
        path=G,
        body=ops({"op": "Replace", "path": "displayName", "value": "AWS Team 2"}),
        status=204,
        at=G,
        then=lambda now: now["displayName"] == "AWS Team 2" and len(_ids(now)) == 1,
    ),
    Case(number=29, what="delete", method="DELETE", path=U, status=204),
    Case(number=30, what="no dangling member", method="GET", path=G, status=200, holds=lambda answer: _ids(answer.json()) == []),
    Case(number=31, what="no token", method="GET", path="/Users", status=401, token=""),
    Case(number=32, what="schemas", method="GET", path="/Schemas", status=200, holds=lambda answer: answer.json()["totalResults"] == 3),
    Case(
        number=33,
        what="configuration",
        method="GET",
        path="/ServiceProviderConfig",
        status=200,
        holds=lambda answer: answer.json()["patch"]["supported"] is True,
    ),
    Case(number=34, what="types", method="GET", path="/ResourceTypes", status=200, holds=lambda answer: answer.json()["totalResults"] == 2),
    Case(
        number=35,
        what="pages",
        method="GET",
        path="/Users?startIndex=1&count=1",
        status=200,
        holds=lambda answer: answer.json()["itemsPerPage"] == 1 and answer.json()["startIndex"] == 1,
    ),
)


def filled(value: Any, known: dict[str, str]) -> Any:
    """A path or body with the ids of earlier cases."""
    text = json.dumps(value)
    for name, id in known.items():
        text = text.replace(f"{{{name}}}", id)
    return json.loads(text)
