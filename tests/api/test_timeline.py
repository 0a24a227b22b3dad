"""Isthmus.Access/timeline over HTTP: filters, pages by key, bad input, rights."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import insert

from isthmus.access.trail import ingest
from isthmus.audit.events import read_event
from isthmus.store.tables import people
from tests.access.cloudtrail import ISSUER, Session, called, entered, id_of
from tests.api.conftest import Api

PATH = "/providers/Isthmus.Access/timeline"
ALICE = Session(key="ASIAALICE", person=id_of("alice"), grant="G-1")


@pytest.fixture
def seeded(api: Api) -> Api:
    documents = [entered(ALICE), *(called(ALICE, "DescribeVpcs", number) for number in range(10, 30))]
    person = {"object_id": ALICE.person, "issuer": "i", "subject": "s", "name": "Alice", "mail": "alice@example.test"}
    with api.app.engine.store.begin() as connection:
        connection.execute(insert(people).values(**person, first_at=1, last_at=1))
        ingest(connection, [read_event(one) for one in documents], ISSUER)
    return api


def pages(api: Api, query: str) -> list[list[dict[str, Any]]]:
    answer = api.call("GET", f"{PATH}?{query}", version="2026-11-01").json()
    found = [answer["value"]]
    while "nextLink" in answer:
        parts = urlsplit(answer["nextLink"])
        answer = api.call("GET", f"{parts.path}?{parts.query}", version="").json()
        found.append(answer["value"])
    return found


def test_pages_follow_by_key_newest_first(seeded: Api) -> None:
    found = pages(seeded, f"person={ALICE.person}&$top=8")
    assert [len(page) for page in found] == [8, 8, 5]
    rows = [row["properties"] for page in found for row in page]
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    assert rows[-1]["operation"] == "AssumeRoleWithWebIdentity"
    assert {(row["person"], row["grant"], row["session"]) for row in rows} == {(ALICE.person, "G-1", "ASIAALICE")}


@pytest.mark.parametrize("query", ["person=ALICE@example.test", "person=alice", "grant=G-1", "session=ASIAALICE"])
def test_people_are_named_as_people_name_them(seeded: Api, query: str) -> None:
    assert len(pages(seeded, query)[0]) == 21
    assert len(pages(seeded, f"{query}&since=2026-01-01T00:00:20Z")[0]) == 10
    assert pages(seeded, f"{query}&since=1m") == [[]]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("person=nobody", "PersonNotFound"),
        ("machine=web-1", "InvalidTimeline"),
        ("person=alice&grant=G-1", "InvalidTimeline"),
        ("since=yesterday", "InvalidTimeline"),
        ("since=2026-01-01T00:00:00", "InvalidTimeline"),
        ("since=0d", "InvalidTimeline"),
        ("$skiptoken=bm9wZQ", "InvalidSkipToken"),
        ("$skiptoken=MToxOg", "InvalidSkipToken"),
        ("$skiptoken=MTo0Ong", "InvalidSkipToken"),
    ],
)
def test_bad_questions_are_refused(seeded: Api, query: str, code: str) -> None:
    answer = seeded.call("GET", f"{PATH}?{query}", version="2026-11-01")
    assert (answer.json()["error"]["code"], answer.status_code < 500) == (code, True)


def test_readers_of_the_tenant_see_it_and_others_do_not(seeded: Api) -> None:
    reader = seeded.client("/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7")
    nobody = seeded.client(None)
    assert seeded.call("GET", PATH, version="2026-11-01", token=reader).status_code == 200
    assert seeded.call("GET", PATH, version="2026-11-01", token=nobody).status_code == 403
