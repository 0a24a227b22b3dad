"""Requests as they are kept, decided and ended, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from isthmus.access import grants, leaving, request_rows, revocations
from isthmus.access.deciding import decide
from isthmus.access.requests import Look
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.audit import verify
from isthmus.store import Store
from tests.access.desk import Desk, desk, on_request
from tests.access.estate import ADMIN, CONNECTOR, mapping_id
from tests.support.clock import Clock

DAY, TICK = 86_400, datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def here(store: Store, clock: Clock) -> Desk:
    return desk(store, clock)


def refused(act: Callable[[], Any], code: str, status: int) -> ArmError:
    with pytest.raises(ArmError) as caught:
        act()
    assert (caught.value.code, caught.value.status) == (code, status), caught.value
    return caught.value


def grant_of(here: Desk, id: str) -> grants.Grant:
    with here.engine.store.read() as connection:
        found = grants.find(connection, id)
    assert found is not None
    return found


def may_take(here: Desk, actor: Actor, role: str = "Operator") -> str:
    """The grant by which a role can be taken now; empty when it cannot."""
    broker = here.requests.broker
    decision = decide(broker.know(broker.mapping(str(mapping_id(role))), actor))
    return decision.grant if decision.refusal is None else ""


def test_a_request_is_approved_and_its_grant_begins_then(here: Desk) -> None:
    alice, lead = here.sign_in("alice", "g-ops"), here.sign_in("lead", "g-lead")
    asked = here.ask(alice, seconds=900)
    assert (asked.state, asked.name, may_take(here, alice)) == ("Pending", "alice", "")
    here.clock.advance(3600)
    made = here.approve(asked, lead)
    assert made.state == "Approved"
    grant = grant_of(here, made.grant)
    assert (grant.person, grant.because, grant.is_break_glass) == (alice.id, f"request:{asked.id}", False)
    assert (grant.began_at, grant.ends_at) == (here.engine.now(), here.engine.now() + 900_000)
    assert may_take(here, alice) == grant.id
    here.clock.advance(900)
    assert may_take(here, alice) == ""
    assert here.requests.find(asked.id) == made
    [told] = here.audit("approve")
    assert told | {"puts": 0} == told
    assert (told["request"], told["grant"], told["approvals"], told["needed"], "breakGlass" in told) == (asked.id, grant.id, 1, 1, False)
    assert [one["reason"] for one in here.audit("request")] == ["INC-7"]
    with here.engine.store.read() as connection:
        assert verify(connection) is None


def test_membership_of_approvers_is_asked_live(here: Desk) -> None:
    alice, lead = here.sign_in("alice", "g-ops"), here.sign_in("lead", "g-lead")
    asked = here.ask(alice)
    here.groups.members[lead.id] = set()
    refused(lambda: here.approve(asked, lead), "NotAnApprover", 403)
    here.groups.members[lead.id] = {"g-lead"}
    here.groups.is_down = True
    refused(lambda: here.approve(asked, lead), "GroupsUnknown", 503)
    here.groups.is_down = False
    refused(lambda: here.approve(asked, here.sign_in("weak", "g-lead", methods=("pwd",))), "SecondFactorNeeded", 403)
    refused(lambda: here.approve(asked, Actor(id=lead.id, kind="User", name="lead")), "SignInNeeded", 401)
    here.groups.members["robot"] = {"g-lead"}
    refused(lambda: here.approve(asked, Actor(id="robot", kind="Application")), "NotAnApprover", 403)
    owner = here.by_link()
    refused(lambda: here.approve(asked, owner), "SignInNeeded", 401)
    assert here.requests.find(asked.id) == asked, "nothing was changed by any of it"
    assert here.approve(asked, lead).state == "Approved"


def test_two_approvals_are_of_two_people(here: Desk) -> None:
    both = here.sign_in("both", "g-ops", "g-lead")
    one, two = here.sign_in("one", "g-lead"), here.sign_in("two", "g-lead")
    asked = here.ask(both, "Root")
    refused(lambda: here.approve(asked, both), "CannotDecideOwn", 403)
    assert here.approve(asked, one).state == "Pending"
    refused(lambda: here.approve(asked, one), "AlreadyApproved", 409)
    assert may_take(here, both, "Root") == ""
    assert here.approve(asked, two).state == "Approved"
    refused(lambda: here.approve(asked, here.sign_in("three", "g-lead")), "RequestDecided", 409)
    assert may_take(here, both, "Root")


def test_of_approvals_at_once_each_counts_and_one_grant_comes_of_them(here: Desk) -> None:
    alice = here.sign_in("alice", "g-ops")
    leads = [here.sign_in(f"lead-{number}", "g-lead") for number in range(6)]
    asked = here.ask(alice, "Root")

    def approve(lead: Actor) -> str:
        try:
            return here.approve(asked, lead).state
        except ArmError as error:
            return error.code

    with ThreadPoolExecutor(6) as pool:
        states = sorted(pool.map(approve, leads))
    assert states == ["Approved", "Pending", *["RequestDecided"] * 4]
    with here.engine.store.read() as connection:
        assert len(grants.living(connection, alice.id, here.engine.now())) == 1


def test_who_is_not_eligible_cannot_ask(here: Desk) -> None:
    refused(lambda: here.ask(here.sign_in("stranger", "g-other")), "NotAMember", 403)
    refused(lambda: here.ask(here.sign_in("weak", "g-ops", methods=("pwd",))), "SecondFactorNeeded", 403)
    refused(lambda: here.ask(Actor(id="x", kind="User")), "SignInNeeded", 401)
    alice = here.sign_in("alice", "g-ops")
    refused(lambda: here.ask(alice, "Reader"), "RequestNotNeeded", 409)
    assert "7200" in refused(lambda: here.ask(alice, seconds=7_201), "TooLong", 400).message
    refused(lambda: here.ask(alice, "Nobody"), "RoleNotFound", 404)
    assert here.audit("request") == []


def test_who_waits_does_not_ask_twice(here: Desk) -> None:
    alice = here.sign_in("alice", "g-ops")
    first = here.ask(alice)
    assert f"isthmus access withdraw {first.id}" in refused(lambda: here.ask(alice), "AlreadyAsked", 409).message
    assert here.ask(alice, "Root").state == "Pending", "another role"
    assert here.ask(here.sign_in("bob", "g-ops")).state == "Pending", "another person"
    assert here.ask(alice, glass=True).is_break_glass, "an emergency does not wait for the ordinary way"
    here.requests.withdraw(first.id, alice)
    second = here.ask(alice)
    here.clock.advance(DAY)
    assert here.ask(alice).id != second.id, "its time is over, noted or not"


def test_denying_and_withdrawing_end_it(here: Desk) -> None:
    alice, lead = here.sign_in("alice", "g-ops"), here.sign_in("lead", "g-lead")
    denied = here.ask(alice)
    refused(lambda: here.requests.deny(denied.id, alice, here.owns(alice), "no"), "CannotDecideOwn", 403)
    refused(lambda: here.requests.deny(denied.id, here.sign_in("x"), here.owns(alice), "no"), "NotAnApprover", 403)
    assert here.requests.deny(denied.id, lead, here.owns(lead), "freeze").decisions[-1].words == "freeze"
    refused(lambda: here.approve(denied, lead), "RequestDecided", 409)
    withdrawn = here.ask(alice)
    refused(lambda: here.requests.withdraw(withdrawn.id, lead), "NotYourRequest", 403)
    here.requests.withdraw(withdrawn.id, alice)
    refused(lambda: here.approve(withdrawn, lead), "RequestDecided", 409)
    refused(lambda: here.requests.withdraw("nothing", alice), "RequestNotFound", 404)
    refused(lambda: here.requests.approve("nothing", lead, here.owns(lead)), "RequestNotFound", 404)
    assert [one["reason"] for one in here.audit("deny")] == ["freeze"]
    assert [one["request"] for one in here.audit("withdraw")] == [withdrawn.id]
    assert may_take(here, alice) == ""


def test_what_nobody_decides_expires_after_a_day_and_nothing_else_does(here: Desk) -> None:
    alice, lead = here.sign_in("alice", "g-ops"), here.sign_in("lead", "g-lead")
    given = here.approve(here.ask(alice, seconds=7_200), lead)
    late = here.ask(alice)
    here.clock.advance(DAY - 1)
    here.requests.expire(TICK)
    assert here.requests.find(late.id).state == "Pending"
    young = here.ask(here.sign_in("bob", "g-ops"))
    here.clock.advance(1)
    refused(lambda: here.approve(late, lead), "RequestDecided", 409)
    here.requests.expire(TICK)
    here.requests.expire(TICK)
    states = [here.requests.find(one.id).state for one in (late, young, given)]
    assert states == ["Expired", "Pending", "Approved"]
    assert [one["request"] for one in here.audit("expire")] == [late.id]
    assert grant_of(here, given.grant).ended_at is None


def test_more_than_a_batch_expires_in_one_run(here: Desk) -> None:
    alice = here.sign_in("alice", "g-ops")
    one = here.ask(alice)
    with here.engine.store.begin() as connection:
        for number in range(450):
            request_rows.add(connection, type(one)(**{name: getattr(one, name) for name in one.__slots__} | {"id": f"r-{number}"}))
    here.clock.advance(DAY)
    here.requests.expire(TICK)
    assert len(here.audit("expire")) == 451


def test_a_role_that_is_gone_or_changed_is_not_given(here: Desk) -> None:
    alice, lead = here.sign_in("alice", "g-ops"), here.sign_in("lead", "g-lead")
    asked = here.ask(alice, seconds=7_200)
    here.put("Operator", on_request(longestSeconds=600))
    refused(lambda: here.approve(asked, lead), "TooLong", 400)
    here.remove(mapping_id("Operator"))
    refused(lambda: here.approve(asked, lead), "RoleNotFound", 404)
    here.put("Operator", on_request())
    refused(lambda: here.approve(asked, lead), "RequestDecided", 409)
    assert here.requests.find(asked.id).state == "Expired", "a role of the same name is another one"


def test_a_role_that_changes_while_the_approver_is_asked_about_is_not_given(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, lead = here.sign_in("alice", "g-ops"), here.sign_in("lead", "g-lead")
    asked, ask = here.ask(alice), here.groups.ask

    def slow(person: Any, groups: Any) -> Any:
        here.put("Operator", on_request(approverGroups=["g-board"]))
        return ask(person, groups)

    monkeypatch.setattr(here.groups, "ask", slow)
    refused(lambda: here.approve(asked, lead), "RoleChanged", 409)
    assert may_take(here, alice) == ""


def test_who_was_taken_everything_gets_nothing_and_gives_nothing(here: Desk) -> None:
    alice, lead = here.sign_in("alice", "g-ops"), here.sign_in("lead", "g-lead")
    asked, glass = here.ask(alice), here.ask(alice, glass=True)
    here.approve(glass, here.owner("o-1"))
    with here.engine.store.begin() as connection:
        leaving.offboard(connection, here.engine, alice.id, ADMIN, "left")
    refused(lambda: here.approve(asked, lead), "RequestDecided", 409)
    refused(lambda: here.approve(glass, here.owner("o-2")), "RequestDecided", 409)
    refused(lambda: here.ask(here.sign_in("alice", "g-ops")), "AccessRevoked", 403)
    refused(lambda: here.ask(here.sign_in("alice", "g-ops"), glass=True), "AccessRevoked", 403)
    bob = here.ask(here.sign_in("bob", "g-ops"))
    with here.engine.store.begin() as connection:
        leaving.offboard(connection, here.engine, lead.id, ADMIN, "left")
    refused(lambda: here.approve(bob, here.sign_in("lead", "g-lead")), "AccessRevoked", 403)
    with here.engine.store.read() as connection:
        assert grants.living(connection, alice.id, here.engine.now()) == ()


def test_who_is_just_being_taken_everything_gets_nothing(here: Desk) -> None:
    """The approval waits for the offboarding that has begun, and then sees it."""
    alice, lead = here.sign_in("alice", "g-ops"), here.sign_in("lead", "g-lead")
    asked = here.ask(alice)
    with ThreadPoolExecutor(1) as pool:
        with here.engine.store.begin() as connection:
            leaving.offboard(connection, here.engine, alice.id, ADMIN, "left")
            approval = pool.submit(here.approve, asked, lead)
            assert not wait([approval], timeout=0.3).done
        refused(approval.result, "RequestDecided", 409)


def test_extending_is_a_second_grant_and_ending_one_leaves_the_other(here: Desk) -> None:
    alice, lead = here.sign_in("alice", "g-ops"), here.sign_in("lead", "g-lead")
    first = here.approve(here.ask(alice, seconds=600), lead)
    here.clock.advance(300)
    second = here.approve(here.ask(alice, seconds=600), lead)
    assert may_take(here, alice) == second.grant, "the longer one"
    with here.engine.store.begin() as connection:
        assert revocations.end_grants(connection, here.engine, [grant_of(here, second.grant)], ADMIN, "enough") == ()
    assert may_take(here, alice) == first.grant
    assert grant_of(here, first.grant).state(here.engine.now()) == "Active"
    here.clock.advance(300)
    assert may_take(here, alice) == ""


def test_two_owners_break_the_glass_while_the_directory_is_down_and_everybody_hears_of_it(here: Desk) -> None:
    alice = here.sign_in("alice", "g-ops")
    here.groups.is_down = True
    refused(lambda: here.ask(alice), "GroupsUnknown", 503)
    refused(lambda: here.ask(alice, "Reader", seconds=3_601, glass=True), "TooLong", 400)
    asked = here.ask(alice, "Reader", seconds=3_600, glass=True)
    one, two = here.owner("o-1"), here.owner("o-2")
    refused(lambda: here.approve(asked, here.sign_in("lead", "g-lead")), "NotAnApprover", 403)
    refused(lambda: here.approve(asked, Actor(id=one.id, kind="Application")), "NotAnApprover", 403)
    with capture_logs() as before:
        assert here.approve(asked, one).state == "Pending"
    refused(lambda: here.approve(asked, one), "AlreadyApproved", 409)
    assert (here.broken, [line for line in before if line["log_level"] == "critical"]) == ([], [])
    with capture_logs() as lines:
        made = here.approve(asked, two)
    [line] = [line for line in lines if line["log_level"] == "critical"]
    assert (line["request"], line["person"], line["approvers"]) == (asked.id, alice.id, sorted([one.id, two.id]))
    assert here.broken == [1]
    assert [told["breakGlass"] for told in here.audit("approve") + here.audit("request")] == [True, True, True]
    grant = grant_of(here, made.grant)
    assert grant.is_break_glass
    assert grant.ends_at == here.engine.now() + 3_600_000
    assert may_take(here, alice, "Reader") == grant.id
    assert here.groups.asked == 1, "for the ordinary request; neither breaking the glass nor what it gives needs a directory"


def test_the_glass_is_for_members_and_owners(here: Desk) -> None:
    refused(lambda: here.ask(here.sign_in("stranger", "g-other"), glass=True), "NotAMember", 403)
    owner = here.sign_in("owner", "g-other")
    here.owners.add(owner.id)
    asked = here.ask(owner, glass=True)
    refused(lambda: here.approve(asked, owner), "CannotDecideOwn", 403)


def test_an_approval_ends_with_what_its_approver_had(here: Desk) -> None:
    alice, one, two, three = here.sign_in("alice", "g-ops"), *(here.sign_in(name, "g-lead") for name in ("one", "two", "three"))
    asked = here.ask(alice, "Root")
    assert here.approve(asked, one).approvers == {one.id}
    with here.engine.store.begin() as connection:
        leaving.offboard(connection, here.engine, one.id, ADMIN, "compromised")
    assert here.requests.find(asked.id).approvers == frozenset()
    made = here.approve(asked, two)
    assert (made.state, made.approvers, made.grant) == ("Pending", {two.id}, "")
    with here.engine.store.begin() as connection:
        revocations.readmit(connection, here.engine, one.id, ADMIN)
    assert here.requests.find(asked.id).approvers == {two.id}, "being let in again brings no approval back"
    assert [told.get("void") for told in here.audit("approve")] == [None, [one.id]]
    here.clock.advance(1)
    made = here.approve(asked, here.sign_in("one", "g-lead"))
    assert (made.state, made.approvers) == ("Approved", {one.id, two.id}), "who was let in again may approve anew"
    refused(lambda: here.approve(asked, three), "RequestDecided", 409)


def test_who_owns_the_connector_no_more_breaks_no_glass(here: Desk) -> None:
    asked = here.ask(here.sign_in("alice", "g-ops"), glass=True)
    one, two, three = (here.owner(name) for name in ("o-1", "o-2", "o-3"))
    here.approve(asked, one)
    here.owners.discard(one.id)
    made = here.approve(asked, two)
    assert (made.state, made.approvers) == ("Pending", {two.id})
    assert here.approve(asked, three).state == "Approved"
    here.owners.discard(three.id)
    assert here.requests.find(asked.id).approvers == {two.id, three.id}, "what was decided stays as it was"


def test_who_came_by_a_link_is_no_second_human(here: Desk) -> None:
    """Everybody with a link is the same administrator, and may be one of those who approved already, or who asked."""
    alice, carol, link = here.sign_in("alice", "g-ops"), here.owner("carol"), here.by_link()
    asked = here.ask(alice, glass=True)
    here.approve(asked, carol)
    for act in (lambda: here.approve(asked, link), lambda: here.requests.deny(asked.id, link, here.owns(link), "no")):
        refused(act, "SignInNeeded", 401)
    assert here.requests.visible(link, here.owns(link), Look(limit=100))[0] == ()
    made = here.approve(asked, here.owner("o-2"))
    refused(lambda: here.requests.acknowledge(made.id, link, here.owns(link)), "SignInNeeded", 401)
    refused(lambda: here.requests.acknowledge(made.id, replace(carol, kind="Application"), here.owns(carol)), "NotAnOwner", 403)
    assert here.requests.acknowledge(made.id, carol, here.owns(carol)).acknowledged_at


def test_a_broken_glass_is_noticed_until_another_owner_has_looked(here: Desk) -> None:
    alice, one, two = here.sign_in("alice", "g-ops"), here.owner("o-1"), here.owner("o-2")
    asked = here.ask(alice, glass=True)

    def noticed(scope: str = f"/subscriptions/{CONNECTOR.subscription}") -> list[str]:
        with here.engine.store.read() as connection:
            return [found.id for found in request_rows.broken_glass(connection, scope)]

    here.approve(asked, one)
    assert noticed() == []
    refused(lambda: here.requests.acknowledge(asked.id, one, here.owns(one)), "NothingToAcknowledge", 409)
    here.approve(asked, two)
    assert noticed() == [asked.id]
    assert noticed("/subscriptions/other") == []
    refused(lambda: here.requests.acknowledge(asked.id, here.sign_in("x"), here.owns(alice)), "NotAnOwner", 403)
    here.clock.advance(DAY)
    here.requests.expire(TICK)
    assert noticed() == [asked.id], "time alone does not end it"
    here.requests.acknowledge(asked.id, one, here.owns(one), "read the trail")
    assert noticed() == []
    assert [(told["breakGlass"], told["words"]) for told in here.audit("acknowledge")] == [(True, "read the trail")]


def test_everybody_sees_their_own_and_what_they_could_decide(here: Desk) -> None:
    alice, bob = here.sign_in("alice", "g-ops"), here.sign_in("bob", "g-ops")
    lead, owner, nobody = here.sign_in("lead", "g-lead"), here.owner("o-1"), here.sign_in("nobody")
    hers, his = here.ask(alice), here.ask(bob)
    glass = here.ask(bob, "Root", glass=True)

    def seen(actor: Actor, state: str = "") -> set[str]:
        return {one.id for one in here.requests.visible(actor, here.owns(actor), Look(state=state, limit=100))[0]}

    assert seen(alice) == {hers.id}
    assert seen(bob) == {his.id, glass.id}
    assert seen(lead) == {hers.id, his.id}
    assert seen(owner) == {glass.id}
    assert seen(nobody) == set()
    here.approve(hers, lead)
    assert (seen(lead, "Pending"), seen(lead, "Approved")) == ({his.id}, {hers.id})
    here.groups.is_down = True
    assert (seen(lead), seen(alice), seen(owner)) == (set(), {hers.id}, {glass.id})
    here.clock.advance(DAY)
    assert (seen(bob, "Pending"), seen(bob, "Expired")) == (set(), {his.id, glass.id})


def test_what_somebody_asked_for_before_they_left_is_given_to_nobody_who_comes_back(here: Desk) -> None:
    alice, lead = here.sign_in("alice", "g-ops"), here.sign_in("lead", "g-lead")
    asked, theirs = here.ask(alice), here.ask(here.sign_in("bob", "g-ops"))
    with here.engine.store.begin() as connection:
        leaving.offboard(connection, here.engine, alice.id, ADMIN, "left")
    last = (found := here.requests.find(asked.id)).decisions[-1]
    assert (found.state, last.by, last.words) == ("Withdrawn", ADMIN.id, "Everything was taken away from who asked.")
    with here.engine.store.begin() as connection:
        revocations.readmit(connection, here.engine, alice.id, ADMIN)
    refused(lambda: here.approve(asked, lead), "RequestDecided", 409)
    assert here.approve(theirs, lead).state == "Approved"
