"""Removing a connector: crashes, scans that are under way, others who take the account, and connectors that come back."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.solutions.removal import Leaving, Removals
from isthmus.store.tables import instances, operations, registrations
from tests.machines.plane import TESTER
from tests.solutions.conftest import ACCOUNT, CONNECTOR, GUID, PROJECTIONS, SOLUTION, Bench
from tests.solutions.onboarding_estate import Estate, World
from tests.support.postgres import until_somebody_waits
from tests.support.waiting import LOADED

USER = Actor(id="user", kind="User")


def arguments(**more: Any) -> dict[str, Any]:
    chosen = {"resources": True, "machines": True} | more
    return Leaving(connector=CONNECTOR, account=ACCOUNT, guid=GUID, operation="op", **chosen).arguments()


def settled(bench: Bench, volumes: int = 3) -> Removals:
    """A scanned account whose connector is marked, with an operation to end."""
    bench.account.cells = {("us-east-1", "ec2Volumes"): {f"vol-{number:017x}": {} for number in range(volumes)}}
    bench.sync()
    connector = bench.lookup.find(CONNECTOR)
    assert connector is not None
    mark = {**connector.properties, "provisioningState": "Deleting"}
    marked = replace(connector, unique=f"connector:{ACCOUNT}", properties=mark)
    bench.engine.apply(Change(puts=(marked,)), USER, "w", "x")
    texts = {"resource": str(CONNECTOR), "kind": "remove", "status": "Accepted", "location": "", "subscription": "", "caller": "u"}
    with bench.engine.store.begin() as connection:
        connection.execute(insert(operations).values(id="op", started_at=0, **texts))
    return Removals(engine=bench.engine)


def operation(bench: Bench) -> Any:
    with bench.engine.store.read() as connection:
        return connection.execute(select(operations).where(operations.c.id == "op")).one()


def test_a_removal_goes_on_where_a_process_died(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    removals = settled(bench, volumes=900)
    apply, calls = bench.engine.apply_within, 0

    def dying(*given: Any) -> None:
        nonlocal calls
        calls += 1
        apply(*given)
        if calls in (2, 4):
            raise ConnectionResetError("the process dies here")

    monkeypatch.setattr(bench.engine, "apply_within", dying)
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            removals.run(arguments())
    assert operation(bench).ended_at is None
    removals.run(arguments())
    told = operation(bench)
    assert told.status == "Succeeded"
    assert '"resources":900' in told.result, "what a dead process deleted and noted counts once"
    assert bench.lookup.find(PROJECTIONS) is None
    assert bench.lookup.find(CONNECTOR) is None
    removals.run(arguments())
    assert operation(bench).result == told.result, "repeated after its end it changes nothing"


def test_another_connector_keeps_what_is_its_own_now(bench: Bench) -> None:
    removals = settled(bench)
    old = bench.lookup.find(CONNECTOR)
    assert old is not None
    other = replace(old, properties={**old.properties, "connectorPrimaryIdentifier": "another", "provisioningState": "Succeeded"})
    bench.engine.apply(Change(deletes=(CONNECTOR,)), USER, "d", "x")
    bench.engine.apply(Change(puts=(other,)), USER, "w", "x")
    with pytest.raises(ArmError) as refused:
        removals.run(arguments())
    removals.failed(arguments(), refused.value)
    assert refused.value.code == "ConnectorReplaced"
    assert operation(bench).status == "Failed"
    assert len(bench.names()) == 3
    kept = bench.lookup.find(CONNECTOR)
    assert kept is not None
    assert kept.properties["provisioningState"] == "Succeeded"


def test_a_connector_that_somebody_deleted_meanwhile_does_not_end_the_removal(bench: Bench) -> None:
    removals = settled(bench)
    bench.engine.apply(Change(deletes=(CONNECTOR,)), USER, "d", "x")
    removals.run(arguments())
    assert operation(bench).status == "Succeeded"
    assert bench.lookup.find(PROJECTIONS) is None


def test_a_removal_that_fails_says_so_and_can_be_asked_for_again(bench: Bench) -> None:
    removals = settled(bench)
    removals.failed(arguments(), ArmError("DatabaseBroken", "It broke.", status=500))
    connector = bench.lookup.find(CONNECTOR)
    assert connector is not None
    assert connector.properties["provisioningState"] == "Failed"
    assert operation(bench).status == "Failed"


def test_a_solution_that_slips_in_goes_with_the_connector(bench: Bench) -> None:
    removals = settled(bench)
    found = bench.lookup.find(SOLUTION)
    assert found is not None
    assert not removals._step(_asked())["isComplete"]
    late = replace(found, id=CONNECTOR.extension(SOLUTION.type, "late"))
    bench.engine.apply(Change(puts=(late,)), USER, "w", "x")
    removals.run(arguments())
    assert bench.lookup.find(late.id) is None
    assert '"solutions":2' in operation(bench).result


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_a_scan_stores_at_that_moment_goes_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan has looked whether its solution exists and not committed what it found: the removal waits for it."""
    removals = settled(bench)
    bench.account.cells["us-east-1", "sqsQueues"] = {"late": {}}
    apply = bench.engine.apply_within
    removal = threading.Thread(target=removals.run, args=(arguments(),))

    def slow(connection: Any, change: Any, actor: Any, action: str, target: str) -> None:
        apply(connection, change, actor, action, target)
        if action == "inventory/project" and removal.ident is None:
            removal.start()
            until_somebody_waits(bench.engine.store)

    monkeypatch.setattr(bench.engine, "apply_within", slow)
    bench.sync()
    removal.join(timeout=30 * LOADED)
    assert bench.lookup.find(PROJECTIONS) is None
    assert operation(bench).status == "Succeeded"


