"""`isthmus access federation` over a fake server: what is sent, and what people read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from isthmus.arm.errors import ArmError
from isthmus.cli.access.federation import add_certificate, retire_certificate, show, steps, use
from isthmus.cli.formats import Output
from isthmus.cli.session import Session
from isthmus.client import Client

CONNECTOR = "/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridConnectivity/publicCloudConnectors/c"
SOLUTION = f"{CONNECTOR}/providers/Microsoft.HybridConnectivity/solutionConfigurations/access"
CERTIFICATE = {"fingerprint": "ab" * 32, "subject": "CN=idp", "expiresAt": "2027-01-01T00:00:00Z", "inTemplate": True, "inAccount": False}
FEDERATION = {"mode": "saml", "readAt": None, "certificates": [CERTIFICATE]}
TOLD = {
    "federation": "saml",
    "steps": [{"title": "Set the NameID", "details": "Exactly one.", "values": [{"name": "NameID", "value": "user.objectid"}]}],
    "roles": [{"mapping": "Reader", "roleArn": "arn:r", "groups": ["g"], "clientId": None, "samlRole": "arn:r,arn:p"}],
    "unfit": [{"mapping": "Reader", "property": "requiresMfa", "details": "AWS is not shown it."}],
    "offboarding": "Disable the person there.",
}


@pytest.fixture
def asked() -> list[tuple[str, str, Any]]:
    return []


@pytest.fixture
def session(asked: list[tuple[str, str, Any]]) -> Iterator[Session]:
    solution = {
        "id": SOLUTION,
        "name": "access",
        "properties": {
            "solutionType": "Isthmus.Access",
            "solutionSettings": {"federation": "saml"},
            "statusDetails": "1 role for people.",
            "federation": FEDERATION,
        },
    }

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method != "GET":
            asked.append((request.method, path.rpartition("/")[2], json.loads(request.content) if request.content else None))
        if path.endswith("solutionConfigurations"):
            return httpx.Response(200, json={"value": [solution]})
        body = TOLD if path.endswith("federationSteps") else {"federation": FEDERATION} if path.endswith("Certificate") else solution
        return httpx.Response(200, json=body)

    made = Session(sleep=lambda _seconds: None)
    client = Client("https://arm.test", lambda: "token", verify=True, transport=httpx.MockTransport(answer), sleep=lambda _seconds: None)
    vars(made)["client"] = client
    yield made
    client.close()


def test_steps_are_read_line_by_line(session: Session, asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    session.output = Output.TABLE
    steps(session, CONNECTOR, mode="saml")
    told = capsys.readouterr()
    assert asked == [("POST", "federationSteps", {"federation": "saml"})]
    assert "1. Set the NameID\n   Exactly one.\n   NameID = user.objectid\n" in told.out
    assert "Disable the person there." in told.err
    assert "Mapping 'Reader' does not fit" in told.err
    assert "(requiresMfa): AWS is not shown it." in told.err


def test_programs_get_the_whole_document(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    session.output = Output.JSON
    steps(session, CONNECTOR)
    assert json.loads(capsys.readouterr().out) == TOLD


def test_a_mode_is_chosen_with_what_it_needs(
    session: Session, asked: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "entra.xml"
    file.write_bytes("\ufeff<x/>".encode())
    use(session, CONNECTOR, mode="saml", metadata=file)
    assert asked == [("PATCH", "access", {"properties": {"solutionSettings": {"federation": "saml", "samlMetadata": "<x/>"}}})]
    told = capsys.readouterr()
    assert "ab" * 32 in told.out
    assert "Update the account's stack now" in told.err
    with pytest.raises(ArmError) as caught:
        use(session, CONNECTOR, mode="saml", metadata=tmp_path / "nowhere.xml")
    assert caught.value.code == "UnreadableFile"


def test_metadata_belongs_to_saml_alone(session: Session, asked: list[Any], tmp_path: Path) -> None:
    with pytest.raises(ArmError, match="belongs to --mode saml, not to oidc") as caught:
        use(session, CONNECTOR, mode="oidc", issuer="https://idp.test/", metadata=tmp_path / "x")
    assert (caught.value.code, asked) == ("ContradictingOptions", [])


def test_certificates_come_and_go_by_verbs(session: Session, asked: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "next.xml"
    file.write_text("<next/>")
    add_certificate(session, CONNECTOR, metadata=file)
    retire_certificate(session, CONNECTOR, "ab" * 32)
    assert asked == [("POST", "addCertificate", {"metadata": "<next/>"}), ("POST", "retireCertificate", {"fingerprint": "ab" * 32})]
    capsys.readouterr()
    show(session, CONNECTOR)
    assert "Federation: saml. 1 role for people." in capsys.readouterr().err
