"""Who may do what with a request: the whole table, without a store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from isthmus.access import judging
from isthmus.access.deciding import Approved, Known
from isthmus.access.groups import Membership
from isthmus.access.judging import ACKNOWLEDGE, APPROVE, DECIDED_WITHIN, STATES, Decided, Decider, Request
from isthmus.access.mappings import RoleMapping
from isthmus.arm.errors import ArmError
from isthmus.clouds.contract import ScanTarget
from isthmus.identity.evidence import SignedIn

NOW = 1_767_225_600_000
KEY = "/subscriptions/s/providers/microsoft.hybridconnectivity/publiccloudconnectors/c/providers/isthmus.access/rolemappings/operator"
ROLE = RoleMapping(
    id=KEY,
    name="Operator",
    target=ScanTarget(account="123456789012", guid="aa5f1c9e-4f89-41d3-9a0c-0305e82c3301", solution="Isthmus.Access"),
    groups=frozenset({"g-ops"}),
    activation="Request",
    approver_groups=frozenset({"g-lead"}),
    approvals=2,
    longest_seconds=7_200,
)
PERSON = SignedIn(id="s-1", object_id="alice", issuer="i", subject="a", name="Alice", methods=("mfa",), at=NOW, ends_at=NOW + 1)
ASKED = Request(
    id="r-1",
    mapping=KEY,
    person="alice",
    name="Alice",
    sign_in="s-1",
    reason="why",
    seconds=600,
    asked_at=NOW,
    expires_at=NOW + DECIDED_WITHIN,
)
GLASS = replace(ASKED, is_break_glass=True)
BOB, CAROL = (Decider(id=name, name=name, may=True) for name in ("bob", "carol"))


def known(**more: Any) -> Known:
    given = {"mapping": ROLE, "person": PERSON, "membership": Membership(groups=frozenset({"g-ops"})), "now": NOW}
    return Known(**{**given, **more})


def approve(request: Request, who: Decider, mapping: RoleMapping = ROLE, now: int = NOW) -> Request:
    return judging.approve(request, mapping, who, now, grant="G-1", words="ok")


def code(act: Any) -> tuple[str, int]:
    with pytest.raises(ArmError) as caught:
        act()
    return caught.value.code, caught.value.status


def test_as_many_approve_as_the_role_needs_and_the_last_brings_the_grant() -> None:
    one = approve(ASKED, BOB)
    assert (one.state, one.grant, one.approvers) == ("Pending", "", {"bob"})
    two = approve(one, CAROL)
    assert (two.state, two.grant, two.approvers) == ("Approved", "G-1", {"bob", "carol"})
    assert [(made.by, made.what, made.words) for made in two.decisions] == [("bob", APPROVE, "ok"), ("carol", APPROVE, "ok")]
    assert approve(ASKED, BOB, replace(ROLE, approvals=1)).state == "Approved"
    assert approve(GLASS, BOB, replace(ROLE, approvals=1)).state == "Pending", "a glass always needs two"
    assert approve(approve(GLASS, BOB), CAROL, replace(ROLE, approvals=5)).state == "Approved"


@pytest.mark.parametrize(
    ("request_", "who", "refusal"),
    [
        (ASKED, Decider(id="ALICE", name="Alice", may=True), ("CannotDecideOwn", 403)),
        (GLASS, Decider(id="alice", name="Alice", may=True), ("CannotDecideOwn", 403)),
        (ASKED, replace(BOB, may=False), ("NotAnApprover", 403)),
        (ASKED, replace(BOB, is_person=False), ("NotAnApprover", 403)),
        (GLASS, replace(BOB, is_person=False), ("NotAnApprover", 403)),
        (ASKED, replace(BOB, may=False, refusal=ArmError("GroupsUnknown", "x", status=503)), ("GroupsUnknown", 503)),
        (replace(ASKED, state="Withdrawn"), replace(BOB, may=False), ("NotAnApprover", 403)),
        *((replace(ASKED, state=state), BOB, ("RequestDecided", 409)) for state in STATES if state != "Pending"),
        (replace(ASKED, expires_at=NOW), BOB, ("RequestDecided", 409)),
    ],
)
def test_who_may_not_approve_may_not_deny_either(request_: Request, who: Decider, refusal: tuple[str, int]) -> None:
    assert code(lambda: approve(request_, who)) == refusal
    assert code(lambda: judging.deny(request_, ROLE, who, NOW, "no")) == refusal


def test_an_approver_counts_once_but_may_change_their_mind() -> None:
    one = approve(ASKED, BOB)
    assert code(lambda: approve(one, replace(BOB, id="BOB"))) == ("AlreadyApproved", 409)
    denied = judging.deny(one, ROLE, BOB, NOW, "no")
    assert (denied.state, denied.grant) == ("Denied", "")


def test_what_became_too_long_is_not_approved() -> None:
    assert code(lambda: approve(ASKED, BOB, replace(ROLE, longest_seconds=599))) == ("TooLong", 400)


@pytest.mark.parametrize(
    ("seconds", "is_break_glass", "is_fine"),
    [(7_200, False, True), (7_201, False, False), (3_600, True, True), (3_601, True, False), (10**12, False, False)],
)
def test_how_long_a_role_can_be_asked_for(seconds: int, is_break_glass: bool, is_fine: bool) -> None:
    def check() -> None:
        judging.check_length(ROLE, seconds, is_break_glass=is_break_glass)

    if is_fine:
        assert check() is None  # type: ignore[func-returns-value]
    else:
        assert code(check) == ("TooLong", 400)


def test_a_request_is_withdrawn_by_who_made_it_while_it_waits() -> None:
    assert judging.withdraw(ASKED, Decider(id="alice", name="Alice"), NOW).state == "Withdrawn"
    assert code(lambda: judging.withdraw(ASKED, BOB, NOW)) == ("NotYourRequest", 403)
    assert code(lambda: judging.withdraw(replace(ASKED, state="Denied"), Decider(id="alice", name=""), NOW)) == ("RequestDecided", 409)


def test_of_an_approved_request_the_grant_is_ended_instead() -> None:
    approved = approve(approve(ASKED, BOB), CAROL)
    with pytest.raises(ArmError, match=f"isthmus access end {approved.grant}$") as caught:
        judging.withdraw(approved, Decider(id="alice", name=""), NOW)
    assert (approved.state, caught.value.code, caught.value.status) == ("Approved", "RequestDecided", 409)


def test_a_broken_glass_is_acknowledged_once_by_another_owner() -> None:
    broken = approve(approve(GLASS, BOB), CAROL)
    seen = judging.acknowledge(broken, BOB, NOW + 5)
    assert (seen.state, seen.acknowledged_at, seen.decisions[-1].what) == ("Approved", NOW + 5, ACKNOWLEDGE)
    assert seen.approvers == {"bob", "carol"}
    assert code(lambda: judging.acknowledge(seen, CAROL, NOW)) == ("NothingToAcknowledge", 409)
    assert code(lambda: judging.acknowledge(broken, Decider(id="alice", name="", may=True), NOW)) == ("CannotDecideOwn", 403)
    assert code(lambda: judging.acknowledge(broken, replace(BOB, may=False), NOW)) == ("NotAnOwner", 403)
    assert code(lambda: judging.acknowledge(GLASS, BOB, NOW)) == ("NothingToAcknowledge", 409)
    assert code(lambda: judging.acknowledge(replace(ASKED, state="Approved"), BOB, NOW)) == ("NothingToAcknowledge", 409)


@pytest.mark.parametrize("state", STATES)
def test_only_what_waits_expires_and_only_when_its_time_is_over(state: str) -> None:
    one = replace(ASKED, state=state)
    assert judging.expire(one, one.expires_at - 1).state == state
    assert judging.expire(one, one.expires_at).state == ("Expired" if state == "Pending" else state)


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ({}, None),
        ({"approved": (Approved(grant="G-0", ends_at=NOW + 9),)}, None),
        ({"membership": Membership(groups=frozenset())}, "NotAMember"),
        ({"membership": None, "unknown": "down"}, "GroupsUnknown"),
        ({"person": None}, "SignInNeeded"),
        ({"person": replace(PERSON, methods=())}, "SecondFactorNeeded"),
        ({"is_revoked": True}, "AccessRevoked"),
    ],
)
def test_who_is_eligible_may_ask(more: dict[str, Any], refusal: str | None) -> None:
    found = judging.check_wanted(known(**more))
    assert (found.code if found else None) == refusal


def test_a_standing_role_needs_no_request_but_its_glass_can_be_broken() -> None:
    standing = replace(ROLE, activation="Standing")
    assert code(lambda: judging.check_wanted(known(mapping=standing))) == ("RequestNotNeeded", 409)
    stranger = judging.check_wanted(known(mapping=standing, membership=Membership(groups=frozenset())))
    assert stranger is not None
    assert stranger.code == "NotAMember"
    assert judging.check_glass(known(mapping=standing), is_owner=False) is None


@pytest.mark.parametrize(
    ("more", "is_owner", "refusal"),
    [
        ({}, False, None),
        ({"membership": Membership(groups=frozenset())}, False, "NotAMember"),
        ({"membership": Membership(groups=frozenset())}, True, None),
        ({"membership": None, "unknown": "down"}, False, "GroupsUnknown"),
        ({"membership": None, "unknown": "down"}, True, None),
        ({"person": replace(PERSON, methods=())}, True, "SecondFactorNeeded"),
        ({"person": None}, True, "SignInNeeded"),
        ({"is_revoked": True}, True, "AccessRevoked"),
    ],
)
def test_members_and_owners_may_ask_to_break_the_glass(more: dict[str, Any], is_owner: bool, refusal: str | None) -> None:
    found = judging.check_glass(known(**more), is_owner=is_owner)
    assert (found.code if found else None) == refusal


def test_the_grant_of_a_request_is_found_in_its_decisions() -> None:
    assert ASKED.grant == ""
    assert replace(ASKED, decisions=(Decided(by="b", name="b", what=APPROVE, at=NOW, grant="G-9"),)).grant == "G-9"
    assert ASKED.connector == KEY.partition("/providers/isthmus.access/")[0]
