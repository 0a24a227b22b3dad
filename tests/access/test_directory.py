"""Who is active, and who is in which group: directly, through groups in groups, in circles, and too far down."""

from __future__ import annotations

import uuid

import pytest

from isthmus.access.directory import MAX_DEPTH, object_id_of
from isthmus.store import Store
from tests.access.people import Provisioned, provision
from tests.support.clock import Clock

ALICE, TEAM = str(uuid.UUID(int=2**100)), str(uuid.UUID(int=2**101))


@pytest.fixture
def provisioned(store: Store, clock: Clock) -> Provisioned:
    """A directory on a fresh database."""
    return provision(store, clock)


def active(provisioned: Provisioned, object_id: str) -> bool | None:
    with provisioned.engine.store.read() as connection:
        return provisioned.groups.is_active(connection, object_id)


def test_object_ids_are_external_where_those_are_guids() -> None:
    assert object_id_of("58342554-38D6-4EC8-948C-50044D0A33FD", "x") == "58342554-38d6-4ec8-948c-50044d0a33fd"
    assert [object_id_of(external, "x") for external in (None, "", "alice", "58342554", "{58342554-38d6-4ec8-948c-50044d0a33fd}")] == [
        "x"
    ] * 5


def test_people_are_known_by_object_id(provisioned: Provisioned) -> None:
    id = provisioned.user("alice", externalId=ALICE.upper())
    bob = provisioned.user("bob", externalId="bob@example.com", active=False)
    carol = provisioned.user("carol")
    assert [active(provisioned, one) for one in (ALICE, ALICE.upper(), id, bob, carol, "nobody")] == [True, True, None, False, True, None]


def test_membership_is_direct_or_nested(provisioned: Provisioned) -> None:
    provisioned.user("alice", externalId=ALICE)
    team = provisioned.group("team", "alice", externalId=TEAM)
    outer = provisioned.group("outer", "team")
    other = provisioned.group("other")
    assert provisioned.held(ALICE, TEAM.upper(), outer, other, team) == {TEAM.upper(), outer}, "as they were asked for"
    assert provisioned.held(ALICE) == set()
    assert provisioned.held("nobody", TEAM) == set()
    provisioned.leave("team", "alice")
    assert provisioned.held(ALICE, TEAM, outer) == set()


def test_inactive_people_are_in_no_group(provisioned: Provisioned) -> None:
    provisioned.user("alice", externalId=ALICE)
    provisioned.group("team", "alice", externalId=TEAM)
    provisioned.patch("alice", {"op": "Replace", "path": "active", "value": "False"})
    assert provisioned.held(ALICE, TEAM) == set()
    provisioned.patch("alice", {"op": "Replace", "path": "active", "value": "True"})
    assert provisioned.held(ALICE, TEAM) == {TEAM}


def test_circles_end(provisioned: Provisioned) -> None:
    provisioned.user("alice", externalId=ALICE)
    first = provisioned.group("first", "alice")
    second = provisioned.group("second", "first")
    provisioned.join("first", "second", "first")
    assert provisioned.held(ALICE, first, second) == {first, second}
    provisioned.leave("first", "alice")
    assert provisioned.held(ALICE, first, second) == set()


def test_what_is_nested_too_deep_does_not_count(provisioned: Provisioned) -> None:
    provisioned.user("alice", externalId=ALICE)
    below, groups = "alice", []
    for level in range(MAX_DEPTH + 2):
        groups.append(provisioned.group(f"level{level}", below))
        below = f"level{level}"
    assert provisioned.held(ALICE, *groups) == set(groups[:MAX_DEPTH])
