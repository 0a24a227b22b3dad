"""Sign-in links are used once."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select, update

from isthmus.arm.errors import ArmError
from isthmus.identity import links
from isthmus.store import Store
from isthmus.store.tables import sign_in_links
from tests.support.clock import Clock

OWNER = "6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38"


def test_a_link_works_once(store: Store, clock: Clock) -> None:
    with store.begin() as connection:
        code = links.make(connection, clock, by=OWNER)
    assert len(code) == 64
    with store.begin() as connection:
        assert links.consume(connection, code, clock) == OWNER, "who made it is known"
    with store.begin() as connection, pytest.raises(ArmError, match="InvalidSignInLink"):
        links.consume(connection, code, clock)


@pytest.mark.parametrize("code", ["", "0" * 64, "x", "\ud800", "a\0b"])
def test_other_codes_are_refused(store: Store, clock: Clock, code: str) -> None:
    with store.begin() as connection:
        links.make(connection, clock, by=OWNER)
        with pytest.raises(ArmError) as caught:
            links.consume(connection, code, clock)
    assert caught.value.status == 401


def test_a_link_ends_after_ten_minutes(store: Store, clock: Clock) -> None:
    with store.begin() as connection:
        code = links.make(connection, clock, by=OWNER)
        clock.advance(600)
        with pytest.raises(ArmError, match="expired"):
            links.consume(connection, code, clock)
        links.make(connection, clock, by=OWNER)
        assert len(connection.execute(select(sign_in_links)).all()) == 1, "old links are forgotten"


def test_the_code_is_not_stored(store: Store, clock: Clock) -> None:
    with store.begin() as connection:
        code = links.make(connection, clock, by=OWNER)
        row = connection.execute(select(sign_in_links)).one()
    assert code not in str(row)


def test_of_concurrent_uses_one_succeeds(store: Store, clock: Clock) -> None:
    with store.begin() as connection:
        code = links.make(connection, clock, by=OWNER)
    outcomes: list[str] = []
    together = threading.Barrier(6)

    def use() -> None:
        together.wait()
        try:
            with store.begin() as connection:
                links.consume(connection, code, clock)
            outcomes.append("in")
        except ArmError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["InvalidSignInLink"] * 5 + ["in"]


def test_a_link_of_which_nobody_knows_who_made_it_is_refused(store: Store, clock: Clock) -> None:
    """One of a version that let every owner make them."""
    with store.begin() as connection:
        code = links.make(connection, clock, by=OWNER)
        connection.execute(update(sign_in_links).values(made_by=""))
        for refuse in (links.require_unused, links.consume):
            with pytest.raises(ArmError, match="InvalidSignInLink"):
                refuse(connection, code, clock)
