"""Old operations and scans go, whatever still runs and the newest scans stay."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import insert, select

from isthmus.engine import Engine
from isthmus.identity import evidence
from isthmus.identity.people import Person
from isthmus.solutions.retention import Retention
from isthmus.store.tables import operations, refresh_tokens, resource_changes, scans, sign_ins

DAY = 86_400_000


def test_ended_operations_go_after_their_days(engine: Engine) -> None:
    now = engine.now()
    ends = {"old": now - 8 * DAY, "recent": now - 6 * DAY, "running": None} | {f"old-{n}": now - 9 * DAY for n in range(600)}
    texts = dict.fromkeys(("resource", "kind", "status", "location", "subscription", "caller"), "x")
    with engine.store.begin() as connection:
        connection.execute(insert(operations), [{**texts, "id": id, "started_at": 0, "ended_at": end} for id, end in ends.items()])
    Retention(engine=engine, keep_days=7).delete_old(datetime.now(UTC))
    with engine.store.read() as connection:
        assert set(connection.execute(select(operations.c.id)).scalars()) == {"recent", "running"}


def test_the_newest_scans_of_each_solution_stay(engine: Engine) -> None:
    now = engine.now()
    rows = [
        {
            "id": f"{solution}:{n:03}",
            "solution": solution,
            "account": "1",
            "status": "x",
            "summary": "{}",
            "started_at": start,
            "ended_at": start,
        }
        for solution, count, age in (("busy", 70, 30), ("quiet", 40, 300), ("fresh", 70, 1))
        for n in range(count)
        for start in (now - age * DAY + n,)
    ]
    rows.append({**rows[0], "id": "busy:running", "started_at": 1, "ended_at": None})
    with engine.store.begin() as connection:
        connection.execute(insert(scans), rows)
    Retention(engine=engine, keep_days=7).delete_old(datetime.now(UTC))
    with engine.store.read() as connection:
        left = set(connection.execute(select(scans.c.id)).scalars())
    assert {id for id in left if id.startswith("busy")} == {f"busy:{n:03}" for n in range(20, 70)} | {"busy:running"}
    assert len(left) == 51 + 40 + 70


def test_changes_of_resources_go_after_their_days(engine: Engine) -> None:
    now = engine.now()
    times = {"old": now - 8 * DAY, "recent": now - 6 * DAY} | {f"old-{n}": now - 9 * DAY for n in range(600)}
    texts = dict.fromkeys(("resource", "actor", "kind", "changes"), "x")
    with engine.store.begin() as connection:
        connection.execute(insert(resource_changes), [{**texts, "id": id, "at": at} for id, at in times.items()])
    Retention(engine=engine, keep_days=7).delete_old(datetime.now(UTC))
    with engine.store.read() as connection:
        assert list(connection.execute(select(resource_changes.c.id)).scalars()) == ["recent"]


def test_sign_ins_go_after_their_days(engine: Engine) -> None:
    now = engine.now()
    person = Person(object_id="b0000000-0000-0000-0000-00000000000a", name="Ann", issuer="https://idp.example", subject="ann")
    with engine.store.begin() as connection:
        for id, ended in {"old": now - 8 * DAY, "recent": now - 6 * DAY, "living": now + DAY}.items():
            evidence.record(connection, evidence.evidence_of(person, {}, id=id, now=ended - DAY, seconds=86_400))
        texts = dict.fromkeys(("family", "client_id", "object_id", "name", "sign_in"), "x")
        rows = [{**texts, "hash": hash, "created_at": 0, "expires_at": now - days * DAY} for hash, days in {"old": 8, "recent": 6}.items()]
        connection.execute(insert(refresh_tokens), rows)
    Retention(engine=engine, keep_days=7).delete_old(datetime.now(UTC))
    with engine.store.read() as connection:
        assert set(connection.execute(select(sign_ins.c.id)).scalars()) == {"recent", "living"}
        assert set(connection.execute(select(refresh_tokens.c.hash)).scalars()) == {"recent"}
