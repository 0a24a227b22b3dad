"""Events of trails are joined to one person, sign-in and grant, whatever comes first, and never by likeness."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from isthmus.access.joining import REASONS
from isthmus.access.trail import Taken, ingest
from isthmus.audit.events import read_event
from isthmus.store import Store
from isthmus.store.tables import access_sessions, trail_events, trail_machines
from tests.access.cloudtrail import ACCOUNT, ISSUER, OTHER, PROVIDER, Session, called, caller, chained, entered, event, id_of, twin
from tests.support.databases import Databases
from tests.support.examples import examples

ALICE, BOB = id_of("alice"), id_of("bob")
FIRST = Session(key="ASIAFIRST", person=ALICE, grant="G-1", began=10)
SECOND = Session(key="ASIASECOND", person=ALICE, grant="G-2", sign_in="s-2", began=20)
BOBS = Session(key="ASIABOBS", person=BOB, grant="G-3", sign_in="s-3", name="bob", began=10)
INNER = Session(key="ASIAINNER", person=ALICE, grant="-", role="AROAINNER", name="inner", began=60)
DEEP = Session(key="ASIADEEP", person=ALICE, grant="-", role="AROADEEP", name="deep", began=70)
Whose = tuple[Any, ...]


def take(store: Store, documents: Sequence[dict[str, Any]]) -> Taken:
    with store.begin() as connection:
        return ingest(connection, [read_event(one) for one in documents], ISSUER)


def whose(store: Store) -> dict[str, Whose]:
    """By event id: person, sign-in, grant, session, reason."""
    table = trail_events.c
    with store.read() as connection:
        rows = connection.execute(select(table.id, table.person, table.sign_in, table.grant, table.session, table.foreign)).all()
    return {row[0]: tuple(row[1:]) for row in rows}


def note_given(store: Store, session: Session) -> None:
    row = {"id": session.key, "grant": session.grant, "mapping": "m", "person": session.person, "sign_in": session.sign_in}
    with store.begin() as connection:
        more = {"account": ACCOUNT, "role_arn": "r", "use": "credentials", "issued_at": 1, "lease_until": 2}
        connection.execute(insert(access_sessions).values(**row, **more))


def owned(session: Session) -> Whose:
    return (session.person, session.sign_in, session.grant, session.key, "")


def story() -> list[tuple[dict[str, Any], Whose]]:
    """Everything that happens in an account, in the order in which it happened, and whose each is."""
    foreign = Session(key="ASIAGITHUB", person="repo", grant="G-9", name="ci", began=5)
    own = Session(key="ASIAOWN", person="", grant="", name="Connector", began=6)
    bare = {"type": "AssumedRole", "principalId": "AROAX:i-0aaaaaaaaaaaaaaaa", "accessKeyId": "ASIAMACHINE", "sessionContext": {}}
    stranger = Session(key="ASIASTRANGER", person="someone", grant="-", role="AROAELSE", began=9)
    into = chained(FIRST, INNER, 60)
    there = Session(key="ASIAABROAD", person=ALICE, grant="-", role="AROAABROAD", began=80)
    abroad = chained(FIRST, there, 80, home=OTHER)
    nobody = (None, None, None, None)
    return [
        (entered(FIRST), owned(FIRST)),
        (entered(SECOND), owned(SECOND)),
        (entered(BOBS), owned(BOBS)),
        (called(FIRST, "DescribeInstances", 11), owned(FIRST)),
        (called(SECOND, "DescribeInstances", 21), owned(SECOND)),
        (called(BOBS, "TerminateInstances", 30, errorCode="Client.UnauthorizedOperation"), owned(BOBS)),
        (called(FIRST, "ListBuckets", 40, key="ASIACONSOLE", source="s3"), owned(FIRST)),
        (into, owned(FIRST)),
        (called(INNER, "ListRoles", 61, source="iam"), owned(FIRST)),
        (chained(INNER, DEEP, 70), owned(FIRST)),
        (called(DEEP, "ListUsers", 71, source="iam"), owned(FIRST)),
        (abroad, owned(FIRST)),
        (twin(abroad), owned(FIRST)),
        (called(there, "ListBuckets", 81, source="s3", account=OTHER), owned(FIRST)),
        (called(FIRST, "GetObject", 82, source="s3", told=OTHER), (*nobody, "OtherAccount")),
        (called(FIRST, "ListBuckets", 83, source="s3", account=OTHER), (*nobody, "UnknownSession")),
        (entered(foreign, provider=f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.example"), (*nobody, "OtherProvider")),
        (called(foreign, "RunInstances", 50), (*nobody, "OtherProvider")),
        (entered(own, subject="svc:Isthmus.Access:guid"), (*nobody, "OurOwn")),
        (called(own, "ListPolicyVersions", 51, source="iam"), (*nobody, "OurOwn")),
        (event("GetRole", 52, bare, source="iam"), (*nobody, "NoSourceIdentity")),
        (called(stranger, "GetUser", 53, source="iam"), (*nobody, "UnknownSession")),
        (event("GetKey", 54, {"type": "AWSService", "invokedBy": "x"}, source="kms"), (*nobody, "Service")),
        (event("CreateUser", 55, {"type": "Root", "accessKeyId": "AKIAROOT"}, source="iam"), (*nobody, "AccountRoot")),
        (event("CreateUser", 56, {"type": "IAMUser", "accessKeyId": "AKIAUSER"}, source="iam"), (*nobody, "IamUser")),
    ]


def test_everything_that_a_person_did_is_theirs_and_nothing_else(store: Store) -> None:
    told = story()
    taken = take(store, [document for document, _ in told])
    assert whose(store) == {document["eventID"]: expected for document, expected in told}
    assert taken == Taken(new=len(told), joined=14, changed=0)
    assert all(not expected[4] or expected[4] in REASONS for _, expected in told)


def test_what_was_read_already_changes_nothing(store: Store) -> None:
    documents = [document for document, _ in story()]
    take(store, documents)
    before = whose(store)
    assert take(store, documents[::-1]) == Taken()
    assert whose(store) == before


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Paths of databases, for properties that need many."""
    folder, numbers = tmp_path_factory.mktemp("orders"), itertools.count()
    return lambda: folder / f"{next(numbers)}.db"


