"""Who may provision, what each write leaves behind, and that bad input changes nothing."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from sqlalchemy import func, select, update

from isthmus.audit import verify
from isthmus.store.tables import audit_records, client_secrets
from tests.api.conftest import Api
from tests.api.provisioner import Directory

USERS = "/Users"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
USER = ["urn:ietf:params:scim:schemas:core:2.0:User"]
GROUP = ["urn:ietf:params:scim:schemas:core:2.0:Group"]
PATCH = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
ALICE = {"schemas": USER, "userName": "alice@example.com"}
REPLACE = {"schemas": PATCH, "Operations": [{"op": "replace", "path": "title", "value": "x"}]}


@pytest.fixture
def directory(api: Api) -> Directory:
    """A directory with the narrow role."""
    return Directory(api)


def counted(api: Api, action: str) -> int:
    """Refusals of an action in the chain."""
    with api.app.engine.store.read() as connection:
        chosen = (audit_records.c.action == action, audit_records.c.outcome == "refused")
        return connection.execute(select(func.count()).where(*chosen)).scalar_one()


def test_strangers_are_refused_and_counted(api: Api, directory: Directory) -> None:
    before = api.app.engine.clock()
    guesses = (
        "",
        "x",
        f"{directory.client_id}.isthmus_{'0' * 64}",
        f"{directory.client_id}.{directory.secret[:-1]}",
        f"nobody.{directory.secret}",
        f"{directory.secret}",
        f"{directory.client_id.upper()}.{directory.secret}",
    )
    for guess in guesses * 3:
        answer = directory.send("GET", "/Users", token=guess)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/scim+json"
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert (answer.json()["schemas"], answer.json()["status"]) == ([ERROR], "401")
    minutes = int((api.app.engine.clock() - before) // 60)
    assert 1 <= counted(api, "scim") <= 2 + minutes, "counted, not listed"


def test_a_secret_ends_at_once(api: Api, directory: Directory) -> None:
    """What is remembered of a secret does not outlive it."""
    assert directory.send("GET", "/Users").status_code == 200
    with api.app.engine.store.begin() as connection:
        connection.execute(update(client_secrets).where(client_secrets.c.client_id == directory.client_id).values(expires_at=1))
    assert "expired" in directory.send("GET", "/Users").json()["detail"]
    secrets = api.call("GET", f"/providers/Isthmus.Identity/clients/{directory.client_id}", version="2026-11-01").json()
    removed = {"id": secrets["properties"]["secrets"][0]["id"]}
    answer = api.call("POST", f"/providers/Isthmus.Identity/clients/{directory.client_id}/removeSecret", removed, version="2026-11-01")
    assert answer.status_code in (200, 204), answer.text
    assert directory.send("GET", "/Users").status_code == 401


@pytest.mark.parametrize(
    ("role", "read", "write"),
    [(None, 403, 403), ("Reader", 200, 403), ("Contributor", 200, 403), ("Directory Provisioner", 200, 201), ("Owner", 200, 201)],
)
def test_roles(api: Api, role: str | None, read: int, write: int) -> None:
    """Who may change every resource may not put people into groups: groups give access."""
    directory = Directory(api, role)
    assert directory.send("GET", "/Users").status_code == read
    answer = directory.send("POST", "/Users", ALICE)
    assert answer.status_code == write
    if write == 403:
        assert (answer.json()["schemas"], "authorization" in answer.json()["detail"]) == ([ERROR], True)
        assert counted(api, "Isthmus.Directory/users/write") == 1
        assert directory.rows()["directory_users"] == []


def test_the_narrow_role_does_nothing_else(api: Api) -> None:
    token = api.client("Directory Provisioner")
    assert api.call("GET", f"/subscriptions/{api.subscription}/resourceGroups", token=token).status_code == 403
    path = f"/subscriptions/{api.subscription}/resourceGroups/g"
    assert api.call("PUT", path, {"location": "eastus"}, token=token).status_code == 403


def test_access_tokens_open_it_too(api: Api, directory: Directory) -> None:
    assert directory.send("GET", "/Users", token=api.client("Directory Provisioner")).status_code == 200


def test_a_role_below_the_tenant_does_not_count(api: Api, directory: Directory) -> None:
    token = api.client("Directory Provisioner", f"/subscriptions/{api.subscription}")
    assert directory.send("POST", "/Users", ALICE, token=token).status_code == 403


def test_every_write_is_an_audit_record(api: Api, directory: Directory) -> None:
    oid, gid = str(uuid.uuid4()), str(uuid.uuid4())
    user = directory.make("/Users", **ALICE, externalId=oid.upper())
    group = directory.make("/Groups", schemas=GROUP, displayName="Team", externalId=gid, members=[{"value": user}])
    off = {"schemas": PATCH, "Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
    assert directory.send("PATCH", f"/Users/{user}", off).status_code == 204
    assert directory.send("PATCH", f"/Users/{user}", off).status_code == 204, "the same again is no write"
    leave = {"schemas": PATCH, "Operations": [{"op": "Remove", "path": "members", "value": [{"value": user}]}]}
    assert directory.send("PATCH", f"/Groups/{group}", leave).status_code == 204
    assert directory.send("PATCH", f"/Groups/{group}", leave).status_code == 204
    assert directory.send("DELETE", f"/Users/{user}").status_code == 204
    assert directory.send("DELETE", f"/Users/{user}").status_code == 404
    records = directory.records()
    assert [(one.action.removeprefix("Isthmus.Directory/"), one.outcome) for one in records] == [
        ("users/write", "accepted"),
        ("groups/write", "accepted"),
        ("users/write", "accepted"),
        ("groups/write", "accepted"),
        ("users/delete", "accepted"),
        ("users/delete", "refused"),
    ]
    assert {one.actor for one in records} == {directory.object_id}
    assert [one.target for one in records[:2]] == [f"/scim/v2/Users/{user}", f"/scim/v2/Groups/{group}"]
    said = [json.loads(one.detail) for one in records]
    assert (said[0]["objectId"], said[0]["active"], said[0]["verb"]) == (oid, True, "create")
    assert (said[1]["objectId"], said[1]["added"], said[1]["addedCount"]) == (gid, [oid], 1)
    assert said[2]["active"] is False
    assert (said[3]["removed"], said[3]["removedCount"]) == ([oid], 1)
    with api.app.engine.store.read() as connection:
        assert verify(connection) is None


def test_conditions_hold(directory: Directory) -> None:
    user = directory.make("/Users", **ALICE)
    group = directory.make("/Groups", schemas=GROUP, displayName="Team")
    join = {"schemas": PATCH, "Operations": [{"op": "add", "path": "members", "value": [{"value": user}]}]}
    for path, change in ((f"/Users/{user}", REPLACE), (f"/Groups/{group}", join)):
        etag = directory.send("GET", path).headers["etag"]
        assert directory.send("PATCH", path, change, headers={"If-Match": 'W/"99"'}).status_code == 412
        assert directory.send("PATCH", path, change, headers={"If-Match": etag}).status_code == 204
        assert directory.send("GET", path).headers["etag"] != etag
        assert directory.send("DELETE", path, headers={"If-Match": etag}).status_code == 412


def deep(levels: int) -> bytes:
    return b'{"schemas":["%s"],"userName":"deep","name":%s1%s}' % (USER[0].encode(), b'{"a":' * levels, b"}" * levels)


def patched(**operation: Any) -> dict[str, Any]:
    return {"schemas": PATCH, "Operations": [operation]}


BAD: dict[str, tuple[str, str, Any, int]] = {
    "no JSON": ("POST", "/Users", b"{", 400),
    "nothing": ("POST", "/Users", b"", 400),
    "a list": ("POST", "/Users", [ALICE], 400),
    "not UTF-8": ("POST", "/Users", b'{"userName":"\xff"}', 400),
    "a duplicate key": ("POST", "/Users", b'{"schemas":["%s"],"userName":"a","userName":"b"}' % USER[0].encode(), 400),
    "a duplicate key in another case": ("POST", "/Users", b'{"schemas":["%s"],"userName":"a","USERNAME":"b"}' % USER[0].encode(), 400),
    "a duplicate key inside": ("PATCH", "/Users/{user}", b'{"Operations":[{"op":"add","op":"remove","path":"title"}]}', 400),
    "no number": ("POST", "/Users", b'{"userName":NaN}', 400),
    "too large a number": ("POST", "/Users", b'{"userName":1e999}', 400),
    "NUL": ("POST", "/Users", {**ALICE, "userName": "a\0b"}, 400),
    "half a pair": ("POST", "/Users", b'{"schemas":["%s"],"userName":"a\\ud800"}' % USER[0].encode(), 400),
    "too deep": ("POST", "/Users", deep(40), 400),
    "far too deep": ("POST", "/Users", deep(100_000), 400),
    "no userName": ("POST", "/Users", {"schemas": USER}, 400),
    "an empty userName": ("POST", "/Users", {**ALICE, "userName": " "}, 400),
    "a long userName": ("POST", "/Users", {**ALICE, "userName": "a" * 257}, 400),
    "a userName that is none": ("POST", "/Users", {**ALICE, "userName": 5}, 400),
    "mails that are none": ("POST", "/Users", {**ALICE, "emails": "a@example.com"}, 400),
    "a truth that is none": ("POST", "/Users", {**ALICE, "active": "maybe"}, 400),
    "too much": ("POST", "/Users", {**ALICE, "title": "x" * 70_000}, 413),
    "a number beyond all": ("POST", "/Users", {**ALICE, "title": 2**70}, 400),
    "a group without a name": ("POST", "/Groups", {"schemas": GROUP}, 400),
    "a member that nobody is": ("POST", "/Groups", {"schemas": GROUP, "displayName": "g", "members": [{"value": "nobody"}]}, 400),
    "a member without an id": ("POST", "/Groups", {"schemas": GROUP, "displayName": "g", "members": [{"type": "User"}]}, 400),
    "too many members": (
        "POST",
        "/Groups",
        {"schemas": GROUP, "displayName": "g", "members": [{"value": f"{number}"} for number in range(10_001)]},
        400,
    ),
    "10 MB": ("POST", "/Users", b'{"userName":"' + b"a" * 10_000_000 + b'"}', 413),
    "no operations": ("PATCH", "/Users/{user}", {"schemas": PATCH}, 400),
    "empty operations": ("PATCH", "/Groups/{group}", {"schemas": PATCH, "Operations": []}, 400),
    "operations that are none": ("PATCH", "/Groups/{group}", {"schemas": PATCH, "Operations": "all"}, 400),
    "an operation that is none": ("PATCH", "/Groups/{group}", {"schemas": PATCH, "Operations": ["add"]}, 400),
    "an unknown verb": ("PATCH", "/Users/{user}", {"schemas": PATCH, "Operations": [{"op": "move", "path": "title", "value": 1}]}, 400),
    "a good one, then a bad one": (
        "PATCH",
        "/Users/{user}",
        {"schemas": PATCH, "Operations": [{"op": "add", "path": "title", "value": "t"}, {"op": "add", "path": "emails", "value": 1}]},
        400,
    ),
    "a path that is none": ("PATCH", "/Users/{user}", {"schemas": PATCH, "Operations": [{"op": "add", "path": "[[", "value": 1}]}, 400),
    "a userName taken away": ("PATCH", "/Users/{user}", {"schemas": PATCH, "Operations": [{"op": "remove", "path": "userName"}]}, 400),
    "members without ids": ("PATCH", "/Groups/{group}", patched(op="Remove", path="members", value=[{}]), 400),
    "members by number": ("PATCH", "/Groups/{group}", patched(op="Add", path="members", value=[7]), 400),
    "one member, then a stranger": (
        "PATCH",
        "/Groups/{group}",
        {"schemas": PATCH, "Operations": [{"op": "Add", "path": "members", "value": [{"value": "{other}"}, {"value": "nobody"}]}]},
        400,
    ),
    "a name that is taken": ("POST", "/Groups", {"schemas": GROUP, "displayName": "TEAM"}, 409),
    "an object id that is taken": ("POST", "/Users", {"schemas": USER, "userName": "b", "externalId": "{oid}"}, 409),
    "another's object id": ("PATCH", "/Users/{other}", patched(op="add", path="externalId", value="{oid}"), 409),
    "somebody who is not there": ("PATCH", f"{USERS}/nobody", REPLACE, 404),
    "an id with NUL": ("PATCH", f"{USERS}/a%00b", REPLACE, 404),
    "another verb": ("PUT", "/Users", ALICE, 405),
    "no such place": ("POST", "/Machines", ALICE, 404),
    "in bulk": ("POST", "/Bulk", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": []}, 501),
}  # fmt: skip


def test_bad_input_changes_nothing(directory: Directory) -> None:
    """Each is answered with an error in SCIM's shape."""
    oid = str(uuid.uuid4())
    user = directory.make("/Users", **ALICE, externalId=oid)
    other = directory.make("/Users", schemas=USER, userName="other")
    group = directory.make("/Groups", schemas=GROUP, displayName="Team", members=[{"value": user}])
    known = {"user": user, "other": other, "group": group, "oid": oid}
    before, failed = directory.rows(), list[str]()
    for name, (method, path, body, status) in BAD.items():
        if not isinstance(body, bytes):
            body = json.dumps(body)
            for word, value in known.items():
                body = body.replace(f"{{{word}}}", value)
            body = body.encode()
        answer = directory.send(method, path.format(**known), body)
        if answer.status_code != status:
            failed.append(f"{name}: {answer.status_code} {answer.text[:200]}")
        error = answer.json()
        if error.get("schemas") != [ERROR] or error.get("status") != str(status) or not 5 < len(error.get("detail", "")) <= 500:
            failed.append(f"{name}: {answer.text[:300]}")
        if directory.rows() != before:
            failed.append(f"{name}: something changed")
            before = directory.rows()
    assert not failed, "\n".join(failed)


