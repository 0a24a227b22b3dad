"""`isthmus access` against a real server: requests that lie in its database, decided by an owner whom a directory knows."""

from __future__ import annotations

import csv
import io
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from isthmus.access import request_rows
from isthmus.access.judging import APPROVE, DECIDED_WITHIN, Decided, Request
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import parse_resource
from isthmus.arm.types import Actor
from isthmus.client import read_note
from isthmus.client.kept import Kept, KeptTokens
from isthmus.engine import Engine
from isthmus.engine.installation import settle
from isthmus.identity import evidence, people
from isthmus.identity.federation import IssuerKeys
from isthmus.identity.issuer import api_issuer
from isthmus.identity.people import Person
from isthmus.identity.tokens import TokenEndpoint
from isthmus.keys import KeyRing
from isthmus.store import Store
from tests.cli.conftest import Cli
from tests.fakes.jobs import RecordedJobs

pytestmark = pytest.mark.e2e


@dataclass
class Asked:
    """A role of a connector, and somebody's requests for it."""

    cli: Cli
    store: Store
    label: str
    mapping: str

    def add(self, *, glass: bool = True, approvers: tuple[str, ...] = ()) -> str:
        """A request that waits; its id."""
        now = int(time.time() * 1000)
        made = Request(
            id=str(uuid.uuid4()),
            mapping=self.mapping,
            person=str(uuid.uuid4()),
            name="Alice",
            sign_in="s",
            reason="the directory is down",
            seconds=900,
            is_break_glass=glass,
            asked_at=now,
            expires_at=now + DECIDED_WITHIN,
        )
        decisions = tuple(Decided(by=name, name=name, what=APPROVE, at=now) for name in approvers)
        with self.store.begin() as connection:
            request_rows.add(connection, replace(made, decisions=decisions))
        return made.id


def owner(cli: Cli) -> str:
    """The object id of a new owner of the tenant."""
    id = str(uuid.uuid4())
    assert cli("role", "assign", "--principal", id, "--role", "Owner", "--scope", "/").code == 0
    return id


def sign_in(cli: Cli, store: Store, engine: Engine) -> None:
    """The command line becomes that of an owner of the tenant who signed in with the directory, in no group."""
    note = read_note(cli.data)
    assert note is not None
    olga = Person(object_id=owner(cli), name="Olga", issuer="https://idp.test", subject=str(uuid.uuid4()))
    with store.begin() as connection:
        people.remember(connection, olga, engine.clock)
        made = evidence.new_sign_in(
            connection, olga, {"amr": ["mfa"], "groups": []}, clock=engine.clock, identifier=engine.new_guid, seconds=3600
        )
    tenant = settle(store, engine.new_guid).tenant
    ring = KeyRing(Path(note.keys), "api", clock=engine.clock)
    issuer, nobody = api_issuer(note.url, tenant, ring, engine.clock), cast(IssuerKeys, None)
    tokens = TokenEndpoint(store, issuer, tenant=tenant, public_url=note.url, clock=engine.clock, foreign=nobody)
    answer = tokens.for_person(olga.object_id, olga.name, sign_in=made.id)
    kept = KeptTokens(token=answer["access_token"], until=time.time() + 3600)
    Kept({"XDG_CACHE_HOME": str(cli.home)}, note.url).write(kept)


@pytest.fixture
def asked(cli: Cli) -> Iterator[Asked]:
    account, name = f"{uuid.uuid4().int % 10**12:012d}", f"c-{uuid.uuid4().hex[:8]}"
    cli.json("connector", "create", "--account", account, "--name", name, "--group", f"g-{name}")
    id = parse_resource(cli.json("connector", "show", name)["id"]).extension("Isthmus.Access/roleMappings", "Operator")
    store = Store(f"sqlite:///{cli.data / 'isthmus.db'}")
    engine = Engine(store, RecordedJobs(), clock=time.time, new_guid=lambda: str(uuid.uuid4()))
    activation = {"mode": "Request", "approverGroups": ["g-lead"], "approvals": 1, "longestSeconds": 3_600}
    made = Resource(id=id, properties={"groups": ["g-ops"], "activation": activation})
    engine.apply(Change(puts=(made,)), Actor(id="test", kind="User"), "test/write", "/")
    sign_in(cli, store, engine)
    yield Asked(cli=cli, store=store, label=f"{account}.Operator", mapping=id.key)
    store.close()