@settings(max_examples=examples(80), deadline=None)
@given(data=st.data())
def test_the_order_of_arrival_does_not_matter(data: st.DataObject, databases: Databases, numbered: Any) -> None:
    """Shuffled, cut anywhere, some told twice, and our own record of a session before, between or after."""
    told = story()
    order = data.draw(st.permutations(range(len(told))))
    again = data.draw(st.lists(st.sampled_from(range(len(told))), max_size=5))
    steps: list[int | Session] = [*order, *again]
    for session in data.draw(st.sets(st.sampled_from((FIRST, SECOND, BOBS)))):
        steps.insert(data.draw(st.integers(0, len(steps))), session)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(steps)), max_size=6)) | {0, len(steps)})
    path: Path = numbered()
    store = Store(databases.fresh_sqlite(path))
    try:
        for begin, end in itertools.pairwise(cuts):
            batch = []
            for step in steps[begin:end]:
                if isinstance(step, Session):
                    note_given(store, step)
                else:
                    batch.append(told[step][0])
            take(store, batch)
        take(store, [])
        assert whose(store) == {document["eventID"]: expected for document, expected in told}
    finally:
        store.close()
        path.unlink()


def test_a_key_that_nobody_knows_waits_for_its_exchange(store: Store) -> None:
    call = called(FIRST, "DescribeInstances", 11)
    assert take(store, [call]) == Taken(new=1)
    assert whose(store)[call["eventID"]] == (None, None, None, None, "UnknownSession")
    assert take(store, [entered(FIRST)]) == Taken(new=1, joined=1, changed=1)
    assert whose(store)[call["eventID"]] == owned(FIRST)


def test_our_own_record_is_enough_when_the_exchange_is_never_seen(store: Store) -> None:
    call = called(FIRST, "DescribeInstances", 11)
    take(store, [call])
    note_given(store, FIRST)
    assert take(store, []).changed == 1
    assert whose(store)[call["eventID"]] == owned(FIRST)