def test_machines_of_a_removed_connector_are_onboarded_by_the_next_one(world: World, estate: Estate) -> None:
    host = estate.host(1)
    world.sync()
    world.run(until=30)
    assert world.item(host)["state"] == "CONNECTED"
    first = world.machine(host)
    assert first is not None
    connector, solution = world.lookup.find(world.connector), world.lookup.find(world.solution)
    assert connector is not None
    assert solution is not None
    _remove(world, connector, machines=True)
    assert world.machine(host) is None
    assert _count(world, instances) == 0
    with world.store.read() as connection:
        assert connection.execute(select(registrations.c.state)).scalars().all() == ["removed"]
    _create_again(world, connector, solution)
    world.sync("2")
    world.run(until=60)
    assert world.item(host)["state"] == "CONNECTED"
    second = world.machine(host)
    assert second is not None
    assert second.properties["vmId"] != first.properties["vmId"], "a new identity, not the old one raised from the dead"


def test_machines_that_stay_are_found_again_by_the_next_connector(world: World, estate: Estate) -> None:
    host = estate.host(1)
    world.sync()
    world.run(until=30)
    first = world.machine(host)
    assert first is not None
    connector, solution = world.lookup.find(world.connector), world.lookup.find(world.solution)
    assert connector is not None
    assert solution is not None
    _remove(world, connector, machines=False)
    assert world.machine(host) is not None
    _create_again(world, connector, solution)
    sends = estate.calls["send"]
    world.sync("2")
    world.run(until=60)
    assert world.item(host)["state"] == "CONNECTED"
    second = world.machine(host)
    assert second is not None
    assert second.properties["vmId"] == first.properties["vmId"]
    assert estate.calls["send"] == sends, "it is connected: nothing is run on it"


def _asked() -> Leaving:
    return Leaving(connector=CONNECTOR, account=ACCOUNT, guid=GUID, operation="op", resources=True, machines=True)


def _remove(world: World, connector: Resource, *, machines: bool) -> None:
    leaving = Leaving(
        connector=world.connector,
        account=world.account,
        guid=connector.properties["connectorPrimaryIdentifier"],
        operation="op",
        resources=False,
        machines=machines,
    )
    world.engine.removals = dict(world.app.removals)
    Removals(engine=world.engine).run(leaving.arguments())


def _create_again(world: World, connector: Resource, solution: Resource) -> None:
    fresh = replace(connector, properties={**connector.properties, "connectorPrimaryIdentifier": "fresh"})
    again = replace(solution, properties={**solution.properties, "solutionId": "again", "status": "New"})
    world.engine.apply(Change(puts=(fresh, again)), TESTER, "w", "x")


def _count(world: World, table: Any) -> int:
    with world.store.read() as connection:
        return len(connection.execute(select(table)).all())
