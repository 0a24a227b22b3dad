"""Requests at the same time: writers take turns, and none of them is lost or done twice."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from isthmus.access.leaving import offboard
from isthmus.access.revocations import hold_person, is_revoked
from isthmus.access.scim import Scim
from isthmus.arm.change import Change
from isthmus.audit import verify
from isthmus.identity import evidence
from isthmus.identity.people import Person
from isthmus.store import Store
from tests.access.estate import ADMIN
from tests.access.people import Provisioned, RefusedError, provision
from tests.support.clock import Clock
from tests.support.waiting import until, waits_for_a_name

WORKERS = 6


def test_one_name_is_taken_once(provisioned: Provisioned) -> None:
    def create(number: int) -> str:
        try:
            provisioned.user(f"user{number % 2}")
        except RefusedError as error:
            return str(error)
        return "made"

    with ThreadPoolExecutor(WORKERS) as pool:
        assert Counter(pool.map(create, range(12))) == {"made": 2, "uniqueness": 10}
    with provisioned.engine.store.read() as connection:
        assert verify(connection) is None


def test_members_come_and_go_without_loss(provisioned: Provisioned) -> None:
    """Halves of a group swap while it is renamed; what is there in the end is what was asked for, and each who went was told of once."""
    names = [f"user{number}" for number in range(12)]
    for name in names:
        provisioned.user(name)
    group = provisioned.group("team", *names[:6])

    def change(number: int) -> None:
        if number < 6:
            provisioned.leave("team", names[number])
        else:
            provisioned.join("team", names[number])
        provisioned.patch("team", {"op": "Replace", "path": "externalId", "value": f"name {number}"})

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(change, range(12)))
    assert {member["value"] for member in provisioned.read("team")["members"]} == {provisioned.ids[name] for name in names[6:]}
    assert provisioned.told() == sorted((provisioned.ids[name], frozenset({group}), True) for name in names[:6])


@pytest.mark.postgresql
def test_many_leave_while_one_of_them_is_held(postgresql_url: str, clock: Clock) -> None:
    """Who holds a person writes a record next; whoever takes away from several must not hold the chain while they wait for that person."""
    store = Store(postgresql_url)
    provisioned = provision(store, clock)
    engine = provisioned.engine
    people = {name: str(uuid.UUID(int=number)) for number, name in enumerate(("alice", "bob"), 1)}
    for name, id in people.items():
        provisioned.user(name, externalId=id)
        with store.begin() as connection:
            who = Person(object_id=id, name=name, issuer="https://idp.test", subject=name)
            evidence.new_sign_in(connection, who, {}, clock=clock, identifier=lambda name=name: name, seconds=3600)
    provisioned.group("team", *people)
    provisioned.scim = Scim(engine, lambda connection, person, _: [offboard(connection, engine, person, ADMIN, "left")].clear())
    with ThreadPoolExecutor(1) as pool:
        with store.begin() as connection:
            hold_person(connection, people["bob"])
            leaving = pool.submit(provisioned.send, "DELETE", provisioned.path("team"))
            until(lambda: waits_for_a_name(store), what="the directory waits for Bob")
            engine.apply_within(connection, Change(), ADMIN, "test", "/")
        assert leaving.result(60).status == 204
    with store.read() as connection:
        assert [is_revoked(connection, id) for id in people.values()] == [True, True]
    store.close()
