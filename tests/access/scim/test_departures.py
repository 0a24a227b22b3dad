"""The hook hears of every person who lost something, whatever it was that took it, and in the transaction in which it was taken."""

from __future__ import annotations

import uuid

import pytest

from isthmus.audit import verify
from tests.access.people import Provisioned, filled

ALICE, BOB, TEAM, OUTER = (str(uuid.UUID(int=2**100 + number)) for number in range(4))
OFF = {"op": "Replace", "path": "active", "value": "False"}


@pytest.fixture
def people(provisioned: Provisioned) -> Provisioned:
    """Alice and Bob in a team, which is in another group."""
    provisioned.user("alice", externalId=ALICE)
    provisioned.user("bob", externalId=BOB)
    provisioned.group("team", "alice", "bob", externalId=TEAM)
    provisioned.group("outer", "team", externalId=OUTER)
    assert provisioned.told() == [], "nobody lost anything by coming"
    return provisioned


def test_deactivation(people: Provisioned) -> None:
    people.patch("alice", OFF)
    assert people.told() == [(ALICE, {TEAM, OUTER}, False)]
    people.patch("alice", OFF)
    people.patch("alice", {"op": "Replace", "path": "active", "value": True})
    people.patch("alice", {"op": "Replace", "path": "title", "value": "x"})
    assert people.told() == []


def test_deletion(people: Provisioned) -> None:
    people.send("DELETE", people.path("alice"))
    assert people.told() == [(ALICE, {TEAM, OUTER}, None)]
    assert [member["value"] for member in people.read("team")["members"]] == [people.ids["bob"]]
    people.patch("bob", OFF)
    assert people.told() == [(BOB, {TEAM, OUTER}, False)]
    people.send("DELETE", people.path("bob"))
    assert people.told() == [(BOB, set(), None)], "told again: whoever listens may have missed nothing, but not less"


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Remove", "path": "members", "value": [{"value": "{alice}"}]},
        {"op": "remove", "path": 'members[value eq "{alice}"]'},
        {"op": "replace", "path": "members", "value": [{"value": "{bob}"}]},
    ],
)
def test_leaving_a_group(people: Provisioned, operation: dict[str, object]) -> None:
    people.patch("team", filled(operation, people.ids))
    assert people.told() == [(ALICE, {TEAM, OUTER}, True)]


def test_leaving_by_put(people: Provisioned) -> None:
    now = people.read("team")
    people.send("PUT", people.path("team"), {**now, "members": []})
    assert people.told() == [(ALICE, {TEAM, OUTER}, True), (BOB, {TEAM, OUTER}, True)]


def test_one_way_in_is_enough_to_stay(people: Provisioned) -> None:
    """Who is in a group twice stays in it when one of the ways ends."""
    people.join("outer", "alice")
    people.leave("team", "alice")
    assert people.told() == [(ALICE, {TEAM}, True)]
    people.leave("outer", "alice")
    assert people.told() == [(ALICE, {OUTER}, True)]


def test_a_group_that_leaves_a_group(people: Provisioned) -> None:
    people.patch("bob", OFF)
    people.told()
    people.leave("outer", "team")
    assert people.told() == [(ALICE, {OUTER}, True)], "inactive people had nothing left to lose"


def test_a_group_that_is_deleted(people: Provisioned) -> None:
    people.send("DELETE", people.path("team"))
    assert people.told() == [(ALICE, {TEAM, OUTER}, True), (BOB, {TEAM, OUTER}, True)]
    assert "members" not in people.read("outer")


def test_an_object_id_that_changes(people: Provisioned) -> None:
    """The old one has nothing any more, be it a person's or a group's."""
    people.patch("alice", {"op": "Replace", "path": "externalId", "value": str(uuid.UUID(int=2**110))})
    assert people.told() == [(ALICE, {TEAM, OUTER}, None)]
    people.patch("team", {"op": "Replace", "path": "externalId", "value": str(uuid.UUID(int=2**111))})
    assert people.told() == [(BOB, {TEAM}, True), (str(uuid.UUID(int=2**110)), {TEAM}, True)]


def test_a_hook_that_breaks_undoes_the_change(people: Provisioned) -> None:
    people.breaks = True
    for change in (
        lambda: people.patch("alice", OFF),
        lambda: people.leave("team", "alice"),
        lambda: people.send("DELETE", people.path("alice")),
    ):
        with pytest.raises(RuntimeError):
            change()
    assert people.held(ALICE, TEAM) == {TEAM}
    with people.engine.store.read() as connection:
        assert verify(connection) is None
