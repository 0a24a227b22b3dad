"""The directory's own records join our sign-ins by token, by session, and never by time or name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from isthmus.access.directory_logs import Matched, ingest_sign_ins
from isthmus.access.timeline import Asked, page
from isthmus.store import Store
from isthmus.store.tables import sign_in_logs, sign_ins
from tests.access.cloudtrail import id_of

ALICE, BOB = id_of("alice"), id_of("bob")


def signed_in(store: Store) -> None:
    row = {"id": "s-1", "object_id": ALICE, "issuer": "i", "subject": "s", "name": "Alice", "token_id": "uti-1", "session_id": "sid-1"}
    with store.begin() as connection:
        connection.execute(insert(sign_ins).values(**row, methods="[]", contexts="[]", claims="{}", at=5, ends_at=9))


def record(id: str, **more: Any) -> dict[str, Any]:
    frame = {"id": id, "createdDateTime": "2026-01-01T00:00:00Z", "userId": ALICE.upper(), "ipAddress": "192.0.2.1"}
    return frame | {"conditionalAccessStatus": "success", "authenticationRequirement": "multiFactorAuthentication"} | more


def take(store: Store, *records: object) -> Matched:
    with store.begin() as connection:
        return ingest_sign_ins(connection, records)


def stored(store: Store) -> dict[str, str | None]:
    with store.read() as connection:
        return {row.id: row.sign_in for row in connection.execute(select(sign_in_logs))}


def test_records_join_by_token_else_by_session_and_else_not(store: Store) -> None:
    signed_in(store)
    matched = take(
        store,
        record("exact", uniqueTokenIdentifier="uti-1", sessionId="sid-1"),
        record("silent", uniqueTokenIdentifier="uti-2", sessionId="sid-1"),
        record("else", uniqueTokenIdentifier="uti-3", sessionId="sid-3"),
        record("bob", userId=BOB, uniqueTokenIdentifier="uti-1", sessionId="sid-1"),
        record("bare"),
    )
    assert matched == Matched(by_token=1, by_session=1, foreign=3)
    assert stored(store) == {"exact": "s-1", "silent": None}


def test_the_same_again_replaces_itself_and_what_is_none_is_counted(store: Store) -> None:
    signed_in(store)
    exact = record("exact", uniqueTokenIdentifier="uti-1")
    assert take(store, exact, exact, {**exact, "ipAddress": "192.0.2.9\x00"}) == Matched(by_token=3)
    assert take(store, None, [], record(""), record("x", createdDateTime="now"), record("y", userId=7)) == Matched(unreadable=5)
    with store.read() as connection:
        assert connection.execute(select(sign_in_logs.c.address)).scalars().all() == ["192.0.2.9"]


def test_the_timeline_says_from_where_a_person_signed_in(store: Store) -> None:
    signed_in(store)
    take(store, record("exact", uniqueTokenIdentifier="uti-1", deviceDetail={"isCompliant": True}))
    with store.read() as connection:
        [entry], _ = page(connection, Asked(person=ALICE), limit=5)
    assert (entry.kind, entry.detail["address"], entry.detail["conditionalAccess"]) == ("SignIn", "192.0.2.1", "success")
