"""Whatever is found where an event of a trail should be: it is refused as one that cannot be read, or taken in and read again the same."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from isthmus.access.trail import ingest
from isthmus.audit.events import UnreadableEvent, parse, read_event, unpack
from isthmus.store import Store
from isthmus.store.tables import trail_events, trail_sessions
from tests.access.cloudtrail import ISSUER, Session, called, chained, entered, id_of, twin
from tests.support.examples import examples

ALICE = Session(key="ASIAALICE", person=id_of("alice"), grant="G-1")
INNER = Session(key="ASIAINNER", person=id_of("alice"), grant="-", role="AROAINNER", name="inner", began=60)
INTO = chained(ALICE, INNER, 60)
KINDS = (entered(ALICE), {**entered(ALICE), "eventName": "AssumeRoleWithSAML"}, INTO, twin(INTO), called(ALICE, "RunInstances", 11))


class Gone:
    """Stands for what is taken out."""

    def __str__(self) -> str:
        return "gone"


GONE = Gone()


def places(document: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, value in document.items():
        found.append((*above, name))
        if isinstance(value, dict):
            found += places(value, (*above, name))
    return found


def changed(document: dict[str, Any], place: tuple[str, ...], value: object) -> dict[str, Any]:
    made = copy.deepcopy(document)
    below: Any = made
    for name in place[:-1]:
        below = below.get(name) if isinstance(below, dict) else None
    if isinstance(below, dict):
        if value is GONE:
            below.pop(place[-1], None)
        else:
            below[place[-1]] = value
    return made


def take(store: Store, document: object) -> None:
    with store.begin() as connection:
        ingest(connection, [read_event(document)], ISSUER)


def row_of(store: Store, id: str) -> Any:
    with store.read() as connection:
        return connection.execute(select(trail_events).where(trail_events.c.id == id)).one()


def grants_and_reason(store: Store, document: dict[str, Any]) -> tuple[str | None, str]:
    take(store, document)
    row = row_of(store, document["eventID"])
    return row.grant, row.foreign


@pytest.mark.parametrize("who", [GONE, None, "user", ["x"], {}, {"identityProvider": ["x"], "userName": {"a": 1}}], ids=str)
def test_an_exchange_that_does_not_say_who_asked_is_nobodys_of_ours(store: Store, who: object) -> None:
    assert grants_and_reason(store, changed(entered(ALICE), ("userIdentity",), who)) == (None, "OtherProvider")


@pytest.mark.parametrize(
    "tags", [GONE, None, ["G-1"], {"grant": "G-1"}, {"grant": "\ud800", "signin": "s"}, {"grant": "", "signin": "s"}], ids=str
)
def test_an_exchange_without_our_stamps_is_told_as_such(store: Store, tags: object) -> None:
    assert grants_and_reason(store, changed(entered(ALICE), ("requestParameters", "principalTags"), tags)) == (None, "Unstamped")


def test_stamps_and_sessions_are_kept_without_what_databases_do_not_take(store: Store) -> None:
    odd = changed(entered(ALICE), ("requestParameters", "principalTags"), {"grant": "G-\ud8001", "signin": "s\0-1"})
    odd = changed(odd, ("responseElements", "sourceIdentity"), "a\0b\udfff")
    assert grants_and_reason(store, odd) == ("G-1", "")
    assert unpack(row_of(store, odd["eventID"]).document)[1].document == odd
    with store.read() as connection:
        assert connection.execute(select(trail_sessions.c.source_identity)).scalars().all() == ["ab"]


@pytest.mark.parametrize("value", ["y" * 1_100_000, float("nan"), float("inf")], ids=["large", "nan", "inf"])
def test_what_could_not_be_kept_is_not_read_in_the_first_place(value: object) -> None:
    with pytest.raises(UnreadableEvent):
        read_event(parse(json.dumps(changed(KINDS[-1], ("requestParameters",), {"x": value}).copy())))


STRANGE = st.one_of(
    st.just(GONE),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=()), max_size=8),
    st.sampled_from(
        [
            "a\0b",
            "\ud800",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            10**400,
            "x" * 5_000,
            "i-" + "0" * 17,
            f"user:{ALICE.person}\0",
        ]
    ),
    st.just({"grant": "\udfff", "signin": "\0", "accessKeyId": "\ud800\0", "creationDate": "\ud800", "sourceIdentity": "\0"}),
    st.recursive(
        st.none() | st.integers() | st.text(st.characters(exclude_categories=()), max_size=3),
        lambda below: (
            st.lists(below, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=3), below, max_size=3)
        ),
        max_leaves=8,
    ),
)
_numbers = itertools.count()


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_event_is_taken_in_or_cannot_be_read(store: Store, data: st.DataObject) -> None:
    """Whatever it holds, but for its id: of two events of one id and instant the first is kept."""
    document = data.draw(st.sampled_from(KINDS)) | {"eventID": f"odd-{next(_numbers)}"}
    odd = [place for place in places(document) if place != ("eventID",)]
    for place in data.draw(st.lists(st.sampled_from(odd), min_size=1, max_size=3)):
        document = changed(document, place, data.draw(STRANGE))
    try:
        event = read_event(document)
    except UnreadableEvent:
        return
    take(store, document)
    digest, again = unpack(row_of(store, event.id).document)
    assert again == event
    assert digest == row_of(store, event.id).digest


@settings(max_examples=examples(50), deadline=None)
@given(document=STRANGE)
def test_what_is_no_event_at_all_is_refused(document: object) -> None:
    with pytest.raises(UnreadableEvent):
        read_event(document)
