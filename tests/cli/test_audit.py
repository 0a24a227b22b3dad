"""`isthmus audit`: the timeline by what stands behind it, and the proof of the log without a server."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from isthmus.access.trail import ingest
from isthmus.audit.events import read_event
from isthmus.cli import app
from isthmus.cli.session import Session
from isthmus.client import Answer
from isthmus.store import Store
from tests.access.cloudtrail import ISSUER, called
from tests.access.test_proof import ALICE, fill, note_given
from tests.support.databases import Databases

CALL = {
    "kind": "Call",
    "at": "2026-01-01T00:00:00Z",
    "service": "ec2",
    "operation": "StopInstances",
    "resources": ["arn:x"],
    "outcome": "Client.UnauthorizedOperation",
    "account": "123456789012",
    "person": None,
    "foreign": "IamUser",
    "grant": None,
    "session": None,
    "accessKeyId": "AKIAONE",
}


class Served:
    """A server that remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.entry: dict[str, Any] = CALL

    def list(self, path: str, *, query: dict[str, str]) -> Any:
        self.asked.append((path, query))
        return iter([{"id": f"/x/{number}", "name": str(number), "properties": self.entry} for number in range(3)])

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    server = Served()
    monkeypatch.setattr(Session, "client", server)
    return server


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("verb", [(), ("timeline",)])
def test_options_before_any_command_are_the_timelines(served: Served, verb: tuple[str, ...]) -> None:
    ran = run("audit", *verb, "--machine", "i-0123456789abcdef0", "--since", "8h", "--last", "2", "--output", "csv")
    assert ran.exit_code == 0, ran.output
    assert served.asked == [("/providers/Isthmus.Access/timeline", {"machine": "i-0123456789abcdef0", "since": "8h", "$top": "2"})]
    lines = ran.stdout.splitlines()
    assert len(lines) == 3
    assert "ec2:StopInstances arn:x" in lines[1]
    assert "IamUser" in lines[1]


def test_everything_is_asked_for_by_an_option(served: Served) -> None:
    assert run("audit", "--all").exit_code == 0
    assert served.asked == [("/providers/Isthmus.Access/timeline", {"all": "true", "$top": "50"})]


@pytest.mark.parametrize(
    ("entry", "what", "outcome"),
    [
        ({**CALL, "outcome": ""}, "ec2:StopInstances arn:x", "Allowed"),
        (CALL, "ec2:StopInstances arn:x", "Client.UnauthorizedOperation"),
        (
            {"kind": "Grant", "mapping": "c/m/Op", "role": "1.Op", "because": "request:7", "endedAt": None},
            "1.Op because of request 7",
            "Allowed",
        ),
        ({"kind": "Grant", "mapping": "c/m/Op", "role": None, "because": "group:g", "endedAt": "x"}, "Op because of group g", "Ended"),
        ({"kind": "Session", "use": "console", "role": "1.Op", "roleArn": "a/r", "revokedAt": "x"}, "console: 1.Op", "Revoked"),
    ],
)
def test_every_entry_says_what_and_how_it_went(served: Served, entry: dict[str, Any], what: str, outcome: str) -> None:
    served.entry = {**CALL, "outcome": None, **entry}
    line = next(csv.DictReader(io.StringIO(run("audit", "timeline", "--output", "csv").stdout)))
    assert (line["WHAT"], line["OUTCOME"]) == (what, outcome)


def test_people_are_named_and_arns_are_short_where_people_read(served: Served) -> None:
    arn = "arn:aws:ec2:eu-west-1:123456789012:instance/i-1"
    served.entry = {**CALL, "person": "p-1", "personName": "Alice", "foreign": None, "resources": [arn]}
    shown = run("audit", "timeline", "--last", "1").stdout
    assert ("Alice" in shown, "p-1" in shown, "instance/i-1" in shown, arn in shown) == (True, False, True, False)
    assert arn in run("audit", "timeline", "--output", "csv").stdout
    served.entry = {**CALL, "foreign": "OurOwn", "foreignBecause": "Isthmus itself called, with a role of its own."}
    shown = run("audit", "timeline", "--last", "1").stdout
    assert ("(Isthmus itself called" in shown, "OurOwn" in shown) == (True, False)


@pytest.mark.parametrize("option", ["--grant", "--session"])
def test_a_grant_that_nobody_knows_is_no_empty_list(served: Served, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("audit", "timeline", option, "G1").exit_code == 0
    monkeypatch.setattr(served, "list", lambda _path, *, query: iter(()))
    ran = run("audit", "timeline", option, "G1")
    assert (ran.exit_code, "NothingFound" in ran.stderr) == (1, True)
    assert run("audit", "timeline", option, "G1", "--since", "1h").exit_code == 0


def test_the_proof_needs_no_server_and_fails_by_its_exit_code(databases: Databases, tmp_path: Path) -> None:
    url = databases.fresh_sqlite(tmp_path / "a.db")
    store = Store(url)
    fill(store, tmp_path / "anchor")
    good = run("audit", "verify", "--database", url, "--anchor", str(tmp_path / "anchor"), "--output", "json")
    assert good.exit_code == 0, good.output
    told = json.loads(good.stdout)
    assert (told["valid"], told["events"], told["covered"], told["believed"]) == (True, 21, {"audit": 12, "trail": 21}, 0)
    with store.begin() as connection:
        connection.execute(text("update trail_events set person = 'other' where seq = 2"))
    store.close()
    bad = run("audit", "verify", "--database", url)
    assert bad.exit_code == 1
    assert "event 2 (" in bad.stderr
    assert "No second store" in bad.stderr


def test_what_our_own_record_alone_says_is_told_apart(databases: Databases, tmp_path: Path) -> None:
    url = databases.fresh_sqlite(tmp_path / "a.db")
    store = Store(url)
    note_given(store, ALICE)
    with store.begin() as connection:
        ingest(connection, [read_event(called(ALICE, "DescribeInstances", 1))], ISSUER)
    store.close()
    found = run("audit", "verify", "--database", url, "--output", "json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["believed"] == 1
    assert "by Isthmus' own record alone" in found.stderr


@pytest.mark.parametrize(
    ("checkpoint", "told"),
    [
        (None, "All 9 records fit the chain. No checkpoint was signed yet."),
        (
            {"size": 8, "at": "then", "anchoredAt": None},
            "covers 8 of them, signed then; no second store has it: see the setting ISTHMUS_AUDIT_ANCHOR.",
        ),
        ({"size": 8, "at": "then", "anchoredAt": "later"}, "and the second store has it since later."),
    ],
)
def test_a_proof_says_what_it_looked_at(served: Served, monkeypatch: pytest.MonkeyPatch, checkpoint: Any, told: str) -> None:
    body = {"valid": True, "firstBroken": None, "records": 9, "checkpoint": checkpoint}
    monkeypatch.setattr(served, "post", lambda _path: Answer(status=200, body=body), raising=False)
    ran = run("audit", "verify")
    assert (ran.exit_code, ran.stdout, told in ran.stderr) == (0, "", True), ran.stderr
    assert json.loads(run("audit", "verify", "--output", "json").stdout) == body


def test_contradictions_and_passwords_are_refused(tmp_path: Path) -> None:
    assert "ContradictingOptions" in run("audit", "verify", "--archive", "x", "--database", "sqlite:///y").stderr
    assert "PasswordInArguments" in run("audit", "verify", "--database", "postgresql://u:secret@h/d").stderr
