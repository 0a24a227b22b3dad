"""What changed of a resource is told path by path, within bounds, and nothing is told where nothing changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import group_id, subscription_id
from isthmus.arm.types import Actor
from isthmus.engine import Engine
from isthmus.engine.history import MOST_PATHS, MOST_VALUE, differences, told
from isthmus.store.tables import resource_changes

SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
GROUP = group_id(SUBSCRIPTION, "rg")
THING = GROUP.extension("Test.Things/things", "one")
PAULA = Actor(id="paula", kind="User")


def with_properties(properties: Any) -> Resource:
    return Resource(id=THING, properties=properties)


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1}, []),
        ({"a": [1, 2]}, {"a": (1, 2)}, []),
        ({"a": 1}, {"a": 2}, [("/properties/a", 1, 2)]),
        ({"a": 1}, {}, [("/properties/a", 1, None)]),
        ({}, {"b": {"c": []}}, [("/properties/b", None, {"c": []})]),
        ({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"c": 1, "d": 3}}}, [("/properties/a/b/d", 2, 3)]),
        ({"a": [{"x": 1}, {"x": 2}]}, {"a": [{"x": 1}, {"x": 3}]}, [("/properties/a/1/x", 2, 3)]),
        ({"a": [1]}, {"a": [1, 2]}, [("/properties/a", [1], [1, 2])]),
        ({"a": {"b": 1}}, {"a": "text"}, [("/properties/a", {"b": 1}, "text")]),
        ({"a/b": 1, "c~d": 1}, {"a/b": 2, "c~d": 2}, [("/properties/a~1b", 1, 2), ("/properties/c~0d", 1, 2)]),
    ],
)
def test_differences_are_told_at_their_deepest_path(old: Any, new: Any, paths: list[Any]) -> None:
    assert list(differences(with_properties(old), with_properties(new)).paths) == paths


def test_tags_location_and_further_members_differ_too() -> None:
    old = Resource(id=THING, location="eastus", tags={"a": "1"}, extra={"kind": "AWS"}, etag="1", digest="d")
    new = Resource(id=THING, location="westus", tags={"a": "2"}, extra={"kind": "GCP"}, etag="2", digest="e")
    found = differences(old, new)
    assert found.paths == (("/location", "eastus", "westus"), ("/tags/a", "1", "2"), ("/kind", "AWS", "GCP"))
    assert found.is_complete


def test_many_paths_and_long_values_are_cut_and_it_is_said() -> None:
    many = {f"k{n}": n for n in range(MOST_PATHS + 1)}
    found = differences(with_properties(many), with_properties({}))
    assert (len(found.paths), found.is_complete) == (MOST_PATHS, False)
    exact = differences(with_properties(dict(list(many.items())[:MOST_PATHS])), with_properties({}))
    assert (len(exact.paths), exact.is_complete) == (MOST_PATHS, True)
    for long in ("é" * MOST_VALUE, ["x" * 100] * 100):
        ((_, before, after),) = differences(with_properties({"a": long}), with_properties({"a": "short"})).paths
        assert len(before.encode()) <= MOST_VALUE + len("…".encode())
        assert before.endswith("…")
        assert after == "short"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(old=st.dictionaries(st.text(max_size=2), values, max_size=4), new=st.dictionaries(st.text(max_size=2), values, max_size=4))
def test_there_is_a_difference_exactly_where_documents_differ(old: Any, new: Any) -> None:
    found = differences(with_properties(old), with_properties(new))
    same = differences(with_properties(new), with_properties(new))
    assert same.paths == ()
    assert bool(found.paths) == (old != new)


@pytest.fixture
def thing(engine: Engine) -> Resource:
    """A stored resource."""
    made = Resource(id=THING, location="eastus", tags={"a": "1"}, properties={"size": 1})
    engine.apply(Change(puts=(Resource(id=subscription_id(SUBSCRIPTION)), Resource(id=GROUP), made)), PAULA, "w", "x")
    return made


def rows(engine: Engine) -> list[tuple[str, str, list[Any]]]:
    """Kind, actor and paths of what is on record of the thing."""
    with engine.store.read() as connection:
        found = connection.execute(select(resource_changes).where(resource_changes.c.resource == THING.key)).all()
    return [(row.kind, row.actor, list(told(row.changes).paths)) for row in found]


def test_an_update_is_recorded_with_who_made_it(engine: Engine, thing: Resource) -> None:
    assert rows(engine) == []
    engine.apply(Change(puts=(replace(thing, properties={"size": 2}),)), PAULA, "w", "x")
    assert rows(engine) == [("Update", "paula", [("/properties/size", 1, 2)])]


def test_what_is_put_as_it_was_is_no_change(engine: Engine, thing: Resource) -> None:
    engine.apply(Change(puts=(thing,)), PAULA, "w", "x")
    engine.write(THING, lambda old: Change(puts=(old,) if old else (), detail={"again": 1}), PAULA, "w")
    assert rows(engine) == []


def test_deletes_are_recorded_for_all_that_goes_along(engine: Engine, thing: Resource) -> None:
    below = THING.extension("Test.Things/parts", "p")
    engine.apply(Change(puts=(Resource(id=below),)), PAULA, "w", "x")
    engine.apply(Change(deletes=(THING,)), Actor(id="otto", kind="User"), "w", "x")
    with engine.store.read() as connection:
        found = {row.resource: (row.kind, row.actor) for row in connection.execute(select(resource_changes))}
    assert found == {THING.key: ("Delete", "otto"), below.key: ("Delete", "otto")}
