"""Lists go on by key: pages of any size hold the same once, newest first, whatever comes in meanwhile."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Table, insert

from isthmus.access import listing
from isthmus.access.listing import Wish
from isthmus.access.trail import ingest
from isthmus.access.watching import watched
from isthmus.audit.events import read_event
from isthmus.store import Store
from isthmus.store.tables import access_denials, access_grants, access_revocations, access_sessions, sign_in_logs
from tests.access.cloudtrail import BEGIN, ISSUER, Session, called, entered, id_of
from tests.access.test_review import NOW, grant, session

MANY = 600


def everything(store: Store, table: Table, wanted: Sequence[ColumnElement[bool]], limit: int) -> list[str]:
    found, after = list[str](), ""
    while True:
        with store.read() as connection:
            rows, after = listing.ranged(connection, table, wanted, after=after, limit=limit)
        assert len(rows) <= limit
        found += [row.id for row in rows]
        if not after:
            return found


def seed(store: Store, table: Table, rows: list[dict[str, Any]]) -> None:
    random.Random(7).shuffle(rows)
    with store.begin() as connection:
        connection.execute(insert(table), rows)


@pytest.mark.parametrize("limit", [1, 7, 100, MANY, MANY + 1])
def test_pages_of_any_size_hold_the_same_once(store: Store, limit: int) -> None:
    """Ten of them began in the same millisecond, and ids do not follow time."""
    rows = [grant(f"G-{number * 7919 % MANY:04d}", "alice", "operator", NOW + number // 10, NOW + 10**6) for number in range(MANY)]
    expected = [row["id"] for row in sorted(rows, key=lambda row: (row["began_at"], row["id"]), reverse=True)]
    seed(store, access_grants, rows)
    assert everything(store, access_grants, (), limit) == expected


def test_what_comes_in_between_two_pages_moves_nothing(store: Store) -> None:
    seed(store, access_sessions, [session(f"A{number:03d}", "alice", "operator", NOW + number) for number in range(20)])
    with store.read() as connection:
        first, after = listing.ranged(connection, access_sessions, (), after="", limit=10)
    seed(store, access_sessions, [session("LATE", "alice", "operator", NOW + 1_000)])
    with store.read() as connection:
        second, end = listing.ranged(connection, access_sessions, (), after=after, limit=10)
    assert [row.id for row in (*first, *second)] == [f"A{number:03d}" for number in reversed(range(20))]
    assert end == ""


@pytest.mark.parametrize(
    ("wish", "ids"),
    [
        (Wish(), {"LIVE", "OVER", "GONE", "BOBS", "SHELL"}),
        (Wish(state="live"), {"LIVE", "BOBS", "SHELL"}),
        (Wish(state="ended"), {"OVER"}),
        (Wish(state="revoked"), {"GONE"}),
        (Wish(person="bob", state="live"), {"BOBS"}),
        (Wish(use="shell"), {"SHELL"}),
        (Wish(use="shell:eu-west-1"), {"SHELL"}),
        (Wish(use="probe"), {"PROBE"}),
        (Wish(use="%"), set()),
        (Wish(account="999999999999"), set()),
    ],
)
def test_sessions_are_chosen_by_what_is_asked(store: Store, wish: Wish, ids: set[str]) -> None:
    rows = [
        session("LIVE", "alice", "operator", NOW - 1_000),
        session("OVER", "alice", "operator", NOW - 900_000),
        {**session("GONE", "alice", "operator", NOW - 2_000), "revoked_at": NOW - 1},
        session("BOBS", "bob", "operator", NOW - 3_000),
        session("SHELL", "alice", "operator", NOW - 4_000, use="shell:eu-west-1"),
        session("PROBE", "alice", "operator", NOW - 5_000, use="probe"),
    ]
    seed(store, access_sessions, [{"revoked_at": None, **row} for row in rows])
    wanted = listing.sessions_of(wish, NOW)
    assert set(everything(store, access_sessions, wanted, 2)) == ids
    with store.read() as connection:
        assert listing.count(connection, access_sessions, wanted) == len(ids)


def test_what_is_too_much_is_not_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(store, access_sessions, [session(f"A{number}", "alice", "operator", NOW) for number in range(4)])
    with store.read() as connection:
        for most, expected in ((4, 4), (3, None)):
            monkeypatch.setattr(listing, "COUNTED", most)
            assert listing.count(connection, access_sessions, ()) == expected


def test_grants_and_revocations_are_chosen_by_state(store: Store) -> None:
    held = [
        grant("ACTIVE", "alice", "operator", NOW - 9, NOW + 9, ended_at=None),
        grant("EXPIRED", "alice", "operator", NOW - 9, NOW, ended_at=None),
        grant("ENDED", "alice", "operator", NOW - 9, NOW + 9, ended_at=NOW - 1),
    ]
    seed(store, access_grants, held)
    for state in ("active", "expired", "ended"):
        assert everything(store, access_grants, listing.grants_of(Wish(state=state), NOW), 5) == [state.upper()]
    texts = {"person": "alice", "grant": "", "actor": "a", "reason": "r"}
    seed(store, access_revocations, [{"id": id, **texts, "at": NOW, "before": NOW, "until": NOW} for id in ("waits", "done", "nobody")])
    denials = [("waits", "Denied"), ("waits", "Pending"), ("done", "Denied")]
    names = {"shells": 0, "detail": ""}
    rows = [{"revocation": id, "connector": f"c{number}", "state": state, **names} for number, (id, state) in enumerate(denials)]
    seed(store, access_denials, rows)
    assert everything(store, access_revocations, listing.revocations_of(Wish(state="pending")), 5) == ["waits"]
    assert set(everything(store, access_revocations, listing.revocations_of(Wish(state="denied")), 5)) == {"done", "nobody"}


def test_it_is_told_from_where_a_session_is_used_and_which_shells_it_opened(store: Store) -> None:
    """The exchange came from us, so its address says nothing; of the calls the latest counts."""
    alice = Session(key="ASIAALICE", person=id_of("alice"), grant="G-1")
    shell = {"source": "ssm", "requestParameters": {"target": "i-0123456789abcdef1"}}
    documents = [
        {**entered(alice), "sourceIPAddress": "198.51.100.1"},
        {**called(alice, "DescribeVpcs", 10), "sourceIPAddress": "203.0.113.9"},
        {**called(alice, "StartSession", 20, **shell), "sourceIPAddress": "203.0.113.7"},
        {**called(alice, "StartSession", 15, **shell), "errorCode": "AccessDenied"},
    ]
    given = session(alice.key, alice.person, "operator", BEGIN * 1000, use="shell:us-east-1")
    quiet = session("ASIAQUIET", alice.person, "operator", BEGIN * 1000)
    seed(store, access_sessions, [given, quiet])
    seed(store, access_grants, [grant("g", alice.person, "operator", 1, 2)])
    logged = {"id": "l", "object_id": alice.person, "sign_in": "s", "session_id": "", "at": 1, "address": "192.0.2.4"}
    texts = dict.fromkeys(("conditional_access", "requirement", "correlation"), "")
    with store.begin() as connection:
        connection.execute(insert(sign_in_logs).values(**logged, **texts, document="{}"))
        ingest(connection, [read_event(one) for one in documents], ISSUER)
        rows, _ = listing.ranged(connection, access_sessions, (), after="", limit=5)
        found = watched(connection, rows)
    seen = found[alice.key]
    assert (seen.signed_in_from, seen.used_from, seen.last_call, seen.shells) == ("192.0.2.4", "203.0.113.7", (BEGIN + 20) * 1000, 1)
    assert seen.name == alice.person.title()
    still = found["ASIAQUIET"]
    assert (still.used_from, still.last_call, still.shells) == ("", None, 0)
