"""The review counts what was used, on both databases, and stays one query for any number of sessions."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import insert

from isthmus.access import grants
from isthmus.access.review import DAY, Reviewed, count, review
from isthmus.store import Store
from isthmus.store.tables import access_grants, access_sessions

NOW = 1_767_225_600_000
CONNECTOR = "/subscriptions/s/providers/microsoft.hybridconnectivity/publiccloudconnectors/c"


def mapping(name: str) -> str:
    return f"{CONNECTOR}/providers/isthmus.access/rolemappings/{name}"


def grant(id: str, person: str, role: str, began: int, ends: int, **more: Any) -> dict[str, Any]:
    made = grants.Grant(
        id=id,
        mapping=mapping(role),
        connector=CONNECTOR,
        person=person,
        name=person.title(),
        because="group:g",
        began_at=began,
        ends_at=ends,
        checked_at=began,
    )
    return {**{name: getattr(made, name) for name in grants.Grant.__dataclass_fields__}, **more}


def session(id: str, person: str, role: str, at: int, use: str = "credentials") -> dict[str, Any]:
    names = {"grant": "g", "mapping": mapping(role), "person": person, "sign_in": "s", "account": "123456789012", "role_arn": "arn"}
    return {"id": id, **names, "use": use, "issued_at": at, "lease_until": at + 300_000}


def seed(store: Store, held: list[dict[str, Any]], used: list[dict[str, Any]]) -> None:
    with store.begin() as connection:
        for table, rows in ((access_grants, held), (access_sessions, used)):
            for start in range(0, len(rows), 2_000):
                connection.execute(insert(table), rows[start : start + 2_000])


def reviewed(store: Store, **more: int) -> list[Reviewed]:
    with store.read() as connection:
        return list(review(connection, NOW, **more))


def test_what_was_held_and_how_it_was_used(store: Store) -> None:
    held = [
        grant("G-1", "alice", "operator", NOW - 200 * DAY, NOW - 199 * DAY, because="group:g-old"),
        grant("G-2", "alice", "operator", NOW - 10_000, NOW + 50_000, because="request:r-2"),
        grant("G-3", "alice", "operator", NOW - 5_000, NOW + 20_000, because="request:r-3"),
        grant("G-4", "alice", "operator", NOW - 1_000, NOW + 90_000, because="request:r-4", ended_at=NOW - 500),
        grant("G-5", "alice", "reader", NOW - 40 * DAY, NOW - 39 * DAY),
        grant("G-6", "bob", "reader", NOW - 100 * DAY, NOW + DAY),
    ]
    used = [
        session("A1", "alice", "operator", NOW - 1_000),
        session("A2", "alice", "operator", NOW - 29 * DAY),
        session("A3", "alice", "operator", NOW - 31 * DAY),
        session("A4", "alice", "operator", NOW - 91 * DAY),
        session("A5", "alice", "reader", NOW - 35 * DAY),
        session("A6", "alice", "reader", NOW - 1_000, use="probe"),
    ]
    assert reviewed(store) == []
    seed(store, held, used)
    operator, reader, bob = reviewed(store)
    assert (operator.person, operator.name, operator.mapping, operator.connector) == ("alice", "Alice", mapping("operator"), CONNECTOR)
    assert (operator.because, operator.living, operator.living_until) == ("request:r-3", 2, NOW + 50_000)
    assert (operator.sessions_30, operator.sessions_90, operator.last_session) == (2, 3, NOW - 1_000)
    assert (operator.first_grant, operator.unused_since) == (NOW - 200 * DAY, None)
    assert (reader.living, reader.living_until, reader.sessions_30, reader.sessions_90) == (0, None, 0, 1)
    assert (reader.last_session, reader.unused_since) == (NOW - 35 * DAY, NOW - 35 * DAY), "our own probes are no use of it"
    assert (bob.last_session, bob.sessions_90, bob.unused_since, bob.living) == (None, 0, NOW - 100 * DAY, 1)
    assert reviewed(store, first=1, most=1) == [reader]
    with store.read() as connection:
        assert count(connection) == 3


@pytest.mark.slow
def test_a_hundred_thousand_sessions_are_reviewed_within_seconds(store: Store) -> None:
    people, roles, number = 500, 4, 100_000
    held = [
        grant(f"G-{one}", f"p{one // roles:03}", f"r{one % roles}", NOW - DAY, NOW + DAY * (one % 2) - 1) for one in range(people * roles)
    ]
    used = [session(f"A{one}", f"p{one % people:03}", f"r{one // people % roles}", NOW - one * 90_000) for one in range(number)]
    seed(store, held, used)
    page, whole = [], []
    for _ in range(5):
        began = time.perf_counter()
        first = reviewed(store, most=1_001)
        page.append(time.perf_counter() - began)
        began = time.perf_counter()
        everything = reviewed(store)
        whole.append(time.perf_counter() - began)
    assert (len(first), len(everything)) == (1_001, people * roles)
    assert sum(one.sessions_90 for one in everything) == 90 * DAY // 90_000
    dialect = store.engine.dialect.name
    print(f"{dialect}: a page of 1,000 in {min(page) * 1000:.0f} ms, all in {min(whole) * 1000:.0f} ms")  # noqa: T201 - the figure
    assert min(page) < 2.0