def test_a_form_is_not_read(directory: Directory) -> None:
    answer = directory.send("POST", "/Users", b"userName=a", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status_code, answer.json()["schemas"]) == (415, [ERROR])
    assert directory.rows()["directory_users"] == []


ODD = {
    "filter=userName eq": 400,
    "filter=" + "(" * 2000: 400,
    "filter=" + " and ".join(['userName eq "a"'] * 100): 200,
    "filter=" + " and ".join(['userName eq "a"'] * 2000): 400,
    'filter=nosuch eq "a"': 400,
    'filter=externalId eq "a\\u0000b"': 400,
    'filter=emails[type eq "work"].value eq "a\\u0000b"': 400,
    'filter=displayName co "a" or not (active eq false)': 200,
    "startIndex=-5&count=-1": 200,
    "startIndex=99999999999999999999": 400,
    "startIndex=999999999": 200,
    "count=x": 400,
    "sortBy=userName": 501,
    "attributes=[[": 400,
}


def test_odd_questions(directory: Directory) -> None:
    """Answered or refused, but never a failure of ours."""
    directory.make("/Users", **ALICE)
    answers = {query: directory.send("GET", f"/Users?{query}") for query in ODD}
    assert {query: answer.status_code for query, answer in answers.items()} == ODD


def test_passwords_are_not_kept(directory: Directory) -> None:
    user = directory.make("/Users", **ALICE, password="hunter2-hunter2")
    change = {"schemas": PATCH, "Operations": [{"op": "replace", "path": "password", "value": "hunter3-hunter3"}]}
    assert directory.send("PATCH", f"/Users/{user}", change).status_code == 204
    assert "hunter" not in directory.send("GET", f"/Users/{user}").text
    assert "hunter" not in str(directory.rows())
