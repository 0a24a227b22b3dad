"""A directory of 20,000 users and a group of all of them: what Entra asks in each cycle reads a few rows, by index."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text

from isthmus.access.scim import Scim
from isthmus.store import Store, dialect
from isthmus.store.tables import directory_groups, directory_members, directory_users
from tests.access.people import PATCH, SCHEMA, Provisioned, RefusedError

USERS = 20_000
GROUP = str(uuid.UUID(int=2**64))
pytestmark = pytest.mark.slow


def user_id(number: int) -> str:
    return str(uuid.UUID(int=2**65 + number))


def object_id(number: int) -> str:
    return str(uuid.UUID(int=2**66 + number))


@pytest.fixture
def crowd(provisioned: Provisioned) -> Provisioned:
    """Everybody, written as the server would."""
    same = {"version": 1, "created_at": 0, "changed_at": 0}
    people = [
        {
            "id": user_id(number),
            "object_id": object_id(number),
            "external_id": object_id(number),
            "user_name": f"user{number}@example.com",
            "work_mail": f"mail{number}@example.com",
            "active": True,
            "document": json.dumps(
                {
                    "schemas": [f"{SCHEMA}:User"],
                    "userName": f"user{number}@example.com",
                    "externalId": object_id(number),
                    "emails": [{"type": "work", "value": f"mail{number}@example.com"}],
                    "active": True,
                }
            ),
            **same,
        }
        for number in range(USERS)
    ]
    document = json.dumps({"schemas": [f"{SCHEMA}:Group"], "displayName": "All"})
    group = {"id": GROUP, "object_id": GROUP, "display_name": "all", "external_id": None, "document": document, **same}
    with provisioned.engine.store.begin() as connection:
        connection.execute(insert(directory_users), people)
        connection.execute(insert(directory_groups), [group])
        members = [{"group_id": GROUP, "member_id": user_id(number), "kind": "User"} for number in range(USERS)]
        connection.execute(insert(directory_members), members)
        connection.execute(text("analyze"))
    provisioned.ids["all"] = GROUP
    return provisioned


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the database meanwhile about the directory."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Connection, _cursor: object, statement: str, parameters: Any, _context: object, is_many: bool) -> None:
        if "directory_" in statement and not is_many:
            found.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(store.engine, "before_cursor_execute", note)


def plan(store: Store, statement: str, parameters: Any) -> str:
    """How the database would go about it."""
    with store.read() as connection:
        word = "explain query plan" if dialect.is_sqlite(connection) else "explain"
        return "\n".join(str(tuple(row)) for row in connection.exec_driver_sql(f"{word} {statement}", parameters))


def reads_everything(lines: str) -> bool:
    """Whether a plan walks a whole table of members or users."""
    return any(f"{word} directory_{table}" in lines for word in ("SCAN", "Seq Scan on") for table in ("users", "members"))


def timed(provisioned: Provisioned, method: str, path: str, body: Any = None) -> tuple[float, Any]:
    """Milliseconds of the quickest of five requests, and the last answer."""
    took = []
    for _ in range(5):
        started = time.perf_counter()
        answer = provisioned.send(method, path, body)
        took.append((time.perf_counter() - started) * 1000)
    return min(took), answer.body


LOOKUPS: dict[str, int | None] = {
    '/Users?filter=userName eq "USER777@example.com"': 1,
    f'/Users?filter=externalId eq "{object_id(777)}"': 1,
    '/Users?filter=emails[type eq "work"].value eq "mail777@example.com"': 1,
    '/Users?filter=userName eq "user777@example.com" and active eq true': 1,
    '/Users?filter=userName eq "nobody"': 0,
    '/Groups?filter=displayName eq "ALL"&excludedAttributes=members': 1,
    f'/Groups?filter=id eq "{GROUP}" and members eq "{user_id(777)}"&attributes=id': 1,
    f'/Groups?filter=members eq "{user_id(777)}"&attributes=id': 1,
    f"/Groups/{GROUP}?excludedAttributes=members": None,
    f"/Users/{user_id(777)}": None,
}


def test_lookups_use_an_index(crowd: Provisioned) -> None:
    store, walked = crowd.engine.store, list[str]()
    assert reads_everything(plan(store, "select id from directory_users where document = ''", ())), "or this test would see nothing"
    for path, number in LOOKUPS.items():
        with statements(store) as sent:
            milliseconds, found = timed(crowd, "GET", path)
        assert sent
        assert number is None or found["totalResults"] == number
        walked += [f"{path}: {statement}" for statement, parameters in sent if reads_everything(plan(store, statement, parameters))]
        print(f"{milliseconds:.1f} ms: {path}")  # noqa: T201 - the figure to keep an eye on
    assert not walked, "\n".join(walked)


def test_one_member_of_a_large_group(crowd: Provisioned) -> None:
    """In and out, by the ids alone; who was asked about is one person."""
    store = crowd.engine.store
    for name, operation in (
        ("out", {"op": "Remove", "path": "members", "value": [{"value": user_id(777)}]}),
        ("in", {"op": "Add", "path": "members", "value": [{"value": user_id(777)}]}),
        ("renamed", {"op": "Replace", "path": "displayName", "value": "Everybody"}),
    ):
        started = time.perf_counter()
        with statements(store) as sent:
            answer = crowd.send("PATCH", f"/Groups/{GROUP}", {"schemas": [PATCH], "Operations": [operation]})
        print(f"{(time.perf_counter() - started) * 1000:.1f} ms: {name}")  # noqa: T201 - the figure to keep an eye on
        assert answer.status == 204
        assert not [statement for statement, parameters in sent if reads_everything(plan(store, statement, parameters))]
    assert crowd.told() == [(object_id(777), {GROUP}, True)]
    with store.read() as connection:
        started = time.perf_counter()
        assert crowd.groups.groups_of(connection, object_id(777), [GROUP]) == {GROUP}
        print(f"{(time.perf_counter() - started) * 1000:.1f} ms: groups of one person")  # noqa: T201 - the figure to keep an eye on


def test_the_end_of_a_large_group(crowd: Provisioned) -> None:
    """Everybody is told of."""
    told: list[str] = []
    crowd.scim = Scim(crowd.engine, lambda _connection, person, _groups: told.append(person))
    started = time.perf_counter()
    crowd.send("DELETE", f"/Groups/{GROUP}")
    print(f"{time.perf_counter() - started:.1f} s: deleted")  # noqa: T201 - the figure to keep an eye on
    assert sorted(told) == sorted(object_id(number) for number in range(USERS))


def test_a_filter_without_an_index_is_refused(crowd: Provisioned) -> None:
    with pytest.raises(RefusedError, match="tooMany"):
        crowd.send("GET", '/Users?filter=displayName co "a"')
