"""One transaction: resource, ETag, operation, job and audit record are written together or not at all."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from isthmus.arm.change import Change, JobOrder, OperationOrder
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import ResourceId, group_id, parse_resource, subscription_id
from isthmus.arm.types import Actor
from isthmus.audit import verify
from isthmus.engine import Condition, Engine, Lookup
from isthmus.store import Store
from isthmus.store.tables import audit_records, operations, resource_tags, resources
from tests.fakes.jobs import RecordedJobs

ALICE = Actor(id="alice", kind="User", correlation="c-1")
GROUP = group_id("0f", "rg")
THING = GROUP.extension("NS.X/things", "one")


def made_group(engine: Engine) -> None:
    group = Resource(id=GROUP, location="eastus", properties={"provisioningState": "Succeeded"})
    engine.apply(Change(puts=(Resource(id=subscription_id("0f")), group)), ALICE, "setup", "/")


def test_everything_of_a_change_lands_together(engine: Engine, lookup: Lookup, jobs: RecordedJobs, store: Store) -> None:
    made_group(engine)
    change = Change(
        puts=(Resource(id=THING, location="eastus", tags={"Env": "prod"}, properties={"a": 1}),),
        operation=OperationOrder(id="op-1", resource=THING, kind="make"),
        jobs=(JobOrder(job="j", id="j:1", arguments={"x": "y"}, partition="p"),),
    )
    old, new = engine.write(THING, lambda _old: change, ALICE, "NS.X/things/write")
    assert old is None
    assert new is not None
    assert (dict(new.tags), dict(new.properties), new.location) == ({"Env": "prod"}, {"a": 1}, "eastus")
    assert new.etag
    assert new.system is not None
    assert new.system.created_by == "alice"
    assert jobs.orders == {"j:1": ("j", {"x": "y"}, "p")}
    with store.read() as connection:
        assert connection.execute(select(operations.c.status)).scalar() == "Accepted"
        assert connection.execute(select(resource_tags.c.value).where(resource_tags.c.name == "env")).scalar() == "prod"
        last = connection.execute(select(audit_records).order_by(audit_records.c.seq.desc())).first()
        assert last is not None
        assert (last.actor, last.action, last.target, last.outcome, last.correlation) == (
            "alice",
            "NS.X/things/write",
            str(THING),
            "accepted",
            "c-1",
        )
        assert verify(connection) is None
    assert lookup.find(str(THING).upper()) == new


def test_a_refused_decision_changes_nothing(engine: Engine, lookup: Lookup, store: Store) -> None:
    made_group(engine)

    def decide(_old: Resource | None) -> Change:
        raise ArmError("Nope", "No.", status=409)

    with store.read() as connection:
        before = connection.execute(select(func.count()).select_from(audit_records)).scalar()
    with pytest.raises(ArmError, match="Nope"):
        engine.write(THING, decide, ALICE, "x")
    assert lookup.find(THING) is None
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(audit_records)).scalar() == before


def test_creation_facts_survive_changes_and_etags_change(engine: Engine) -> None:
    made_group(engine)
    _, first = engine.write(THING, lambda _o: Change(puts=(Resource(id=THING, location="eastus"),)), ALICE, "w")
    bob = Actor(id="bob", kind="User")
    shouted = parse_resource(str(THING).upper().replace("SUBSCRIPTIONS", "subscriptions"))
    _, second = engine.write(shouted, lambda _o: Change(puts=(Resource(id=shouted, location="eastus"),)), bob, "w")
    assert first is not None
    assert second is not None
    assert second.system is not None
    assert (second.system.created_by, second.system.changed_by) == ("alice", "bob")
    assert str(second.id) == str(THING), "an id is echoed in the case of its creation"
    assert first.etag != second.etag


@pytest.mark.parametrize(
    ("condition", "exists", "holds"),
    [
        (Condition(match="*"), True, True),
        (Condition(match="*"), False, False),
        (Condition(match="wrong"), True, False),
        (Condition(none_match="*"), True, False),
        (Condition(none_match="*"), False, True),
        (Condition(none_match="other"), True, True),
    ],
)
def test_conditions(engine: Engine, condition: Condition, exists: bool, holds: bool) -> None:
    made_group(engine)
    change = Change(puts=(Resource(id=THING, location="eastus"),))
    if exists:
        engine.write(THING, lambda _o: change, ALICE, "w")
    if holds:
        engine.write(THING, lambda _o: change, ALICE, "w", condition)
    else:
        with pytest.raises(ArmError) as caught:
            engine.write(THING, lambda _o: change, ALICE, "w", condition)
        assert caught.value.status == 412


def test_nothing_lies_outside_an_existing_living_group(engine: Engine) -> None:
    with pytest.raises(ArmError, match="ResourceGroupNotFound"):
        engine.apply(Change(puts=(Resource(id=THING, location="eastus"),)), ALICE, "w", "x")
    made_group(engine)
    engine.apply(Change(puts=(Resource(id=GROUP, location="eastus", properties={"provisioningState": "Deleting"}),)), ALICE, "w", "x")
    with pytest.raises(ArmError, match="ResourceGroupBeingDeleted"):
        engine.apply(Change(puts=(Resource(id=THING, location="eastus"),)), ALICE, "w", "x")


def test_what_is_unique_in_the_tenant_names_its_holder(engine: Engine) -> None:
    made_group(engine)
    two = GROUP.extension("NS.X/things", "two")
    engine.apply(Change(puts=(Resource(id=THING, location="eastus", unique="account:1"),)), ALICE, "w", "x")
    with pytest.raises(ArmError) as caught:
        engine.apply(Change(puts=(Resource(id=two, location="eastus", unique="account:1"),)), ALICE, "w", "x")
    assert (caught.value.status, caught.value.target) == (409, str(THING))


def test_deletion_takes_children_extensions_and_tags_along(engine: Engine, lookup: Lookup, store: Store) -> None:
    made_group(engine)
    child, extension = THING.child("parts", "p"), THING.extension("NS.Y/notes", "n")
    grandchild = extension.extension("NS.Z/marks", "m")
    puts = tuple(Resource(id=id, location="eastus", tags={"t": "v"}) for id in (THING, child, extension, grandchild))
    engine.apply(Change(puts=puts), ALICE, "w", "x")
    told: list[str] = []
    engine.removals["ns.y/notes"] = lambda _connection, keys: told.extend(keys)
    engine.apply(Change(deletes=(THING,)), ALICE, "d", "x")
    assert all(lookup.find(id) is None for id in (THING, child, extension, grandchild))
    assert told == [extension.key]
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(resource_tags)).scalar() == 0


def test_an_operation_ends_once(engine: Engine, store: Store) -> None:
    made_group(engine)
    engine.apply(Change(operation=OperationOrder(id="op", resource=GROUP, kind="k")), ALICE, "w", "x")
    engine.finish("op", result={"n": 1})
    engine.finish("op", error=ArmError("Late", "too late"))
    with store.read() as connection:
        row = connection.execute(select(operations)).one()
    assert (row.status, row.result, row.error) == ("Succeeded", '{"n":1}', None)


def test_concurrent_writers_of_one_resource_lose_no_update(engine: Engine, lookup: Lookup) -> None:
    made_group(engine)
    engine.apply(Change(puts=(Resource(id=THING, location="eastus", properties={"n": 0}),)), ALICE, "w", "x")

    def add() -> None:
        for _ in range(10):
            engine.write(THING, lambda old: Change(puts=(replace(old, properties={"n": old.properties["n"] + 1}),)), ALICE, "w")  # type: ignore[type-var,union-attr]

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = lookup.find(THING)
    assert found is not None
    assert found.properties["n"] == 40


def test_a_changed_or_missing_record_breaks_the_chain(engine: Engine, store: Store) -> None:
    made_group(engine)
    for number in range(5):
        engine.refuse(ALICE, "w", f"x{number}", ArmError("No", "no"))
    with store.read() as connection:
        assert verify(connection) is None
    with store.begin() as connection:
        connection.execute(audit_records.update().where(audit_records.c.seq == 3).values(target="y"))
    with store.read() as connection:
        assert verify(connection) == 3


def test_pages_are_complete_ordered_and_filtered(engine: Engine, lookup: Lookup, store: Store) -> None:
    made_group(engine)
    puts = [Resource(id=GROUP.extension("NS.X/things", f"n{n:03d}"), location="eastus", tags={"odd": str(n % 2)}) for n in range(25)]
    engine.apply(Change(puts=tuple(puts)), ALICE, "w", "x")
    seen, after = [], ""
    while True:
        page = lookup.page(types=["ns.x/THINGS"], subscription="0F", group="RG", tag=("ODD", "1"), after=after, limit=5)
        seen += [item.id.name for item in page.items]
        after = page.after
        if not after:
            break
    assert seen == [f"n{n:03d}" for n in range(25) if n % 2]
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(resources)).scalar() == 27


def test_nothing_is_put_below_what_is_not_there(engine: Engine, lookup: Lookup) -> None:
    made_group(engine)
    extension = THING.extension("NS.Y/notes", "n")
    with pytest.raises(ArmError, match="ParentResourceNotFound"):
        engine.apply(Change(puts=(Resource(id=extension),)), ALICE, "w", "x")
    engine.apply(Change(puts=(Resource(id=THING, location="eastus"), Resource(id=extension))), ALICE, "w", "x")
    assert lookup.find(extension) is not None


def test_two_who_ask_for_the_same_unique_thing_are_one_winner_and_one_refusal(engine: Engine) -> None:
    made_group(engine)
    outcomes: list[str] = []

    def ask(name: str) -> None:
        id = GROUP.extension("NS.X/things", name)
        try:
            engine.apply(Change(puts=(Resource(id=id, location="eastus", unique="account:1"),)), ALICE, "w", "x")
            outcomes.append("made")
        except ArmError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=ask, args=(f"n{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["DuplicateResource"] * 5 + ["made"]


def test_a_child_and_the_deletion_of_its_parent_leave_no_orphan(engine: Engine, lookup: Lookup) -> None:
    made_group(engine)
    for number in range(12):
        thing = GROUP.extension("NS.X/things", f"n{number}")
        note = thing.extension("NS.Y/notes", "n")
        engine.apply(Change(puts=(Resource(id=thing, location="eastus"),)), ALICE, "w", "x")

        def put(note: ResourceId = note) -> None:
            with contextlib.suppress(ArmError):
                engine.write(note, lambda _old: Change(puts=(Resource(id=note),)), ALICE, "w")

        def drop(thing: ResourceId = thing) -> None:
            engine.write(thing, lambda _old: Change(deletes=(thing,)), ALICE, "d")

        threads = [threading.Thread(target=put), threading.Thread(target=drop)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert lookup.find(thing) is None
        assert lookup.find(note) is None
