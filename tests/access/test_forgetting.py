"""What is old enough goes in slices, up to a checkpoint that the second store has, and the proof goes on from there."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text

from isthmus.access import forgetting
from isthmus.access.forgetting import Forgetting
from isthmus.access.trail import ingest
from isthmus.audit import Checkpoints, FolderAnchor
from isthmus.audit.events import read_event
from isthmus.engine import Engine
from isthmus.store import Store
from isthmus.store.tables import access_grants, access_requests, access_sessions, audit_records, trail_events, trail_machines
from tests.access.cloudtrail import ISSUER, called
from tests.access.test_proof import ALICE, Keys, check, fill
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86_400


@pytest.fixture
def engine(store: Store, clock: Clock) -> Engine:
    return Engine(store, RecordedJobs(), clock=clock, new_guid=lambda: str(uuid.uuid4()))


@pytest.fixture
def sealed(store: Store, engine: Engine, tmp_path: Path) -> Callable[[float], Forgetting]:
    """Three rounds of events, each under an anchored checkpoint; retention as it would run so many days after the first."""
    fill(store, tmp_path / "anchor")
    with store.read() as connection:
        times = list(connection.execute(text("select at from audit_checkpoints where tree = 'trail' order by size")).scalars())

    def after(number: int) -> Forgetting:
        """Retention at a time at which the checkpoints up to a number are old enough."""
        clock = Clock()
        clock.now = times[number - 1] / 1000 + 400 * DAY + 1
        return Forgetting(engine=Engine(store, engine.jobs, clock=clock, new_guid=engine.new_guid), keep_days=400)

    return after  # type: ignore[return-value]


def numbers(store: Store) -> list[int]:
    with store.read() as connection:
        return list(connection.execute(select(trail_events.c.seq).order_by(trail_events.c.seq)).scalars())


@pytest.mark.parametrize(("old", "left"), [(1, 15), (2, 6), (3, 0)])
def test_events_go_up_to_a_checkpoint_and_the_rest_is_proven(
    store: Store, sealed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: int, left: int
) -> None:
    monkeypatch.setattr(forgetting, "SLICE", 4)
    sealed(old).delete_old(NOW)
    assert numbers(store) == list(range(22 - left, 22))
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(trail_machines)).scalar() == len(
            [n for n in (6, 15, 21) if n > 21 - left]
        )
    found = check(store, tmp_path / "anchor")
    assert (found.findings, found.cut, found.counts["checkpoints"]) == ([], 21 - left, 6)
    sealed(old).delete_old(NOW)
    assert numbers(store) == list(range(22 - left, 22)), "nothing is left to be done"


def test_the_log_goes_on_after_everything_was_deleted(store: Store, sealed: Any, tmp_path: Path) -> None:
    sealed(3).delete_old(NOW)
    with store.begin() as connection:
        ingest(connection, [read_event(called(ALICE, "DescribeSubnets", 500))], ISSUER)
    clock = Clock()
    clock.advance(90_000)
    Checkpoints(store=store, ring=Keys(), anchor=FolderAnchor(str(tmp_path / "anchor")), clock=clock).run(NOW)
    assert numbers(store) == [22]
    found = check(store, tmp_path / "anchor")
    assert (found.findings, found.covered["trail"]) == ([], 22)


def test_nothing_goes_that_the_second_store_does_not_have(store: Store, sealed: Any) -> None:
    with store.begin() as connection:
        connection.execute(text("update audit_checkpoints set anchored_at = null where tree = 'trail'"))
    sealed(3).delete_old(NOW)
    assert len(numbers(store)) == 21


def test_a_deletion_that_broke_is_proven_and_ended_the_next_time(store: Store, sealed: Any, tmp_path: Path) -> None:
    with store.begin() as connection:
        kept = connection.execute(select(trail_events).where(trail_events.c.seq.between(4, 6))).all()
        machines = connection.execute(select(trail_machines).where(trail_machines.c.seq == 6)).all()
    sealed(1).delete_old(NOW)
    with store.begin() as connection:
        connection.execute(insert(trail_events), [row._asdict() for row in kept])
        connection.execute(insert(trail_machines), [row._asdict() for row in machines])
    assert check(store, tmp_path / "anchor").findings == []
    sealed(1).delete_old(NOW)
    assert numbers(store) == list(range(7, 22))


THEFTS = [
    ("delete from trail_events where seq <= 6", "event 1"),
    ("delete from trail_events where seq <= 8", "event 7"),
    ("update trail_events set person = 'other' where seq = 10", "event 10 "),
    ("update audit_checkpoints set edge = '[]' where tree = 'trail' and size = 6", "checkpoint trail 6"),
    ("update audit_checkpoints set signature = 'AAAA' where tree = 'trail' and size = 6", "checkpoint trail 6"),
    ("delete from audit_checkpoints where tree = 'trail' and size = 6", "event 6"),
    ("delete from audit_records where action = 'Isthmus.Access/trail/delete'", "event 1"),
]


@pytest.mark.parametrize(("change", "where"), THEFTS)
def test_what_retention_did_not_do_is_found(store: Store, sealed: Any, tmp_path: Path, change: str, where: str) -> None:
    if where != "event 1" or "audit_records" in change:
        sealed(1).delete_old(NOW)
    with store.begin() as connection:
        assert connection.execute(text(change)).rowcount
    assert any(one.where.startswith(where) for one in check(store, tmp_path / "anchor").findings)


def test_a_cut_is_in_the_chain_before_the_first_event_goes(store: Store, sealed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_given: object) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr(forgetting, "delete", breaks)
    with pytest.raises(RuntimeError):
        sealed(2).delete_old(NOW)
    with store.read() as connection:
        [found] = connection.execute(select(audit_records).where(audit_records.c.action == "Isthmus.Access/trail/delete")).all()
    assert '"until":15' in found.detail
    assert len(numbers(store)) == 21


def grant(id: str, ends_at: int, because: str = "group:g") -> dict[str, Any]:
    texts = {"mapping": "m", "connector": "c", "person": "p", "name": "n", "because": because, "ending": ""}
    return {"id": id, **texts, "is_break_glass": False, "began_at": 0, "ends_at": ends_at, "checked_at": 0}


def session(id: str, of: str, until: int) -> dict[str, Any]:
    texts = {"mapping": "m", "person": "p", "sign_in": "s", "account": "1", "role_arn": "r", "use": "credentials"}
    return {"id": id, "grant": of, **texts, "issued_at": 0, "lease_until": until}


def request(id: str, state: str, expires_at: int) -> dict[str, Any]:
    texts = {"mapping": "m", "person": "p", "name": "n", "sign_in": "s", "reason": "r", "decisions": "[]"}
    return {"id": id, **texts, "seconds": 1, "state": state, "is_break_glass": False, "asked_at": 0, "expires_at": expires_at}


def test_sessions_grants_and_requests_go_when_nothing_that_is_kept_needs_them(store: Store, engine: Engine) -> None:
    now = engine.now()
    old, recent = now - 410 * DAY * 1000, now - 390 * DAY * 1000
    with store.begin() as connection:
        connection.execute(
            insert(access_grants), [grant("old", old), grant("recent", recent), grant("used", old), grant("asked", recent, "request:kept")]
        )
        connection.execute(insert(access_sessions), [session("S1", "old", old), session("S2", "used", recent)])
        rows = [request("gone", "Denied", old), request("kept", "Approved", old), request("waits", "Pending", old)]
        connection.execute(insert(access_requests), [*rows, request("recent", "Denied", recent)])
    Forgetting(engine=engine, keep_days=400).delete_old(NOW)
    with store.read() as connection:
        left = {
            table.name: set(connection.execute(select(table.c.id)).scalars()) for table in (access_grants, access_sessions, access_requests)
        }
    assert left == {"access_grants": {"recent", "used", "asked"}, "access_sessions": {"S2"}, "access_requests": {"kept", "waits", "recent"}}
