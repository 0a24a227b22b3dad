"""Role mappings, roles, grants and revocations over HTTP: who may do what, and what is refused."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from isthmus.access.leaving import DIRECTORY, depart
from isthmus.identity.jws import parse
from tests.api.conftest import Api
from tests.api.people import Visitor

VERSION = "2026-11-01"
PERSON = "6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38"
READ = {"groups": ["g-dev"], "managedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}
ALLOW = {"Effect": "Allow", "Action": ["ec2:Describe*"], "Resource": ["*"]}


def connector(api: Api) -> str:
    id = api.connector()
    path = f"{id}/providers/Microsoft.HybridConnectivity/solutionConfigurations/access"
    assert api.call("PUT", path, {"properties": {"solutionType": "Isthmus.Access"}}).status_code == 200
    return id


def put(api: Api, host: str, properties: Any, name: str = "Reader", **more: Any) -> Any:
    return api.call("PUT", f"{host}/providers/Isthmus.Access/roleMappings/{name}", {"properties": properties}, version=VERSION, **more)


def code(answer: Any) -> str:
    return str(answer.json()["error"]["code"])


def test_a_mapping_becomes_a_role_of_the_template(api: Api) -> None:
    host = connector(api)
    made = put(api, host, READ)
    assert made.status_code == 201, made.text
    properties = made.json()["properties"]
    assert properties["accountId"] == "123456789012"
    assert properties["roleArn"] == f"arn:aws:iam::123456789012:role/{properties['roleName']}"
    assert (properties["requiresMfa"], properties["leaseSeconds"], properties["activation"]["mode"]) == (True, 300, "Standing")
    told = api.call("POST", f"{host}/explainTemplate", None, version="2024-12-01").json()
    role = next(one for one in told["roles"] if one["role"] == properties["roleName"])
    assert role["managedPolicies"][1:] == READ["managedPolicyArns"]
    assert role["managedPolicies"][0].startswith("IsthmusRevocations-")
    assert "one person" in role["trust"]["reason"]
    assert put(api, host, {**READ, "leaseSeconds": 60}).status_code == 200
    assert api.call("DELETE", f"{host}/providers/Isthmus.Access/roleMappings/Reader", version=VERSION).status_code == 200


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"groups": []}, "properties"),
        ({"groups": ["two words"]}, "properties.groups.0"),
        ({"groups": ["g"] * 51}, "properties.groups"),
        ({"managedPolicyArns": []}, "properties"),
        ({"managedPolicyArns": ["ReadOnlyAccess"]}, "properties.managedPolicyArns.0"),
        ({"leaseSeconds": 59}, "properties.leaseSeconds"),
        ({"leaseSeconds": 301}, "properties.leaseSeconds"),
        ({"leaseSeconds": "300"}, "properties.leaseSeconds"),
        ({"requiresMfa": "no"}, "properties.requiresMfa"),
        ({"allowedAddresses": ["everywhere"]}, "properties.allowedAddresses.0"),
        ({"allowedAddresses": [f"2001:db8:1111:2222:3333:4444:5555:{number:04x}/128" for number in range(40)]}, "properties"),
        ({"machineTag": "no colon"}, "properties.machineTag"),
        ({"statements": [{**ALLOW, "Principal": "*"}]}, "properties.statements.0.Principal"),
        ({"statements": [{**ALLOW, "NotAction": ["iam:*"]}]}, "properties.statements.0.NotAction"),
        ({"statements": [{**ALLOW, "Effect": "Maybe"}]}, "properties.statements.0.Effect"),
        ({"statements": [{**ALLOW, "Action": ["no colon"]}]}, "properties.statements.0.Action.0"),
        ({"statements": [{**ALLOW, "Action": "ec2:*"}]}, "properties.statements.0.Action"),
        ({"statements": [{**ALLOW, "Resource": ["r" * 2000] * 5}]}, "properties"),
        ({"activation": {"mode": "Request"}}, "properties"),
        ({"activation": {"mode": "Request", "approverGroups": ["g"], "longestSeconds": 100_000}}, "properties.activation.longestSeconds"),
    ],
)
def test_bad_mappings_are_refused_by_field(api: Api, change: dict[str, Any], target: str) -> None:
    host = connector(api)
    answer = put(api, host, {**READ, **change})
    assert (answer.status_code, code(answer)) == (400, "InvalidRequestContent")
    assert answer.json()["error"]["target"] == target
    listed = api.call("GET", f"{host}/providers/Isthmus.Access/roleMappings", version=VERSION).json()["value"]
    assert listed == []


@pytest.mark.parametrize("name", ["R", "Read-Only", "1Reader", "R" * 33, "Réader"])
def test_names_that_could_not_stand_in_a_template_are_refused(api: Api, name: str) -> None:
    answer = put(api, connector(api), READ, name)
    assert (answer.status_code, code(answer)) == (400, "InvalidResourceName")
    assert "^" not in answer.json()["error"]["message"], "people are told in words"


def test_a_mapping_needs_the_access_solution(api: Api) -> None:
    host = api.connector()
    answer = put(api, host, READ)
    assert (answer.status_code, code(answer)) == (409, "AccessNotConfigured")
    remedy = f"isthmus solution create --connector {host.rpartition('/')[2]} --type access"
    assert remedy in answer.json()["error"]["message"]


def test_only_owners_give_people_roles(api: Api) -> None:
    host = connector(api)
    answer = put(api, host, READ, token=api.client("Contributor"))
    assert (answer.status_code, code(answer)) == (403, "AuthorizationFailed")
    assert put(api, host, READ, token=api.client("Owner")).status_code == 201
    gone = api.call("DELETE", f"{host}/providers/Isthmus.Access/roleMappings/Reader", version=VERSION, token=api.client("Contributor"))
    assert gone.status_code == 403


def test_who_has_not_signed_in_with_a_directory_gets_nothing(api: Api) -> None:
    """An owner of everything here owns no role in an account by that."""
    put(api, connector(api), READ)
    listed = api.call("GET", "/providers/Isthmus.Access/roles", version=VERSION)
    assert (listed.status_code, code(listed)) == (401, "SignInNeeded")
    assert "Reader" not in listed.text
    answer = api.call("POST", "/providers/Isthmus.Access/roles/123456789012.Reader/credentials", version=VERSION)
    assert (answer.status_code, code(answer)) == (401, "SignInNeeded")
    records = api.call("GET", "/providers/Isthmus.Audit/records?$top=1000", version=VERSION).json()["value"]
    assert any(one["properties"]["detail"].get("code") == "SignInNeeded" for one in records), "refusals are in the chain"


def test_roles_of_others_stay_unnamed_whatever_else_is_in_the_way(api: Api) -> None:
    """A context that the sign-in does not meet comes before the membership; it is no reason to tell strangers of the role."""
    put(api, connector(api), {**READ, "requiredContexts": ["c1"]})
    for who, expected in ((Visitor(api, "member", "g-dev"), ["ContextNeeded"]), (Visitor(api, "stranger", "g-sales"), [])):
        listed = api.call("GET", "/providers/Isthmus.Access/roles", version=VERSION, token=who.token).json()["value"]
        assert [one["properties"]["state"] for one in listed] == expected


@pytest.mark.parametrize(
    "body",
    [
        {"use": "probe"},
        {"use": "shell"},
        {"use": "shell:eu-west-1"},
        {"use": "shell", "region": "eu west 1"},
        {"use": "shell", "region": "*"},
        {"use": "console", "region": "eu-west-1"},
        {"region": "eu-west-1"},
    ],
)
def test_uses_that_nobody_could_account_for_are_refused(api: Api, body: dict[str, str]) -> None:
    put(api, connector(api), READ)
    answer = api.call("POST", "/providers/Isthmus.Access/roles/123456789012.Reader/credentials", body, version=VERSION)
    assert (answer.status_code, code(answer)) == (400, "InvalidRequestContent")


def test_unknown_roles_grants_and_people_are_not_found(api: Api) -> None:
    for path, expected in (
        ("/providers/Isthmus.Access/roles/123456789012.Nobody/credentials", (404, "RoleNotFound")),
        ("/providers/Isthmus.Access/grants/G-NONE/end", (404, "GrantNotFound")),
        ("/providers/Isthmus.Access/people/alice@example.com/offboard", (400, "InvalidPerson")),
    ):
        answer = api.call("POST", path, version=VERSION)
        assert (answer.status_code, code(answer)) == expected, path


def test_offboarding_blocks_until_an_owner_lets_in_again(api: Api) -> None:
    path = f"/providers/Isthmus.Access/people/{PERSON}"
    assert api.call("POST", f"{path}/offboard", {"reason": "left"}, version=VERSION, token=api.client("Reader")).status_code == 403
    made = api.call("POST", f"{path}/offboard", {"reason": "left"}, version=VERSION)
    assert made.status_code == 200
    properties = made.json()["properties"]
    assert (properties["state"], properties["accounts"], properties["reason"]) == ("Denied", [], "left")
    shown = api.call("GET", f"/providers/Isthmus.Access/revocations/{made.json()['name']}", version=VERSION).json()
    assert shown["properties"]["person"] == PERSON
    contributor = api.client("Contributor")
    assert api.call("POST", f"{path}/readmit", version=VERSION, token=contributor).status_code == 403
    own = f"/providers/Isthmus.Access/people/{parse(api.token).claims['oid']}"
    answer = api.call("POST", f"{own}/readmit", version=VERSION)
    assert (answer.status_code, code(answer)) == (403, "AuthorizationFailed"), "nobody lets themselves in again"
    assert api.call("POST", f"{path}/readmit", version=VERSION).json() == {"lifted": 1}
    assert api.call("POST", f"{path}/readmit", version=VERSION).json() == {"lifted": 0}


def test_who_is_out_is_refused_whatever_sign_in_they_bring(api: Api) -> None:
    """A sign-in that nobody ended gives nothing to somebody whose access was taken away."""
    boss = Visitor(api, "boss").owns("/")
    assert api.call("GET", "/providers/Isthmus.Access/grants", version=VERSION, token=boss.token).status_code == 200
    assert api.call("POST", f"/providers/Isthmus.Access/people/{boss.id}/offboard", version=VERSION).status_code == 200
    late = Visitor(api, "boss")
    for method, path in (("GET", "/providers/Isthmus.Access/grants"), ("POST", f"/providers/Isthmus.Access/people/{PERSON}/offboard")):
        answer = api.call(method, path, version=VERSION, token=late.token)
        assert (answer.status_code, code(answer)) == (403, "AccessRevoked"), path
    assert api.call("POST", f"/providers/Isthmus.Access/people/{boss.id}/readmit", version=VERSION).json() == {"lifted": 1}
    assert api.call("GET", "/providers/Isthmus.Access/grants", version=VERSION, token=late.token).status_code == 200


def test_owners_are_offboarded_by_owners(api: Api) -> None:
    """A Contributor of the tenant bars neither its Owners nor those of a part of it that they do not own."""
    group, contributor = api.group(), api.client("Contributor")
    boss, head, nobody = Visitor(api, "boss").owns("/"), Visitor(api, "head").owns(group), Visitor(api, "nobody")
    path = "/providers/Isthmus.Access/people/{}/offboard"
    for one, scope in ((boss, "'/'"), (head, f"'{group}'")):
        answer = api.call("POST", path.format(one.id.upper()), version=VERSION, token=contributor)
        assert (answer.status_code, code(answer)) == (403, "AuthorizationFailed")
        assert scope.lower() in answer.json()["error"]["message"].lower()
        assert api.call("GET", "/providers/Isthmus.Identity/me", version=VERSION, token=one.token).status_code == 200, "nothing was changed"
    assert api.call("POST", path.format(nobody.id), version=VERSION, token=contributor).status_code == 200
    mixed = Visitor(api, "mixed").owns(group)
    body = {"properties": {"roleDefinitionId": "Contributor", "principalId": mixed.id}}
    assert api.call("PUT", f"/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}", body).status_code == 201
    assert api.call("POST", path.format(boss.id), version=VERSION, token=mixed.token).status_code == 403
    assert api.call("POST", path.format(head.id), version=VERSION, token=mixed.token).status_code == 200, "an owner of the same part"
    assert api.call("POST", path.format(mixed.id), version=VERSION, token=boss.token).status_code == 200
    with api.app.engine.store.begin() as connection:
        assert depart(connection, api.app.engine, boss.id, DIRECTORY, "left"), "a directory ends anybody's access"
    assert api.call("GET", "/providers/Isthmus.Identity/me", version=VERSION, token=boss.token).status_code == 403


def test_readers_see_grants_sessions_and_revocations_and_others_do_not(api: Api) -> None:
    reader, nobody = api.client("Reader"), api.client(None)
    for kind in ("grants", "sessions", "revocations"):
        assert api.call("GET", f"/providers/Isthmus.Access/{kind}", version=VERSION, token=reader).json()["value"] == []
        assert api.call("GET", f"/providers/Isthmus.Access/{kind}", version=VERSION, token=nobody).status_code == 403
    missing = api.call("GET", f"/providers/Isthmus.Access/revocations/{uuid.uuid4()}", version=VERSION)
    assert missing.status_code == 404


def test_mappings_are_listed_for_a_whole_subscription(api: Api) -> None:
    host = connector(api)
    put(api, host, READ)
    root = host.partition("/resourceGroups/")[0]
    path = f"{root}/providers/Isthmus.Access/roleMappings"
    listed = api.call("GET", path, version=VERSION).json()["value"]
    assert [one["id"].lower() for one in listed] == [f"{host}/providers/Isthmus.Access/roleMappings/Reader".lower()]
    assert listed[0]["properties"]["accountId"] == "123456789012"
    assert api.call("GET", path, version=VERSION, token=api.client(None)).status_code == 403
    for method, body in (("PUT", {"properties": READ}), ("GET", None)):
        assert api.call(method, f"{path}/Reader", body, version=VERSION).status_code == 404, "it lies in its connector alone"
