"""Isthmus.Access/timeline over HTTP: filters, pages by key, bad input, rights."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import insert, update

from isthmus.access.trail import ingest
from isthmus.audit import checkpoints
from isthmus.audit.events import read_event
from isthmus.store.tables import audit_checkpoints, people, trail_events
from tests.access.cloudtrail import ACCOUNT, ISSUER, OTHER, Session, called, entered, id_of
from tests.api.conftest import Api
from tests.fakes.ring import OneKey

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


def test_what_isthmus_called_is_listed_when_it_is_asked_for(seeded: Api) -> None:
    own = Session(key="ASIAOWN", person="", grant="", name="Connector", began=40)
    told = [entered(own, subject="svc:Isthmus.Access:guid"), *(called(own, "ListRoles", 40 + number) for number in range(9))]
    with seeded.app.engine.store.begin() as connection:
        ingest(connection, [read_event(one) for one in told], ISSUER)
    for query, length in (("$top=8", 21), ("$top=8&all=false", 21), ("$top=8&all=true", 31), ("session=ASIAOWN", 9)):
        assert sum(len(page) for page in pages(seeded, query)) == length


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("person=nobody", "PersonNotFound"),
        ("machine=web-1", "InvalidTimeline"),
        ("person=alice&grant=G-1", "InvalidTimeline"),
        ("since=yesterday", "InvalidTimeline"),
        ("since=2026-01-01T00:00:00", "InvalidTimeline"),
        ("since=0d", "InvalidTimeline"),
        ("all=yes", "InvalidTimeline"),
        ("$skiptoken=bm9wZQ", "InvalidSkipToken"),
        ("$skiptoken=MToxOg", "InvalidSkipToken"),
        ("$skiptoken=MTo0Ong", "InvalidSkipToken"),
    ],
)
def test_bad_questions_are_refused(seeded: Api, query: str, code: str) -> None:
    answer = seeded.call("GET", f"{PATH}?{query}", version="2026-11-01")
    assert (answer.json()["error"]["code"], answer.status_code < 500) == (code, True)


def test_people_of_one_address_are_listed_to_choose_from(seeded: Api) -> None:
    twins = {id_of(name): {"issuer": "i", "subject": name, "name": name.title(), "mail": "twin@example.test"} for name in ("one", "two")}
    with seeded.app.engine.store.begin() as connection:
        for id, row in twins.items():
            connection.execute(insert(people).values(object_id=id, **row, first_at=1, last_at=1))
    answer = seeded.call("GET", f"{PATH}?person=twin@example.test", version="2026-11-01")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["target"]) == (409, "PersonNotUnique", "person")
    assert all(f"{row['name']}: {id} (by i)" in error["message"] for id, row in twins.items())


def test_readers_of_the_tenant_see_it_and_others_do_not(seeded: Api) -> None:
    reader = seeded.client("/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7")
    nobody = seeded.client(None)
    assert seeded.call("GET", PATH, version="2026-11-01", token=reader).status_code == 200
    assert seeded.call("GET", PATH, version="2026-11-01", token=nobody).status_code == 403


def test_a_range_ends_where_it_is_said_and_an_event_is_read_whole(seeded: Api) -> None:
    found = pages(seeded, "grant=G-1&since=2026-01-01T00:00:20Z&until=2026-01-01T00:00:25Z")[0]
    assert len(found) == 5
    assert {one["properties"]["personName"] for one in found} == {"Alice"}
    answer = seeded.call("GET", f"{PATH}/{found[0]['name']}", version="2026-11-01")
    told = answer.json()["properties"]
    assert (told["operation"], f"{ACCOUNT}.{told['document']['eventID']}") == ("DescribeVpcs", found[0]["name"])
    missing = seeded.call("GET", f"{PATH}/{ALICE.key}", version="2026-11-01")
    assert missing.status_code == 404
    bad = seeded.call("GET", f"{PATH}?until=tomorrow", version="2026-11-01").json()["error"]
    assert (bad["code"], bad["target"]) == ("InvalidTimeline", "until")


def test_an_event_that_was_damaged_is_not_shown_as_if_it_were_whole(seeded: Api) -> None:
    [newest, *_] = pages(seeded, "grant=G-1")[0]
    with seeded.app.engine.store.begin() as connection:
        connection.execute(update(trail_events).where(trail_events.c.seq == newest["properties"]["number"]).values(document=b"\x01no"))
    answer = seeded.call("GET", f"{PATH}/{newest['name']}", version="2026-11-01")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "EventDamaged")


def test_checkpoints_are_listed_newest_first_with_their_anchor(seeded: Api) -> None:
    ring, engine = OneKey(), seeded.app.engine
    checkpoints.Checkpoints(store=engine.store, ring=ring, anchor=None, clock=engine.clock).run(datetime.now(UTC))
    with engine.store.begin() as connection:
        chosen = update(audit_checkpoints).where(audit_checkpoints.c.tree == "trail")
        connection.execute(chosen.values(anchored_at=engine.now()))
    reader = seeded.client("/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7")
    answer = seeded.call("GET", "/providers/Isthmus.Audit/checkpoints?tree=trail", version="2026-11-01", token=reader)
    [one] = answer.json()["value"]
    assert (one["name"], one["properties"]["size"], one["properties"]["keyId"]) == ("trail-000000000000021", 21, ring.key.kid)
    assert one["properties"]["anchoredAt"]
    both = seeded.call("GET", "/providers/Isthmus.Audit/checkpoints", version="2026-11-01").json()["value"]
    assert {each["properties"]["tree"]: bool(each["properties"]["anchoredAt"]) for each in both} == {"audit": False, "trail": True}
    checked = seeded.call("POST", "/providers/Isthmus.Audit/records", version="2026-11-01", token=reader)
    assert (checked.status_code, checked.json()["valid"]) == (200, True)


@pytest.mark.parametrize(
    "query", ["", "person=alice", "account=12", "person=x&account=123456789012", "account=123456789012&$skiptoken=bm9wZQ"]
)
def test_bad_questions_about_entitlements_are_refused(api: Api, query: str) -> None:
    answer = api.call("GET", f"/providers/Isthmus.Access/entitlements?{query}", version="2026-11-01")
    assert (answer.status_code, answer.json()["error"]["code"]) in {(400, "InvalidEntitlements"), (400, "InvalidSkipToken")}


def test_session_tokens_in_events_are_not_shown(seeded: Api) -> None:
    made = Session(key="ASIAMADE", person=ALICE.person, grant="G-2")
    document = entered(made)
    document["responseElements"]["credentials"]["sessionToken"] = "FwoGZXIvYXdzEB"
    with seeded.app.engine.store.begin() as connection:
        ingest(connection, [read_event(document)], ISSUER)
    answer = seeded.call("GET", f"{PATH}/{ACCOUNT}.{document['eventID']}", version="2026-11-01")
    shown = answer.json()["properties"]["document"]["responseElements"]["credentials"]
    assert (shown["sessionToken"], shown["accessKeyId"]) == ("(not shown)", "ASIAMADE")
    assert "FwoGZXIvYXdzEB" not in answer.text


def test_events_of_two_accounts_by_one_id_are_two(seeded: Api) -> None:
    real = called(ALICE, "DeleteTrail", 40, source="cloudtrail")
    other = {**called(ALICE, "DescribeVpcs", 40, account=OTHER), "eventID": real["eventID"]}
    with seeded.app.engine.store.begin() as connection:
        ingest(connection, [read_event(other), read_event(real)], ISSUER)
    for account, operation in ((ACCOUNT, "DeleteTrail"), (OTHER, "DescribeVpcs")):
        told = seeded.call("GET", f"{PATH}/{account}.{real['eventID']}", version="2026-11-01").json()["properties"]
        assert (told["account"], told["operation"]) == (account, operation)
    assert seeded.call("GET", f"{PATH}/{real['eventID']}", version="2026-11-01").status_code == 404