def test_a_source_identity_alone_joins_nothing(store: Store) -> None:
    """Somebody else's provider may call anybody by Alice's id."""
    forged = Session(key="ASIAFORGED", person=ALICE, grant="G-1", role="AROAEVIL", began=10)
    call = called(forged, "DescribeInstances", 12)
    take(store, [entered(FIRST), entered(forged, provider=f"arn:aws:iam::{ACCOUNT}:oidc-provider/evil.example"), call])
    assert whose(store)[call["eventID"]] == (None, None, None, None, "OtherProvider")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"provider": f"arn:aws:iam::{OTHER}:oidc-provider/issuer.isthmus.test"}, "OtherProvider"),
        ({"provider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.isthmus.test/x"}, "OtherProvider"),
        ({"principalTags": {"grant": "G-1"}}, "Unstamped"),
        ({"sourceIdentity": BOB}, "Unstamped"),
        ({"subject": f"user:{BOB}"}, "Unstamped"),
    ],
)
def test_an_exchange_that_is_not_wholly_ours_is_nobody_s(store: Store, change: dict[str, Any], reason: str) -> None:
    made = entered(FIRST, **change)
    take(store, [made, called(FIRST, "DescribeInstances", 12)])
    assert {one[4] for one in whose(store).values()} == {reason}


def forged(document: dict[str, Any], account: str = OTHER) -> dict[str, Any]:
    """What the owner of another account writes into a file of its trail."""
    return {**document, "recipientAccountId": account, "eventID": f"0{document['eventID'][1:]}"}


@pytest.mark.parametrize("is_first", [True, False])
def test_nobody_takes_the_place_of_another_account_s_event(store: Store, is_first: bool) -> None:
    real = called(BOBS, "DeleteTrail", 7, source="cloudtrail")
    other = {**called(FIRST, "DescribeRegions", 7, account=OTHER), "eventID": real["eventID"]}
    for document in (other, real) if is_first else (real, other):
        assert take(store, [document]).new == 1
    assert take(store, [real, other]).new == 0
    with store.read() as connection:
        rows = connection.execute(select(trail_events.c.account, trail_events.c.name).order_by(trail_events.c.account)).all()
    assert [tuple(row) for row in rows] == [(ACCOUNT, "DeleteTrail"), (OTHER, "DescribeRegions")]


CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "as its own caller's": (called(FIRST, "DeleteBucket", 50, source="s3", account=OTHER), "UnknownSession"),
    "as a caller's of the person's account": (called(FIRST, "DeleteBucket", 50, source="s3", told=OTHER), "OtherAccount"),
    "as nobody's account": (called(FIRST, "DeleteBucket", 50, source="s3", account="", told=OTHER), "UnknownSession"),
    "as a console's": (called(FIRST, "DeleteBucket", 50, key="ASIAX", source="s3", account=OTHER), "UnknownSession"),
    "as a console's of the person's account": (called(FIRST, "DeleteBucket", 50, key="ASIAX", source="s3", told=OTHER), "OtherAccount"),
    "as the taking of a role by it": ({**twin(entered(FIRST)), "eventName": "AssumeRole"}, "OtherAccount"),
    "as the taking of a role by one that was taken there": (twin(chained(FIRST, INNER, 60)), "OtherAccount"),
}


@pytest.mark.parametrize(("claim", "reason"), CLAIMS.values(), ids=CLAIMS)
@pytest.mark.parametrize("is_given", [True, False], ids=["given", "told"])
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_a_trail_puts_nothing_on_sessions_of_another_account(
    store: Store, claim: dict[str, Any], reason: str, is_given: bool, is_first: bool
) -> None:
    if is_given:
        note_given(store, FIRST)
    real = [entered(FIRST), called(FIRST, "DescribeInstances", 11), chained(FIRST, INNER, 60), called(INNER, "ListRoles", 61)]
    after = [claim, called(FIRST, "PutObject", 51, source="s3", account=OTHER), called(INNER, "PutObject", 62, source="s3", account=OTHER)]
    for documents in (after, real) if is_first else (real, after):
        take(store, documents)
    found = whose(store)
    assert found[claim["eventID"]] == (None, None, None, None, reason)
    assert {found[one["eventID"]][0] for one in after} == {None}
    assert {found[one["eventID"]] for one in real} == {owned(FIRST)}


