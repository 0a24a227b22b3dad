"""Entra as the source of memberships: asked for every session, and nothing given while it does not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from isthmus.access import grants
from isthmus.access.groups import AskedOnce, GraphGroups, GroupsUnknown
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.identity import evidence
from isthmus.identity.evidence import SignedIn
from isthmus.store.tables import audit_records
from tests.access.estate import ADMIN, MAPPINGS, Estate, mapping_id
from tests.fakes.entra import guid
from tests.fakes.graph_client import Reached, reached

DEV, OPS = guid("dev"), guid("ops")
ISSUER = "https://idp.test"
ALICE = SignedIn(id="s-1", object_id=guid("alice@example.test"), issuer=ISSUER, subject="alice", name="Alice", groups=None, at=0, ends_at=1)


@pytest.fixture
def there() -> Iterator[Reached]:
    with reached() as made:
        made.server.tenant.group(DEV, made.server.tenant.user(ALICE.object_id))
        made.server.tenant.group(OPS)
        yield made


@pytest.fixture
def live(people: Estate, there: Reached) -> Estate:
    """The broker over Graph; the role Reader is for the group DEV, Guest for a claim."""
    properties = {**MAPPINGS["Reader"], "groups": [DEV]}
    people.engine.apply(Change(puts=(Resource(id=mapping_id("Reader"), properties=properties),)), ADMIN, "setup", "/")
    people.broker = replace(people.broker, groups=GraphGroups(there.graph, ISSUER))
    return people


def code_of(people: Estate, *arguments: object) -> str:
    with pytest.raises(ArmError) as caught:
        people.issue(*arguments)  # type: ignore[arg-type]
    return caught.value.code


def test_what_is_answered_is_of_this_moment(there: Reached) -> None:
    source = GraphGroups(there.graph, ISSUER)
    assert source.ask(ALICE, {DEV, OPS}).groups == {DEV}
    there.server.tenant.leave(DEV, ALICE.object_id)
    assert source.ask(ALICE, {DEV, OPS}).groups == frozenset()
    there.server.tenant.disable(ALICE.object_id)
    assert not source.ask(ALICE, {DEV}).is_active
    there.server.tenant.delete(ALICE.object_id)
    assert not source.ask(ALICE, {DEV}).is_active
    there.server.is_down = True
    with pytest.raises(GroupsUnknown, match="nothing is given"):
        source.ask(ALICE, {DEV})


def test_people_of_another_tenant_are_not_looked_for(there: Reached) -> None:
    other = replace(ALICE, issuer="https://login.microsoftonline.com/other/v2.0")
    with pytest.raises(GroupsUnknown, match="ISTHMUS_GRAPH_TENANT_ID"):
        GraphGroups(there.graph, ISSUER).ask(other, {DEV})
    assert there.server.calls == []


def test_a_slow_directory_does_not_hold_everybody(there: Reached) -> None:
    source = GraphGroups(there.graph, ISSUER, at_once=1)

    def answer(_person: str) -> None:
        with pytest.raises(GroupsUnknown, match="too many people"):
            source.ask(ALICE, {DEV})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(there.graph, "user", answer)
        assert not source.ask(ALICE, {DEV}).is_active
    assert source.ask(ALICE, {DEV}).groups == {DEV}, "the place was given back"


def test_a_list_asks_once_and_remembers_an_outage_too(there: Reached) -> None:
    listed = AskedOnce(GraphGroups(there.graph, ISSUER), {DEV, OPS})
    assert [listed.ask(ALICE, {group}).groups for group in (DEV, OPS, DEV)] == [{DEV}, set(), {DEV}]
    assert len(there.server.calls) == 3, "token, user, memberships"
    there.server.is_down = True
    broken = AskedOnce(GraphGroups(there.graph, ISSUER), {DEV, OPS})
    for _ in range(2):
        with pytest.raises(GroupsUnknown):
            broken.ask(ALICE, {DEV})
        called = len(there.server.calls)
    assert len(there.server.calls) == called


@pytest.mark.e2e
def test_every_session_asks_and_overage_does_not_matter(live: Estate, there: Reached) -> None:
    alice = live.sign_in("alice", _claim_names={"groups": "src1"})
    first = live.issue(alice)
    assert first.mapping.name == "Reader"
    asked = sum("checkMemberGroups" in call for call in there.server.calls)
    live.issue(alice)
    assert sum("checkMemberGroups" in call for call in there.server.calls) == asked + 1, "nothing is remembered between sessions"
    there.server.tenant.leave(DEV, alice.id)
    assert code_of(live, alice) == "NotAMember"
    with live.engine.store.read() as connection:
        grant = grants.find(connection, first.grant)
    assert grant is not None
    assert grant.ended_at is not None


@pytest.mark.e2e
def test_who_is_disabled_gets_nothing_by_claims_either(live: Estate, there: Reached) -> None:
    alice = live.sign_in("alice", dept="ops", acrs=["c1"])
    assert live.issue(alice, "Guest").mapping.name == "Guest"
    there.server.tenant.disable(alice.id)
    assert code_of(live, alice, "Guest") == "PersonDisabled"
    there.server.tenant.delete(alice.id)
    assert code_of(live, alice) == "PersonDisabled"


@pytest.mark.e2e
def test_while_the_directory_is_down_rights_neither_grow_nor_stay(live: Estate, there: Reached) -> None:
    alice = live.sign_in("alice")
    held = live.issue(alice)
    there.server.is_down = True
    with pytest.raises(ArmError) as caught:
        live.issue(alice)
    assert (caught.value.code, caught.value.status) == ("GroupsUnknown", 503)
    assert len(live.signer.minted) == 1, "nothing was minted"
    assert held.until - live.engine.now() <= 300_000, "what is held runs out by itself"
    with live.engine.store.read() as connection:
        kept = grants.find(connection, held.grant)
        told = connection.execute(select(audit_records.c.outcome).where(audit_records.c.detail.contains("GroupsUnknown"))).scalars().all()
    assert kept is not None
    assert kept.ended_at is None, "not knowing ends nothing"
    assert told == ["refused"]
    there.server.is_down = False
    there.passing.now += 60
    assert live.issue(alice).grant == held.grant


@pytest.mark.e2e
def test_broken_glass_does_not_wait_for_the_directory(live: Estate, there: Reached) -> None:
    alice = live.sign_in("alice")
    there.server.is_down = True
    mapping = live.broker.mapping(str(mapping_id("Reader")))
    now = live.engine.now()
    with live.engine.store.begin() as connection:
        glass = grants.Grant(
            id="G-GLASS",
            mapping=mapping.key,
            connector=mapping.connector,
            person=alice.id,
            name="alice",
            because="request:r-1",
            is_break_glass=True,
            began_at=now,
            ends_at=now + 600_000,
            checked_at=now,
        )
        grants.add(connection, glass)
    assert live.issue(alice).grant == "G-GLASS"
    assert there.server.calls == [], "it is not even asked"


@pytest.mark.e2e
def test_a_sign_in_that_was_ended_while_the_directory_thought_gives_nothing(live: Estate, there: Reached) -> None:
    alice = live.sign_in("alice")

    class Slow:
        """Graph, during whose answer the sign-in is ended."""

        is_live = True

        def ask(self, person: SignedIn, groups: frozenset[str]) -> object:
            found = GraphGroups(there.graph, ISSUER).ask(person, groups)
            with live.engine.store.begin() as connection:
                evidence.end_all(connection, alice.id, int(time.time() * 1000))
            return found

    live.broker = replace(live.broker, groups=Slow())  # type: ignore[arg-type]
    assert code_of(live, alice) == "SignInNeeded"
    assert live.signer.minted == []
