"""`lint` of an access configuration and `why` of a role over HTTP: what is ordered, who may ask about whom, and what is answered."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from isthmus.solutions import linting
from tests.api.conftest import Api

OURS = "2026-11-01"
ALICE = str(uuid.UUID(int=77))
EXPECTED = {"role", "roleArn", "mappingId", "person", "allowed", "code", "steps", "policy", "signIn", "grants", "lastSession"}


def connector(api: Api, kind: str, account: str = "123456789012") -> str:
    """A connector with one solution; the solution's id."""
    path = f"{api.group()}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/conn"
    body = {"location": "eastus", "properties": {"hostType": "AWS", "awsCloudProfile": {"accountId": account}}}
    assert api.call("PUT", path, body).status_code in (200, 201)
    solution = f"{path}/providers/Microsoft.HybridConnectivity/solutionConfigurations/one"
    answer = api.call("PUT", solution, {"properties": {"solutionType": kind}})
    assert answer.status_code in (200, 201), answer.text
    return solution


@pytest.fixture
def role(api: Api) -> str:
    """A role that people of a group may take; its label."""
    above = connector(api, "Isthmus.Access").partition("/providers/Microsoft.HybridConnectivity/solutionConfigurations")[0]
    allow = {"Effect": "Allow", "Action": ["s3:ListAllMyBuckets"], "Resource": ["*"]}
    body = {"properties": {"groups": ["g-dev"], "statements": [allow]}}
    answer = api.call("PUT", f"{above}/providers/Isthmus.Access/roleMappings/Reader", body, version=OURS)
    assert answer.status_code in (200, 201), answer.text
    return "123456789012.Reader"


def test_least_privilege_may_be_applied_and_takes_nothing_from_somebody_unseen(api: Api, role: str) -> None:
    assert role
    id = ask(api, role, None).json()["mappingId"]
    stored = api.call("GET", id, version=OURS).json()["properties"]
    assert stored["leastPrivilege"] == "Off"
    body = {"properties": {"groups": ["g-dev"], "statements": stored["statements"], "leastPrivilege": "Apply"}}
    answer = api.call("PUT", id, body, version=OURS)
    assert answer.status_code == 200, answer.text
    assert api.call("GET", id, version=OURS).json()["properties"] == {**stored, "leastPrivilege": "Apply"}
    assert ask(api, role, None).json()["suggestedActions"] is None, "everything: nothing is known of this person"


def ask(api: Api, role: str, body: Any, token: str | None = None) -> Any:
    return api.call("POST", f"/providers/Isthmus.Access/roles/{role}/why", body, version=OURS, token=token)


def test_a_lint_is_a_job_of_the_access_solution(api: Api) -> None:
    answer = api.call("POST", f"{connector(api, 'Isthmus.Access')}/lint")
    assert answer.status_code == 202
    assert "Azure-AsyncOperation" in answer.headers
    jobs = api.call("GET", "/providers/Isthmus.Operations/jobs", version=OURS).json()["value"]
    assert linting.LINT in {one["properties"]["job"] for one in jobs}


def test_other_solutions_do_not_lint(api: Api) -> None:
    answer = api.call("POST", f"{connector(api, 'Microsoft.AssetManagement')}/lint")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "AccessNotConfigured"


def test_a_reader_may_not_have_accounts_read(api: Api) -> None:
    solution = connector(api, "Isthmus.Access")
    assert api.call("POST", f"{solution}/lint", token=api.client("Reader")).status_code == 403


def test_a_reader_of_the_tenant_asks_about_anybody(api: Api, role: str) -> None:
    answer = ask(api, role, {"person": ALICE.upper()}, api.client("Reader"))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert set(found) >= EXPECTED
    assert (found["person"], found["allowed"], found["code"]) == (ALICE, False, "SignInNeeded")
    assert [(step["name"], step["holds"]) for step in found["steps"]] == [("revocation", True), ("sign-in", False)]
    assert {"property": "groups", "value": ["g-dev"], "step": "membership"} in found["policy"]
    assert found["signIn"] is found["lastSession"] is None


def test_others_ask_about_themselves_alone(api: Api, role: str) -> None:
    stranger = api.client(None)
    assert ask(api, role, None, stranger).json()["code"] == "SignInNeeded"
    assert ask(api, role, {"person": ALICE}, stranger).json()["error"]["code"] == "AuthorizationFailed"
    inside = api.client("Reader", api.group())
    assert ask(api, role, {"person": ALICE}, inside).status_code == 403


@pytest.mark.parametrize(
    ("label", "body", "code"),
    [
        ("123456789012.Nobody", {}, "RoleNotFound"),
        ("123456789012.Reader", {"person": "alice@example.test"}, "InvalidPerson"),
        ("123456789012.Reader", {"person": 7}, "InvalidRequestContent"),
        ("123456789012.Reader", [1], "InvalidRequestContent"),
    ],
)
def test_questions_that_cannot_be_answered(api: Api, role: str, label: str, body: Any, code: str) -> None:
    assert role
    answer = ask(api, label, body)
    assert answer.json()["error"]["code"] == code, answer.text
