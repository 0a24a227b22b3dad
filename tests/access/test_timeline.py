"""The timeline: pages of merged ranges hold everything once, newest first, and each is read from an index."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, insert

from isthmus.access import timeline
from isthmus.access.timeline import Asked, Entry, page
from isthmus.access.trail import ingest
from isthmus.audit.events import read_event
from isthmus.store import Store
from isthmus.store.tables import access_grants, access_sessions, sign_ins
from tests.access.cloudtrail import ACCOUNT, BEGIN, ISSUER, Session, called, chained, entered, id_of
from tests.access.cloudtrail import event as made_event
from tests.support.databases import Databases

ALICE, BOB = id_of("alice"), id_of("bob")
MACHINE = "i-0123456789abcdef1"
SESSIONS = tuple(
    Session(key=f"ASIA{name.upper()}{number}", person=id_of(name), grant=f"G-{name}", sign_in=f"s-{name}", name=name, began=number * 10)
    for name in ("alice", "bob")
    for number in range(3)
)
INNER = Session(key="ASIAINNER", person=ALICE, grant="-", role="AROAINNER", began=50)


@pytest.fixture
def filled(store: Store) -> Store:
    return fill(store)


def fill(store: Store) -> Store:
    """Two people with a sign-in, a grant and three sessions each, and many calls in few seconds."""
    chance = random.Random(5)
    documents = [entered(one) for one in SESSIONS] + [chained(SESSIONS[0], INNER, 50)]
    for number in range(200):
        asked = {"instanceId": MACHINE} if number % 7 == 0 else {"n": number}
        who = chance.choice((*SESSIONS, INNER))
        name, source = ("StartSession", "ssm") if number % 50 == 0 else ("DescribeVpcs", "ec2")
        documents.append(called(who, name, chance.randrange(60, 70), source=source, requestParameters=asked))
    with store.begin() as connection:
        for name in ("alice", "bob"):
            _grounds(connection, name)
        ingest(connection, [read_event(one) for one in documents], ISSUER)
    return store


def _grounds(connection: Connection, name: str) -> None:
    person, at = id_of(name), (BEGIN - 60) * 1000
    texts = {"issuer": "https://idp.test", "subject": name, "name": name, "token_id": "", "session_id": ""}
    lists = dict.fromkeys(("methods", "contexts"), "[]")
    row = {"id": f"s-{name}", "object_id": person, "at": at, "ends_at": at + 1, "claims": "{}", **texts, **lists}
    connection.execute(insert(sign_ins).values(row))
    grant = {"id": f"G-{name}", "mapping": "m/roleMappings/Reader", "connector": "c", "person": person, "name": name, "because": "group:g"}
    times = {"began_at": at + 500, "ends_at": at, "checked_at": at}
    connection.execute(insert(access_grants).values(**grant, **times, is_break_glass=False, ending=""))
    for one in SESSIONS:
        if one.person == person:
            row = {"id": one.key, "grant": one.grant, "mapping": "m", "person": person, "sign_in": one.sign_in, "account": ACCOUNT}
            more = {"role_arn": "arn:aws:iam::1:role/R", "use": "credentials", "issued_at": (BEGIN + one.began) * 1000, "lease_until": 1}
            connection.execute(insert(access_sessions).values(**row, **more))


def everything(store: Store, asked: Asked, limit: int) -> list[Entry]:
    found: list[Entry] = []
    after = ""
    while True:
        with store.read() as connection:
            entries, more = page(connection, Asked(**{**_members(asked), "after": after}), limit=limit)
        found += entries
        if not more:
            return found
        assert len(entries) == limit
        after = entries[-1].place


def _members(asked: Asked) -> dict[str, object]:
    return {name: getattr(asked, name) for name in Asked.__dataclass_fields__}


@pytest.mark.parametrize(
    "asked",
    [
        Asked(),
        Asked(person=ALICE),
        Asked(person=BOB, since=(BEGIN + 65) * 1000),
        Asked(machine=MACHINE),
        Asked(grant="G-alice"),
        Asked(session=SESSIONS[0].key),
        Asked(session=INNER.key),
    ],
    ids=["all", "alice", "bob since", "machine", "grant", "session", "chained session"],
)
def test_pages_of_any_size_hold_the_same_once(filled: Store, asked: Asked) -> None:
    whole = everything(filled, asked, 1000)
    assert [one.at for one in whole] == sorted((one.at for one in whole), reverse=True)
    assert len({one.place for one in whole}) == len(whole) > 5
    for size in (1, 7):
        assert everything(filled, asked, size) == whole


def test_a_person_is_seen_from_the_sign_in_to_the_shell(filled: Store) -> None:
    found = everything(filled, Asked(person=ALICE), 100)
    kinds = [one.kind for one in found]
    assert kinds[-2:] == ["Grant", "SignIn"]
    assert kinds.count("Session") == 3
    assert "Shell" in kinds
    assert {one.person for one in found} == {ALICE}
    calls = [one for one in found if one.kind == "Call"]
    assert {one.grant for one in calls} == {"G-alice"}
    assert {one.sign_in for one in calls} == {"s-alice"}


def test_a_session_shows_what_was_done_below_it_and_a_chained_one_only_its_own(filled: Store) -> None:
    root = everything(filled, Asked(session=SESSIONS[0].key), 100)
    below = everything(filled, Asked(session=INNER.key), 100)
    assert {one.detail["accessKeyId"] for one in below} == {INNER.key}
    assert {one.place for one in below} < {one.place for one in root}
    assert {one.session for one in below} == {SESSIONS[0].key}


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (Asked(person=ALICE), "trail_events_by_person (person=? AND at>?"),
        (Asked(grant="G-alice"), "trail_events_by_grant (grant=? AND at>?"),
        (Asked(session=SESSIONS[0].key), "trail_events_by_session (session=? AND at>?"),
        (Asked(session="ASIANOBODY"), "trail_events_by_key (access_key=? AND at>?"),
        (Asked(machine=MACHINE), "(machine=? AND at>?"),
        (Asked(), "trail_events_of_others (at>?"),
    ],
)
@pytest.mark.parametrize("after", ["", f"{(BEGIN + 65) * 1000}:4:100"])
def test_every_question_is_a_range_of_an_index(databases: Databases, tmp_path: Path, asked: Asked, index: str, after: str) -> None:
    """SQLite only: PostgreSQL scans tables this small whichever way they are asked."""
    filled = fill(Store(databases.fresh_sqlite(tmp_path / "planned.db")))
    plan = planned(filled, Asked(**{**_members(asked), "after": after}))
    filled.close()
    assert any(index in line for line in plan), plan
    assert not any("TEMP B-TREE" in line or line.startswith("SCAN") for line in plan), plan


def planned(filled: Store, asked: Asked) -> list[str]:
    """How SQLite finds the calls of a page."""
    seen: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_more: object) -> None:
        seen.append((statement, parameters))

    event.listen(filled.engine, "before_cursor_execute", note)
    with filled.read() as connection:
        entries, _ = page(connection, asked, limit=10)
    event.remove(filled.engine, "before_cursor_execute", note)
    assert entries or asked.session == "ASIANOBODY"
    [(statement, parameters)] = [one for one in seen if "FROM trail_events" in one[0] or "FROM trail_machines" in one[0]]
    with filled.read() as connection:
        return [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]  # type: ignore[arg-type]


def test_what_isthmus_itself_called_is_left_out_of_everybodys_until_it_is_asked_for(filled: Store) -> None:
    """What belongs to nobody of ours stays: it is what matters most."""
    own = Session(key="ASIAOWN", person="", grant="", name="Connector", began=100)
    ours = [entered(own, subject="svc:Isthmus.Access:guid"), *(called(own, "DescribeInstances", 100 + number) for number in range(300))]
    user = made_event("CreateUser", 103, {"type": "IAMUser", "accessKeyId": "AKIAUSER"}, source="iam")
    with filled.begin() as connection:
        ingest(connection, [read_event(one) for one in (*ours, user)], ISSUER)
    short, whole = (everything(filled, Asked(own=own), 50) for own in (False, True))
    assert len(whole) == len(short) + len(ours)
    assert {one.detail.get("foreign") for one in whole} - {one.detail.get("foreign") for one in short} == {"OurOwn"}
    assert short[0].detail["foreign"] == "IamUser"
    assert len(everything(filled, Asked(session="ASIAOWN"), 500)) == 300


@pytest.mark.parametrize("after", ["", f"{(BEGIN + 65) * 1000}:4:100"])
def test_the_whole_of_it_is_read_from_an_index_too(databases: Databases, tmp_path: Path, after: str) -> None:
    """By time; the events of one instant alone are sorted."""
    filled = fill(Store(databases.fresh_sqlite(tmp_path / "planned.db")))
    plan = planned(filled, Asked(own=True, after=after))
    filled.close()
    assert any("trail_events_by_id (at>?" in line for line in plan), plan
    [line] = [line for line in plan if "TEMP B-TREE" in line]
    assert "FOR LAST TERM OF ORDER BY" in line or "FOR RIGHT PART OF ORDER BY" in line


def test_places_are_told_from_other_texts() -> None:
    assert timeline.is_place("1:4:7")
    assert not timeline.is_place("1:5:7")
    assert not timeline.is_place("1:4:x")
    assert timeline.is_place("1:2:x")
    assert not timeline.is_place(json.dumps([1, 4, 7]))
