"""Requests at the same time: writers take turns, and none of them is lost or done twice."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from isthmus.audit import verify
from tests.access.people import Provisioned, RefusedError

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
