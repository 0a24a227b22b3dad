"""`isthmus access lint` and `why` over a fake server: what is said, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.access.trust import lint, why
from isthmus.cli.formats import Output
from isthmus.cli.session import Session
from isthmus.client import Client

BASE = "https://arm.test"
CONNECTOR = "/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridConnectivity/publicCloudConnectors/c"
SOLUTION = f"{CONNECTOR}/providers/Microsoft.HybridConnectivity/solutionConfigurations/access"
POLL = f"{BASE}/subscriptions/s/providers/Microsoft.HybridConnectivity/locations/E/operationStatuses/1?api-version=2027-01-01"


def finding(severity: str, rule: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::111122223333:role/{rule}"
    return {"rule": rule, "severity": severity, "resource": arn, "details": f"Role {rule} \x1b[2J.", "remedy": f"Repair {rule}."}


def report(*findings: dict[str, Any], blind: bool = False) -> dict[str, Any]:
    counts = {name: len([one for one in findings if one["severity"] == name]) for name in ("Error", "Warning", "Note")}
    return {
        "accountId": "111122223333",
        "lookedAt": {"roles": 3, "oidcProviders": 1, "samlProviders": 1, "users": 2},
        "counts": counts,
        "findings": list(findings),
        "notRead": [{"part": "users", "reason": "The role lacks iam:GenerateCredentialReport.", "action": "x"}] if blind else [],
    }


EXPLAINED = {
    "role": "111122223333.Reader",
    "person": "p",
    "personName": "Alice",
    "allowed": True,
    "code": None,
    "until": "2026-11-28T10:00:00Z",
    "steps": [{"name": "membership", "holds": True, "details": "By the group g-dev.", "code": None}],
    "policy": [
        {"property": "groups", "value": ["g-dev", "g-ops"], "step": "membership"},
        {"property": "requiresMfa", "value": True, "step": None},
        {"property": "claims", "value": {"team": ["red", "blue"]}, "step": None},
        {"property": "leaseSeconds", "value": 300, "step": None},
    ],
    "grants": [{"id": "G-1", "because": "group:g-dev", "endsAt": "2026-11-28T12:00:00Z"}],
    "lastSession": {"accessKeyId": "ASIA1", "issuedAt": "2026-11-28T09:00:00Z", "grant": "G-1", "revokedAt": None},
}


@pytest.fixture
def answered() -> dict[str, Any]:
    """What the server will say; `asked` holds what it was asked."""
    return {"lint": report(), "kind": "Isthmus.Access", "why": EXPLAINED, "asked": []}


@pytest.fixture
def session(answered: dict[str, Any]) -> Iterator[Session]:
    """A session with that server."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/lint"):
            assert path == f"{SOLUTION}/lint"
            return httpx.Response(202, headers={"Azure-AsyncOperation": POLL, "Retry-After": "1"})
        if "operationStatuses" in path:
            return httpx.Response(200, json={"status": "Succeeded", "properties": answered["lint"]})
        if path.endswith("/Isthmus.Access/roles"):
            return httpx.Response(200, json={"value": [{"name": name} for name in answered["roles"]]})
        if path.endswith("/why") and "/111122223333." not in path:
            told = "There is no role. List yours: isthmus aws roles."
            return httpx.Response(404, json={"error": {"code": "RoleNotFound", "message": told}})
        if path.endswith("/why"):
            answered["asked"].append((path, json.loads(request.content)))
            return httpx.Response(200, json=answered["why"])
        if path.endswith("/people"):
            dave = {"objectId": "p-dave", "name": "Dave", "mail": "dave@example.test", "issuer": "i"}
            return httpx.Response(200, json={"value": [{"properties": dave}]})
        return httpx.Response(200, json={"value": [{"id": SOLUTION, "properties": {"solutionType": answered["kind"]}}]})

    made = Session(sleep=lambda _seconds: None)
    client = Client(BASE, lambda: "token", verify=True, transport=httpx.MockTransport(answer), sleep=lambda _seconds: None)
    vars(made)["client"] = client
    yield made
    client.close()


