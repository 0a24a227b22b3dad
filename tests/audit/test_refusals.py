"""Refusals of strangers: on record, and few, however many there were."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.audit import Refusals, verify
from isthmus.store import Store
from isthmus.store.tables import audit_records
from tests.support.clock import Clock

NOBODY = Actor(id="anonymous", kind="Application", correlation="c")


def written(store: Store) -> list[tuple[str, str, int]]:
    """Action, code and count of every record, in order."""
    with store.read() as connection:
        assert verify(connection) is None
        rows = connection.execute(select(audit_records).order_by(audit_records.c.seq)).all()
    details = [orjson.loads(row.detail) for row in rows]
    return [(row.action, detail["code"], detail["count"]) for row, detail in zip(rows, details, strict=True)]


def refuse(refusals: Refusals, action: str = "token", code: str = "invalid_client") -> None:
    refusals.refuse(NOBODY, action, "/x", ArmError(code, "No.", status=401))


@pytest.fixture
def refusals(store: Store, clock: Clock) -> Refusals:
    return Refusals(store, clock)


def test_the_first_is_written_at_once_and_the_others_once_a_minute(refusals: Refusals, store: Store, clock: Clock) -> None:
    for _ in range(50):
        refuse(refusals)
    assert written(store) == [("token", "invalid_client", 1)]
    clock.advance(59)
    refusals.settle()
    assert len(written(store)) == 1
    clock.advance(1)
    refuse(refusals)
    assert written(store) == [("token", "invalid_client", 1), ("token", "invalid_client", 50)]
    refuse(refusals)
    clock.advance(60)
    refusals.settle()
    refusals.settle()
    assert [count for _, _, count in written(store)] == [1, 50, 1]


def test_actions_and_codes_count_apart(refusals: Refusals, store: Store) -> None:
    for action, code in (("token", "a"), ("token", "b"), ("sign-in", "a"), ("token", "a")):
        refuse(refusals, action, code)
    assert written(store) == [("token", "a", 1), ("token", "b", 1), ("sign-in", "a", 1)]


def test_what_waits_is_written_at_the_end(refusals: Refusals, store: Store) -> None:
    for _ in range(3):
        refuse(refusals)
    refusals.flush()
    refusals.flush()
    assert [count for _, _, count in written(store)] == [1, 2]


def test_a_clock_that_was_set_back_holds_nothing_up(refusals: Refusals, store: Store, clock: Clock) -> None:
    refuse(refusals)
    clock.advance(-3600)
    refuse(refusals)
    assert len(written(store)) == 2


def test_a_write_that_fails_keeps_the_count(refusals: Refusals, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr("isthmus.audit.refusals.append", fail)
        for _ in range(2):
            with pytest.raises(OSError, match="disk full"):
                refuse(refusals)
    refuse(refusals)
    assert [count for _, _, count in written(store)] == [3]


def test_of_many_threads_every_refusal_is_counted_once(refusals: Refusals, store: Store) -> None:
    threads = [threading.Thread(target=lambda: [refuse(refusals) for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusals.flush()
    counts = [count for _, _, count in written(store)]
    assert (sum(counts), len(counts)) == (200, 2)