@pytest.mark.parametrize("is_first", [True, False])
def test_a_trail_takes_no_session_of_another_account_away(store: Store, is_first: bool) -> None:
    """By an event that says to have made the session, with an id that would count before the real one's."""
    theirs = Session(key="ASIAMALLORY", person=id_of("mallory"), grant="G-9", name="mallory", began=8)
    entry = {**entered(theirs, provider=PROVIDER.replace(ACCOUNT, OTHER)), "recipientAccountId": OTHER}
    away = [
        entry,
        forged(chained(theirs, FIRST, 10) | {"userIdentity": caller(theirs, account=OTHER)}),
        forged(entered(Session(key=FIRST.key, person=id_of("mallory"), grant="G-9", began=9), provider=PROVIDER.replace(ACCOUNT, OTHER))),
    ]
    real = [entered(FIRST), called(FIRST, "DescribeInstances", 11)]
    for documents in (away, real) if is_first else (real, away):
        take(store, documents)
    assert {whose(store)[one["eventID"]] for one in real} == {owned(FIRST)}


def test_a_session_abroad_is_somebody_s_when_both_trails_tell_of_it(store: Store) -> None:
    there = Session(key="ASIAABROAD", person=ALICE, grant="-", role="AROAABROAD", began=80)
    left, call = chained(FIRST, there, 80, home=OTHER), called(there, "ListBuckets", 81, source="s3", account=OTHER)
    take(store, [entered(FIRST), left, call])
    assert whose(store)[call["eventID"]] == (None, None, None, None, "UnknownSession")
    assert take(store, [twin(left)]) == Taken(new=1, joined=1, changed=1)
    assert whose(store)[call["eventID"]] == owned(FIRST)


def test_a_refused_exchange_is_the_person_s_without_a_session(store: Store) -> None:
    refused = {**entered(FIRST), "errorCode": "AccessDenied", "responseElements": None}
    take(store, [refused])
    assert whose(store)[refused["eventID"]] == (ALICE, "s-1", "G-1", None, "")


def test_a_console_that_could_be_of_two_grants_is_of_none_until_it_is_told(store: Store) -> None:
    other = Session(key="ASIAOTHER", person=ALICE, grant="G-7", began=FIRST.began)
    call = called(FIRST, "ListBuckets", 40, key="ASIACONSOLE", source="s3")
    take(store, [entered(FIRST), call])
    assert whose(store)[call["eventID"]] == owned(FIRST)
    assert take(store, [entered(other)]).changed == 1
    assert whose(store)[call["eventID"]] == (None, None, None, None, "AmbiguousSession")


def test_machines_are_those_that_calls_are_about(store: Store) -> None:
    machine, second = "i-0123456789abcdef1", "i-0123456789abcdef2"
    asked = {"instancesSet": {"items": [{"instanceId": machine}, {"instanceId": second}]}, "text": f"x{machine}0"}
    call = called(FIRST, "TerminateInstances", 11, requestParameters=asked)
    take(store, [call, event("GetRole", 12, {"type": "AssumedRole", "principalId": f"AROAX:{second}", "accessKeyId": "ASIAX"})])
    with store.read() as connection:
        rows = connection.execute(select(trail_machines.c.machine, trail_machines.c.seq).order_by(*trail_machines.primary_key)).all()
    assert [tuple(row) for row in rows] == [(machine, 1), (second, 1), (second, 2)]


def test_sessions_in_a_circle_end_nowhere(store: Store) -> None:
    """No cloud tells this; a forged file may, and must not keep us busy."""
    one, two = (Session(key=f"ASIA{name}", person=ALICE, grant="-", role=f"AROA{name}") for name in ("ONE", "TWO"))
    take(store, [chained(one, two, 1), chained(two, one, 2), event("X", 3, caller(one))])
    assert {found[4] for found in whose(store).values()} == {"UnknownSession"}