def test_a_clean_account_is_code_0(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    lint(session, CONNECTOR)
    told = capsys.readouterr().err
    assert "0 errors, 0 warnings, 0 notes in account 111122223333; looked at 3 roles, 2 identity providers and 2 users." in told


def test_one_of_a_kind_is_not_many(session: Session, answered: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    answered["lint"] = {**report(finding("Warning", "a")), "lookedAt": {"roles": 1, "oidcProviders": 1, "samlProviders": 0, "users": 1}}
    lint(session, CONNECTOR)
    told = capsys.readouterr().err
    assert "0 errors, 1 warning, 0 notes in account 111122223333; looked at 1 role, 1 identity provider and 1 user." in told


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (report(finding("Error", "a"), finding("Note", "b")), 1),
        (report(finding("Warning", "a")), 0),
        (report(blind=True), 1),
    ],
)
def test_an_error_and_a_part_that_was_not_read_are_code_1(session: Session, answered: dict[str, Any], said: Any, code: int) -> None:
    answered["lint"] = said
    if not code:
        lint(session, CONNECTOR)
        return
    with pytest.raises(typer.Exit) as ended:
        lint(session, CONNECTOR)
    assert ended.value.exit_code == code


def test_findings_are_told_with_their_remedies_and_cannot_move_the_cursor(
    session: Session, answered: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    answered["lint"] = report(finding("Error", "worst"), finding("Error", "worst"), finding("Note", "mild"), blind=True)
    with pytest.raises(typer.Exit):
        lint(session, CONNECTOR, least="warning")
    told = capsys.readouterr()
    assert told.out.count("role/worst") == 2
    assert "mild" not in told.out + told.err
    assert told.err.count("worst: Repair worst.") == 1
    assert "Not read: users. The role lacks iam:GenerateCredentialReport." in told.err
    assert "\x1b[2J" not in told.out


def test_programs_get_the_document(session: Session, answered: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    answered["lint"] = report(finding("Warning", "a"), finding("Note", "b"))
    session.output = Output.JSON
    lint(session, CONNECTOR, least="Warning")
    found = json.loads(capsys.readouterr().out)
    assert [one["rule"] for one in found["findings"]] == ["a"]
    assert found["counts"] == {"Error": 0, "Warning": 1, "Note": 1}


def test_bad_words_and_connectors_without_access_are_refused(session: Session, answered: dict[str, Any]) -> None:
    with pytest.raises(ArmError, match="no severity"):
        lint(session, CONNECTOR, least="dreadful")
    answered["kind"] = "Microsoft.AssetManagement"
    with pytest.raises(ArmError, match="has no access solution"):
        lint(session, CONNECTOR)


def test_why_is_a_readable_list(session: Session, answered: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    why(session, "me", "111122223333.Reader")
    why(session, "6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38", "111122223333.Reader")
    assert [body for _, body in answered["asked"]] == [{}, {"person": "6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38"}]
    told = capsys.readouterr()
    assert "By the group g-dev." in told.out
    assert "Alice may take 111122223333.Reader until 2026-11-28T10:00:00Z." in told.err
    assert "Mapping: groups = g-dev, g-ops (membership)" in told.err
    assert "Mapping: requiresMfa = yes" in told.err
    assert "Mapping: claims = team red or blue" in told.err
    assert "Grant G-1 because of group:g-dev" in told.err
    assert "Last session: ASIA1" in told.err


def test_why_asks_about_people_by_mail_address(session: Session, answered: dict[str, Any]) -> None:
    why(session, "Dave@example.test", "111122223333.Reader")
    assert answered["asked"] == [("/providers/Isthmus.Access/roles/111122223333.Reader/why", {"person": "p-dave"})]
    with pytest.raises(ArmError) as caught:
        why(session, "nobody@example.test", "111122223333.Reader")
    assert (caught.value.code, len(answered["asked"])) == ("PersonNotFound", 1)
    assert "whole name or mail address" in caught.value.message


def test_a_name_that_ends_one_role_is_suggested(session: Session, answered: dict[str, Any]) -> None:
    """Of the caller's own roles, and only where one alone was meant."""
    answered["roles"] = ["111122223333.Reader", "111122223333.Operator", "2.Operator"]
    for role, said in (("reader", "Did you mean 111122223333.Reader?"), ("Operator", ""), ("Nothing", "")):
        with pytest.raises(ArmError) as caught:
            why(session, "me", role)
        assert (caught.value.code, caught.value.message.partition("List yours: isthmus aws roles.")[2].strip()) == ("RoleNotFound", said)


def test_why_not_names_the_code(session: Session, answered: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    step = {"name": "membership", "holds": False, "details": "Not in a group of it.", "code": "NotAMember"}
    refused = {"allowed": False, "code": "NotAMember", "steps": [step], "grants": [], "lastSession": None, "personName": None}
    answered["why"] = {**EXPLAINED, **refused}
    with pytest.raises(typer.Exit) as ended:
        why(session, "me", "111122223333.Reader")
    assert ended.value.exit_code == 1, "for scripts"
    told = capsys.readouterr().err
    assert "p may not take 111122223333.Reader: Not in a group of it. [NotAMember]" in told
    assert "No session yet." in told