def test_owners_list_approve_and_acknowledge(cli: Cli, asked: Asked) -> None:
    id = asked.add()
    [row] = [one for one in cli.json("access", "requests", "--state", "Pending") if one["name"] == id]
    assert (row["properties"]["role"], row["properties"]["breakGlass"]) == (asked.label, True)
    table = cli("access", "requests").out
    assert table.split()[:3] == ["ID", "ROLE", "PERSON"]
    assert "0 of 2" in next(line for line in table.splitlines() if id in line)
    first = cli("access", "approve", id, "--reason", "agreed")
    assert (first.code, first.out, "1 more must approve" in first.err) == (0, "", True), first.err
    assert f"Approved the request of Alice for {asked.label}" in first.err
    again = cli("access", "approve", id)
    assert (again.code, "AlreadyApproved" in again.err) == (1, True)
    second = asked.add(approvers=(owner(cli),))
    last = cli("access", "approve", f"/providers/Isthmus.Access/requests/{second}")
    assert (last.code, "begins now" in last.err) == (0, True), last.err
    assert cli("access", "acknowledge", second, "--reason", "read the trail").code == 0
    assert cli("access", "acknowledge", second).code == 1
    review = cli("access", "review", "--output", "csv")
    found = [one for one in csv.DictReader(io.StringIO(review.out)) if one["ROLE"] == asked.label]
    assert [(one["PERSON"], one["BECAUSE"], one["LIVING GRANTS"], one["LAST SESSION"]) for one in found] == [
        ("Alice", f"request:{second}", "1", "")
    ]
    assert found[0]["UNUSED SINCE"]


def test_requests_are_denied_and_what_is_not_ones_own_is_refused(cli: Cli, asked: Asked) -> None:
    id = asked.add()
    assert (lambda ran: (ran.code, "NotYourRequest" in ran.err))(cli("access", "withdraw", id)) == (1, True)
    assert cli("access", "deny", id).code == 2
    denied = cli("access", "deny", id, "--reason", "no", "--output", "json")
    assert (denied.code, denied.json()["properties"]["state"]) == (0, "Denied"), "programs get the whole request"
    assert next(one for one in cli.json("access", "requests") if one["name"] == id)["properties"]["state"] == "Denied"
    ordinary = asked.add(glass=False)
    refused = cli("access", "approve", ordinary)
    assert (refused.code, "NotAnApprover" in refused.err) == (1, True), refused.err
    assert (lambda ran: (ran.code, "InvalidState" in ran.err))(cli("access", "requests", "--state", "Lost")) == (1, True)


def test_a_grant_is_ended_by_a_command(cli: Cli, asked: Asked) -> None:
    id = asked.add(approvers=(owner(cli),))
    assert cli("access", "approve", id).code == 0
    grant = next(one for one in cli.json("access", "requests") if one["name"] == id)["properties"]["grant"]
    ended = cli("access", "end", grant, "--reason", "solved")
    assert (ended.code, ended.out, f"Grant {grant} is ended" in ended.err) == (0, "", True), ended.err
    again = cli("access", "end", grant)
    assert (again.code, "was over already" in again.err) == (0, True), again.err
    row = next(one for one in cli.json("audit", "timeline", "--grant", grant) if one["properties"]["kind"] == "Grant")["properties"]
    assert (row["role"], row["account"], row["ending"]) == (asked.label, asked.label.partition(".")[0], "solved")
    line = next(csv.DictReader(io.StringIO(cli("audit", "timeline", "--grant", grant, "--output", "csv").out)))
    assert (line["WHAT"], line["OUTCOME"], line["ACCOUNT"]) == (f"{asked.label} because of request {id}", "Ended", row["account"])
    unknown = cli("access", "end", "G-NONE")
    assert (unknown.code, "GrantNotFound" in unknown.err) == (1, True)


def test_who_came_by_no_directory_cannot_ask_nor_decide(cli: Cli, asked: Asked) -> None:
    id = asked.add()
    assert cli("login", cli("login", "--link").out.strip()).code == 0
    for act in ("approve", "acknowledge"):
        ran = cli("access", act, id)
        assert (ran.code, "SignInNeeded" in ran.err) == (1, True), ran.err
    for more in ((), ("--break-glass",)):
        ran = cli("access", "request", asked.label, "--reason", "INC-7", "--seconds", "900", *more)
        assert (ran.code, "SignInNeeded" in ran.err, "isthmus login" in ran.err) == (1, True, True), ran.err
    unknown = cli("access", "request", "0.Nobody", "--reason", "INC-7")
    assert (unknown.code, "RoleNotFound" in unknown.err) == (1, True)
    for wrong in ("59", "30 minutes", "0m"):
        assert cli("access", "request", asked.label, "--reason", "x", "--seconds", wrong).code == 2
    minutes = cli("access", "request", asked.label, "--reason", "x", "--seconds", "30m")
    assert "SignInNeeded" in minutes.err, "it is asked for, and refused for another reason"


def test_a_role_whose_mapping_is_gone_is_named_as_such(cli: Cli, asked: Asked) -> None:
    id = asked.add(approvers=(owner(cli),))
    assert cli("access", "approve", id).code == 0
    connector = asked.mapping.partition("/publiccloudconnectors/")[2].partition("/")[0]
    assert cli("mapping", "delete", asked.mapping, "--yes").code == 0
    shown = [line for line in cli("access", "review").out.splitlines() if connector in line]
    assert len(shown) == 1
    assert f"{connector}.operator (removed)" in shown[0]
