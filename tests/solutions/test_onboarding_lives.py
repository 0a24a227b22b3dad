"""What happens to instances and machines later: they stop, vanish, fall silent, expire, change keys, are removed."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import group_id
from isthmus.identity.principal import Principal
from isthmus.store.tables import instance_events
from tests.machines.plane import TESTER, Keys
from tests.solutions.onboarding_estate import ACCOUNT, Estate, World, states
from tests.support.clock import Clock


def test_a_machine_that_vanishes_midway_is_marked_and_its_registration_goes(world: World, estate: Estate) -> None:
    host = estate.host(1, faults={"connect": ("InProgress", "InProgress", -1, "")})
    world.sync()
    world.run(until=5)
    assert world.machine(host) is not None
    host.listed = False
    world.run(until=120)
    assert (world.item(host)["state"], world.item(host)["code"]) == ("OFFBOARDING", "INSTANCE_TERMINATED")
    world.run(until=700)
    assert (world.item(host)["state"], world.item(host)["code"]) == ("REMOVED", "INSTANCE_TERMINATED")
    assert world.machine(host) is None


def test_a_stop_parks_and_a_start_goes_on(world: World, estate: Estate) -> None:
    host = estate.host(1, faults={"connect": ("InProgress", "InProgress", -1, "")})
    world.sync()
    world.run(until=5)
    host.state = "stopped"
    world.run(until=100)
    assert (world.item(host)["state"], world.item(host)["code"]) == ("STOPPED", "INSTANCE_STOPPED")
    host.state = "running"
    host.faults.clear()
    world.run(until=400)
    assert world.item(host)["state"] == "CONNECTED"


def test_an_unused_window_leads_to_a_new_generation(world: World, estate: Estate) -> None:
    host = estate.host(1, faults={"connect": ("Success", "Success", 0, "")})
    world.sync()
    world.run(until=640)
    assert world.item(host)["code"] == "VERIFY_TIMEOUT"
    host.faults.clear()
    world.run(until=120)
    item = world.item(host)
    assert (item["state"], item["generation"]) == ("CONNECTED", 2)


def test_a_key_that_changed_is_registered_anew(world: World, estate: Estate) -> None:
    host = estate.host(1, faults={"connect": ("Failed", "Failed", 81, "AZCM0081")})
    world.sync()
    world.run(until=10)
    vm_id = world.machine(host).properties["vmId"]  # type: ignore[union-attr]
    host.faults.clear()
    world.run(until=120)
    machine = world.machine(host)
    assert machine is not None
    assert (machine.properties["vmId"], machine.properties["clientPublicKey"]) == (vm_id, host.keys["2"].public)
    assert world.item(host)["state"] == "CONNECTED"


@pytest.mark.slow
def test_two_machines_with_one_key_are_quarantined_until_a_person_confirms(world: World, estate: Estate, keys: Keys) -> None:
    first, second = estate.host(1), estate.host(2)
    first.keys["1"] = second.keys["1"] = keys[50]
    world.sync()
    world.run(until=4000)
    assert states(world) == {("QUARANTINED", "KEY_REUSED")}
    assert second.id in world.item(first)["statusDetails"]
    world.sync("2", operation="op")
    world.run(until=60)
    assert states(world) == {("QUARANTINED", "KEY_REUSED")}
    world.sync("3", operation="op", confirm=True)
    world.run(until=60)
    assert states(world) == {("CONNECTED", "")}


def test_a_bare_machine_of_inventory_keeps_its_tags(world: World, estate: Estate) -> None:
    host = estate.host(1)
    group = group_id(world.group.subscription, f"aws_{ACCOUNT}")
    id = group.extension("Microsoft.HybridCompute/machines", host.id)
    child = Resource(id=id.extension("Microsoft.AwsConnector/ec2Instances", "default"), properties={"arn": "x"})
    bare = Resource(id=id, location="westeurope", tags={"kept": "yes"}, properties={"osType": ""}, extra={"kind": "AWS"})
    world.engine.apply(Change(puts=(Resource(id=group, location="westeurope"), bare, child)), TESTER, "test", "bare")
    world.sync()
    world.run(until=10)
    machine = world.machine(host)
    assert machine is not None
    assert (machine.tags, machine.properties["status"]) == ({"kept": "yes"}, "Connected")
    assert world.lookup.find(child.id) is not None


def test_silence_shows_its_cause_and_ends(world: World, estate: Estate) -> None:
    host = estate.host(1)
    world.sync()
    world.run(until=1000)
    item = world.item(host)
    assert (item["state"], item["code"]) == ("DISCONNECTED", "HEARTBEAT_LOST")
    assert "himds" in item["statusDetails"]
    assert estate.machines is not None
    estate.machines.heartbeat(principal(world, host.vm_id, host.id), {"facts": {"osName": "linux"}})
    world.run(until=400)
    assert world.item(host)["state"] == "CONNECTED"


def principal(world: World, vm_id: str, name: str) -> Principal:
    return Principal(object_id="p", kind="machine", name=name, tenant="t", client_id=vm_id)


def test_an_expired_machine_gets_a_new_key_by_itself(world: World, estate: Estate, clock: Clock) -> None:
    host = estate.host(1)
    world.sync()
    world.run(until=10)
    clock.advance(90 * 86_400)
    world.run(until=120)
    item = world.item(host)
    assert (item["state"], item["generation"]) == ("CONNECTED", 2)
    with world.store.read() as connection:
        assert "EXPIRED" in connection.execute(select(instance_events.c.code)).scalars().all()


def test_what_a_person_ended_is_not_brought_back_unasked(world: World, estate: Estate, clock: Clock) -> None:
    left, deleted = estate.host(1), estate.host(2)
    world.sync()
    world.run(until=10)
    assert estate.machines is not None
    estate.machines.disconnect(principal(world, left.vm_id, left.id))
    world.engine.apply(Change(deletes=(world.machine(deleted).id,)), TESTER, "test/delete", "machine")  # type: ignore[union-attr]
    world.sync("2")
    for _ in range(4):
        clock.advance(7 * 3600)
        world.run(until=60)
    assert (world.item(left)["code"], world.item(deleted)["code"]) == ("AGENT_DISCONNECTED", "MACHINE_REMOVED")
    world.sync("3", operation="op")
    world.run(until=30)
    assert states(world) == {("CONNECTED", "")}
    assert deleted.keys.keys() == {"1", "2"}
