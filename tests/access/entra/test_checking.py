"""What a live check of a person does, whoever hinted."""

from __future__ import annotations

import json

import pytest

from isthmus.access import revocations
from isthmus.access.entra.checking import ACTION, GONE, HELD_BACK, LEFT, SAME, STRANGER
from isthmus.arm.errors import ArmError
from isthmus.clouds.azure.graph import GraphUnavailable
from tests.access.entra.conftest import ALICE, BOB, DEV, OPS, Followed
from tests.fakes.entra import guid
from tests.support.clock import Clock


def is_out(followed: Followed, person: str) -> bool:
    with followed.engine.store.read() as connection:
        return revocations.is_revoked(connection, person)


def test_who_left_a_group_loses_what_it_gave_and_nothing_else(followed: Followed, clock: Clock) -> None:
    noticed = followed.engine.now()
    clock.advance(2.5)
    followed.tenant.leave(DEV, ALICE)
    assert followed.checks.check(ALICE, by="poll", noticed=noticed) == LEFT
    assert followed.held(ALICE) == {f"group:{OPS}"}
    assert not is_out(followed, ALICE)
    assert followed.checks.check(ALICE, by="poll", noticed=noticed) == SAME
    told = [json.loads(one) for one in followed.told(ACTION)]
    assert [(one["by"], one["outcome"], one["seconds"]) for one in told] == [("poll", LEFT, 2.5), ("poll", SAME, 2.5)]


@pytest.mark.parametrize("how", ["disable", "delete"])
def test_who_is_disabled_or_deleted_loses_everything(followed: Followed, how: str) -> None:
    getattr(followed.tenant, how)(ALICE)
    assert followed.checks.check(ALICE, by="notification", noticed=0) == GONE
    assert followed.held(ALICE) == set()
    assert is_out(followed, ALICE)
    assert followed.checks.check(ALICE, by="notification", noticed=0) == STRANGER, "told twice, done once"
    assert followed.held(BOB) == {f"group:{DEV}"}


def test_people_of_other_directories_and_strangers_are_not_asked_about(followed: Followed) -> None:
    other = guid("carol")
    followed.sign_in(other, DEV, issuer="https://elsewhere.test")
    assert followed.checks.check(other, by="poll", noticed=0) == STRANGER
    assert followed.checks.check(guid("nobody"), by="poll", noticed=0) == STRANGER
    assert followed.there.server.calls == []
    assert followed.held(other) == {f"group:{DEV}"}


def test_groups_that_are_none_of_entras_are_left_alone(followed: Followed) -> None:
    followed.sign_in(ALICE, "g-by-name")
    assert followed.checks.check(ALICE, by="poll", noticed=0) == SAME
    assert "group:g-by-name" in followed.held(ALICE)


def test_a_group_in_two_spellings_is_one_group(followed: Followed) -> None:
    """Two mappings may spell it differently, and so do the reasons of what is held."""
    followed.sign_in(ALICE, DEV.upper())
    assert followed.checks.check(ALICE, by="poll", noticed=0) == SAME
    assert followed.held(ALICE) == {f"group:{DEV}", f"group:{DEV.upper()}", f"group:{OPS}"}
    followed.tenant.leave(DEV, ALICE)
    assert followed.checks.check(ALICE, by="poll", noticed=0) == LEFT
    assert followed.held(ALICE) == {f"group:{OPS}"}


def test_while_graph_is_down_nothing_changes_and_it_is_tried_again(followed: Followed) -> None:
    followed.polling.poll()
    followed.there.server.is_down = True
    with pytest.raises(GraphUnavailable):
        followed.checks.check(ALICE, by="poll", noticed=0)
    arguments = {"person": ALICE, "by": "poll", "noticed": 0}
    with pytest.raises(ArmError) as caught:
        followed.checks.run(arguments)
    assert caught.value.status == 503
    assert followed.held(ALICE) == {f"group:{DEV}", f"group:{OPS}"}
    followed.checks.failed(arguments, caught.value)
    followed.there.server.is_down = False
    followed.there.passing.now += 60
    assert followed.poll() == {ALICE: SAME, BOB: SAME}, "the next question checks everybody"
    assert followed.poll() == {}


def test_a_crowd_that_is_suddenly_unknown_is_not_barred(followed: Followed) -> None:
    crowd = [guid(f"u{number}") for number in range(12)]
    for one in crowd:
        followed.sign_in(one, DEV)
    found = [followed.checks.check(one, by="resync", noticed=0) for one in crowd]
    assert found == [GONE] * 10 + [HELD_BACK] * 2
    assert [is_out(followed, one) for one in crowd] == [True] * 10 + [False] * 2
    assert followed.held(crowd[-1]) == set(), "what they held ended all the same"
    followed.tenant.disable(BOB)
    assert followed.checks.check(BOB, by="poll", noticed=0) == GONE, "who is known to be disabled is out"
    assert is_out(followed, BOB)
