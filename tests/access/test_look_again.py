"""AWS spreads a policy in seconds, and in that time somebody may open another shell: theirs are looked for until the last lease is over."""

from __future__ import annotations

import pytest

from isthmus.access import revocations
from isthmus.access.leaving import leave_groups, offboard
from isthmus.access.revocations import DENIED
from isthmus.arm.types import Actor
from isthmus.store import Store
from tests.access.estate import ADMIN, CONNECTOR
from tests.access.paper import Paper
from tests.support.clock import Clock

SHELL = "shell:ap-southeast-2"


@pytest.fixture
def paper(store: Store, clock: Clock) -> Paper:
    return Paper(store, clock)


def gone(paper: Paper, role: str, use: str) -> Actor:
    """Somebody who took a session, was offboarded, and is denied."""
    alice = paper.sign_in("alice", "g-dev")
    paper.issue(alice, role, use)
    with paper.engine.store.begin() as connection:
        offboard(connection, paper.engine, alice.id, ADMIN, "left")
    assert paper.run_jobs() == []
    return alice


def looks(paper: Paper, minutes: int) -> list[int]:
    """In which minutes shells are looked for, when every minute what is due is done."""
    found = []
    for minute in range(1, minutes + 1):
        paper.cloud.ended.clear()
        paper.clock.advance(60)
        assert paper.resume() == []
        found += [minute] if paper.cloud.ended else []
    return found


def test_who_was_offboarded_is_looked_at_until_nobody_can_have_opened_a_shell(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    issued = paper.issue(alice, "Shell", SHELL)
    with paper.engine.store.begin() as connection:
        made = offboard(connection, paper.engine, alice.id, ADMIN, "left")
    assert paper.run_jobs() == []
    with paper.engine.store.read() as connection:
        found = revocations.find(connection, made)
    assert found is not None
    assert [one.state for one in found.denials] == [DENIED]
    assert issued.until - paper.engine.now() > 290_000
    assert looks(paper, 20) == [1, 2, 3, 4, 5, 6], "each minute of the lease, and once when what was opened at its end is listed"
    with paper.engine.store.read() as connection:
        found = revocations.find(connection, made)
    assert found is not None
    assert found.denials[0].shells == 2 + 6, "what was found later is told as well"


def test_of_a_grant_that_was_ended_too_and_of_that_one_alone(paper: Paper) -> None:
    alice = paper.sign_in("alice", "g-dev")
    issued = paper.issue(alice, "Shell", SHELL)
    with paper.engine.store.begin() as connection:
        leave_groups(connection, paper.engine, alice.id, {"g-dev"}, ADMIN, "left the group")
    assert paper.run_jobs() == []
    paper.clock.advance(60)
    paper.cloud.ended.clear()
    assert paper.resume() == []
    assert [(owner.source, owner.grant) for _, owner in paper.cloud.ended] == [(alice.id, issued.grant)]
    [(_, owner)] = paper.cloud.ended
    assert owner.role == paper.broker.mapping(str(CONNECTOR.extension("Isthmus.Access/roleMappings", "Shell"))).role


def test_an_account_that_does_not_answer_meanwhile_is_looked_at_when_it_does(paper: Paper) -> None:
    gone(paper, "Shell", SHELL)
    paper.cloud.down = {"deny"}
    paper.clock.advance(3600)
    assert paper.resume() == ["ServiceUnavailable"]
    paper.cloud.down = set()
    assert looks(paper, 3) == [1]


def test_who_was_let_in_again_keeps_the_shells_of_now(paper: Paper) -> None:
    alice = gone(paper, "Shell", SHELL)
    with paper.engine.store.begin() as connection:
        assert revocations.readmit(connection, paper.engine, alice.id, ADMIN) == 1
    assert paper.run_jobs() == []
    assert looks(paper, 10) == []


def test_who_took_no_session_for_shells_is_not_looked_at(paper: Paper) -> None:
    gone(paper, "Reader", "credentials")
    paper.clock.advance(60)
    assert paper.resume() == []
    with paper.engine.store.read() as connection:
        assert revocations.unsettled(connection, paper.engine.now()) == ()
