"""What ends, and when: shells outlive sessions, accounts do not always answer, and people come back. On paper, where hours pass at once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection, select

from isthmus.access import broker, denials, grants, revocations
from isthmus.access.grants import Grant
from isthmus.access.leaving import begin_anew, leave_groups, offboard
from isthmus.access.revocations import DENIED, UNREACHABLE, Denial
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.store import Store
from isthmus.store.tables import access_sessions
from tests.access.estate import ADMIN, CONNECTOR
from tests.access.paper import Paper
from tests.support.clock import Clock

SHELL = "shell:ap-southeast-2"
MINUTE, HOUR = 60, 3600


@pytest.fixture
def paper(store: Store, clock: Clock) -> Paper:
    return Paper(store, clock)


def out(paper: Paper, person: Actor) -> str:
    with paper.engine.store.begin() as connection:
        return offboard(connection, paper.engine, person.id, ADMIN, "left")


def back(paper: Paper, person: Actor) -> int:
    with paper.engine.store.begin() as connection:
        return revocations.readmit(connection, paper.engine, person.id, ADMIN)


def denial(paper: Paper, revocation: str) -> Denial:
    with paper.engine.store.read() as connection:
        found = revocations.find(connection, revocation)
    assert found is not None
    [one] = found.denials
    return one


def ended(paper: Paper) -> list[tuple[str, str, str]]:
    return [(region, owner.source, owner.grant) for region, owner in paper.cloud.ended]


def test_a_grant_that_ends_long_after_its_lease_ends_its_shells(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    issued = paper.issue(alice, "Shell", SHELL)
    paper.clock.advance(6 * MINUTE)
    with paper.engine.store.begin() as connection:
        assert leave_groups(connection, paper.engine, alice.id, {"g-dev"}, ADMIN, "left the group") == (issued.grant,)
    assert paper.run_jobs() == []
    assert set(ended(paper)) == {("ap-southeast-2", alice.id, issued.grant)}


def test_a_grant_that_ends_after_its_lease_tells_no_account_where_no_shell_was_opened(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    paper.issue(alice)
    paper.clock.advance(6 * MINUTE)
    with paper.engine.store.begin() as connection:
        leave_groups(connection, paper.engine, alice.id, {"g-dev"}, ADMIN, "left the group")
    assert paper.jobs.orders == {}


def test_who_leaves_hours_after_their_last_session_leaves_no_shell_behind(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    paper.issue(alice, "Shell", SHELL)
    paper.clock.advance(30 * HOUR)
    made = out(paper, alice)
    assert paper.run_jobs() == []
    assert ("ap-southeast-2", alice.id, "") in ended(paper)
    assert denial(paper, made).state == DENIED
    assert denial(paper, made).shells > 0


def test_shells_end_with_a_grant_that_runs_out_by_itself(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    issued = paper.issue(alice, "Shell", SHELL)
    assert paper.resume() == []
    assert ended(paper) == []
    paper.clock.advance(HOUR + 1)
    assert paper.resume() == []
    assert set(ended(paper)) == {("ap-southeast-2", alice.id, issued.grant)}
    policy = paper.cloud.document
    assert issued.grant not in str(policy), "its sessions have ended: nothing of it needs room in the policy"
    before = len(paper.cloud.ended)
    assert paper.resume() == []
    assert len(paper.cloud.ended) == before, "once"


def test_shells_go_on_where_the_person_has_signed_in_again_and_holds_the_role(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    paper.issue(alice, "Shell", SHELL)
    paper.clock.advance(50 * MINUTE)
    paper.issue(paper.sign_in("alice", "g-dev"), "Shell", SHELL)
    with paper.engine.store.begin() as connection:
        held = grants.living(connection, alice.id, paper.engine.now())
        # The standing grant of the first sign-in lasts as long as the second; another one follows it.
        grants.add(connection, Grant(**{**_fields(held[0]), "id": "G-LATER", "ends_at": held[0].ends_at + HOUR * 1000}))
    for minutes in (20, 60):
        paper.clock.advance(minutes * MINUTE)
        assert paper.resume() == []
        assert ended(paper) == []
    paper.clock.advance(HOUR)
    assert paper.resume() == []
    assert {source for _, source, _ in ended(paper)} == {alice.id}


def _fields(grant: Grant) -> dict[str, Any]:
    return {name: getattr(grant, name) for name in Grant.__dataclass_fields__}


def test_an_account_that_does_not_answer_for_hours_has_its_shells_ended_then(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    paper.issue(alice, "Shell", SHELL)
    made = out(paper, alice)
    paper.cloud.down = {"deny"}
    assert paper.run_jobs() == ["ServiceUnavailable"]
    assert denial(paper, made).state == UNREACHABLE
    paper.clock.advance(5 * HOUR)
    paper.cloud.down = set()
    assert paper.resume() == []
    assert ended(paper) == [("ap-southeast-2", alice.id, "")]
    assert (denial(paper, made).state, denial(paper, made).denied_at) == (DENIED, None)
    assert "ended by itself" in denial(paper, made).detail


def test_shells_end_also_where_nothing_can_be_watched(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    paper.issue(alice, "Shell", SHELL)
    made = out(paper, alice)
    paper.cloud.down = {"exchange"}
    assert paper.run_jobs() == ["ServiceUnavailable"]
    assert ended(paper) == [("ap-southeast-2", alice.id, "")]
    assert (denial(paper, made).state, denial(paper, made).detail) == (UNREACHABLE, "exchange: throttled")
    paper.cloud.down = set()
    assert paper.resume() == []
    assert denial(paper, made).denied_at is not None


@pytest.mark.parametrize("late", [0, 3, 600])
def test_who_is_let_in_again_is_not_watched_in_vain(paper: Paper, late: int) -> None:
    """A probe that begins after they came back is not denied, whenever the job comes to it."""
    alice = paper.sign_in("alice", "g-dev")
    held = paper.issue(alice, "Shell", SHELL).credentials.access_key
    paper.clock.advance(10)
    with paper.engine.store.begin() as connection:
        made = begin_anew(connection, paper.engine, alice.id, ADMIN, "session revoked")
    paper.clock.advance(late)
    began = paper.clock.now
    assert paper.run_jobs() == []
    assert paper.clock.now - began < 5
    assert denial(paper, made).state == DENIED
    assert ended(paper)
    assert not paper.cloud.allows(held)


def test_who_is_let_in_within_the_minute_may_begin_anew(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    old = paper.issue(alice).credentials.access_key
    out(paper, alice)
    assert paper.run_jobs() == []
    paper.clock.advance(5)
    assert back(paper, alice) == 1
    assert paper.run_jobs() == []
    new = paper.issue(paper.sign_in("alice", "g-dev")).credentials.access_key
    assert (paper.cloud.allows(old), paper.cloud.allows(new)) == (False, True)


def test_the_return_of_one_person_does_not_shut_out_another_who_returned_before(paper: Paper) -> None:
    alice, bob = paper.sign_in("alice", "g-dev"), paper.sign_in("bob", "g-dev")
    for person in (alice, bob):
        paper.issue(person)
    out(paper, alice)
    paper.clock.advance(5)
    back(paper, alice)
    paper.clock.advance(5)
    new = paper.issue(paper.sign_in("alice", "g-dev")).credentials.access_key
    paper.clock.advance(60)
    out(paper, bob)
    paper.clock.advance(5)
    back(paper, bob)
    assert paper.run_jobs() == []
    assert paper.cloud.allows(new)


def test_what_was_measured_stays_when_the_account_stops_answering(paper: Paper) -> None:
    alice, bob = paper.sign_in("alice", "g-dev"), paper.sign_in("bob", "g-dev")
    for person in (alice, bob):
        paper.issue(person)
    first, second = out(paper, alice), out(paper, bob)
    probe = paper.cloud.probe
    asked: list[str] = []

    async def slow(target: Any, credentials: Any) -> bool:
        """Bob is denied later than Alice, and then nothing answers any more."""
        if paper.cloud.sessions[credentials.access_key].source != bob.id:
            return await probe(target, credentials)
        asked.append(credentials.access_key)
        if len(asked) > 1:
            raise ConnectionError("throttled")
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper.cloud, "probe", slow)
        assert set(paper.run_jobs()) == {"ServiceUnavailable"}
    assert denial(paper, first).state == DENIED
    assert denial(paper, first).denied_at is not None
    assert denial(paper, second).state == UNREACHABLE


def test_a_connector_that_is_gone_is_not_called_denied(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    paper.issue(alice, "Shell", SHELL)
    made = out(paper, alice)
    paper.engine.apply(Change(deletes=(CONNECTOR,)), ADMIN, "delete", "/")
    assert paper.run_jobs() == []
    assert denial(paper, made).state == UNREACHABLE
    assert "CloudFormation stack" in denial(paper, made).detail
    assert paper.resume() == []
    assert paper.cloud.document == {}


def test_where_nobody_is_named_a_return_shuts_nobody_out_again(paper: Paper) -> None:
    settings = {"federation": "oidc", "federationIssuer": "https://sts.windows.net/11111111-2222-3333-4444-555555555555/"}
    id = CONNECTOR.extension("Microsoft.HybridConnectivity/solutionConfigurations", "access")
    solution = Resource(id=id, properties={"solutionType": "Isthmus.Access", "solutionSettings": settings})
    paper.engine.apply(Change(puts=(solution,)), ADMIN, "setup", "/")
    alice, bob = (Actor(id=str(uuid.UUID(int=number)), kind="User") for number in (1, 2))
    for person in (alice, bob):
        out(paper, person)
        assert paper.run_jobs() == []
        paper.clock.advance(2 * HOUR)
    before = paper.cloud.document
    back(paper, alice)
    assert paper.run_jobs() == []
    assert paper.cloud.document == before


def test_where_nobody_is_named_the_sessions_of_bystanders_are_known_to_have_ended(paper: Paper) -> None:
    """Their agents ask, and begin others."""
    alice, bob = paper.sign_in("alice", "g-dev"), paper.sign_in("bob", "g-dev")
    for person in (alice, bob):
        paper.issue(person)
    paper.clock.advance(5)
    out(paper, alice)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(denials, "MAX_POLICY", 600)
        assert paper.run_jobs() == []
    new = paper.issue(bob).credentials.access_key
    with paper.engine.store.read() as connection:
        rows = connection.execute(select(access_sessions).where(access_sessions.c.person == bob.id)).all()
    assert {row.id: row.revoked_at is None for row in rows} == {"ASIA0000000000000002": False, new: True}
    assert paper.cloud.allows(new)
    assert not paper.cloud.allows("ASIA0000000000000002")


def test_a_grant_that_ends_while_its_session_is_written_is_seen_by_one_of_both(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process takes the group away after the last look of the mint and before its commit: it waits, and finds the session."""
    alice = paper.sign_in("alice", "g-dev")
    others: list[threading.Thread] = []
    find: Callable[[Connection, str], Grant | None] = grants.find

    def leave() -> None:
        with paper.engine.store.begin() as connection:
            leave_groups(connection, paper.engine, alice.id, {"g-dev"}, ADMIN, "left the group")

    def late(connection: Connection, id: str) -> Grant | None:
        found = find(connection, id)
        is_written = connection.execute(select(access_sessions.c.id).where(access_sessions.c.grant == id)).first() is not None
        if is_written and not others:
            others.append(threading.Thread(target=leave))
            others[0].start()
            others[0].join(1)
        return found

    monkeypatch.setattr(broker.grants, "find", late)
    with suppress(ArmError):
        paper.issue(alice)
    [other] = others
    other.join(30)
    with paper.engine.store.read() as connection:
        assert connection.execute(select(access_sessions.c.revoked_at)).scalars().all() != [None]
    assert paper.jobs.orders, "the account is told"
