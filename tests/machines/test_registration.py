"""One key speaks for one machine, and ends with it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.machines.registration import KeyReused, of_machine
from isthmus.store.tables import registrations
from tests.machines.plane import TESTER, Keys, Plane
from tests.support.clock import Clock


def test_a_bare_machine_gets_key_and_vm_id_and_keeps_tags_and_child(plane: Plane, keys: Keys) -> None:
    id = plane.id_of("i-1")
    machine = Resource(id=id, location="westeurope", tags={"a": "b"}, properties={"osType": "", "cloudMetadata": {"provider": "AWS"}})
    child = Resource(id=id.extension("Microsoft.AwsConnector/ec2Instances", "default"), properties={"arn": "x"})
    plane.engine.apply(Change(puts=(machine, child)), TESTER, "test", "machine")
    vm_id = plane.register("i-1", keys[0])
    found = plane.lookup.find(id)
    assert found is not None
    assert (found.properties["vmId"], found.properties["clientPublicKey"]) == (vm_id, keys[0].public)
    assert found.properties["status"] == "AwaitingConnection"
    assert found.tags == {"a": "b"}
    assert found.extra["identity"]["type"] == "SystemAssigned"
    assert plane.lookup.find(child.id) is not None


def test_a_key_of_another_machine_is_refused_and_nothing_is_written(plane: Plane, keys: Keys) -> None:
    plane.register("i-1", keys[0])
    with pytest.raises(KeyReused) as refusal:
        plane.register("i-2", keys[0])
    assert refusal.value.other == str(plane.id_of("i-1"))
    assert plane.lookup.find(plane.id_of("i-2")) is None


def test_a_new_generation_replaces_the_key_and_keeps_vm_id_and_principal(plane: Plane, keys: Keys) -> None:
    first = plane.register("i-1", keys[0])
    principal = plane.lookup.find(plane.id_of("i-1")).extra["identity"]["principalId"]  # type: ignore[union-attr]
    plane.enrol("i-1", first, keys[0])
    assert plane.register("i-1", keys[1], generation=2) == first
    machine = plane.lookup.find(plane.id_of("i-1"))
    assert machine is not None
    assert machine.extra["identity"]["principalId"] == principal
    assert (machine.properties["clientPublicKey"], machine.properties["status"]) == (keys[1].public, "AwaitingConnection")
    with pytest.raises(ArmError) as refusal:
        plane.enrol("i-1", first, keys[0])
    assert refusal.value.code == "KeyMismatch"


def test_vm_id_is_settable_once(plane: Plane, keys: Keys) -> None:
    machine = Resource(id=plane.id_of("i-1"), location="westeurope", properties={"vmId": "11111111-1111-4111-8111-111111111111"})
    plane.engine.apply(Change(puts=(machine,)), TESTER, "test", "machine")
    assert plane.register("i-1", keys[0]) == "11111111-1111-4111-8111-111111111111"


def test_a_vm_id_belongs_to_one_machine(plane: Plane, keys: Keys) -> None:
    vm_id = plane.register("i-1", keys[0])
    machine = Resource(id=plane.id_of("i-2"), location="westeurope", properties={"vmId": vm_id})
    plane.engine.apply(Change(puts=(machine,)), TESTER, "test", "machine")
    with pytest.raises(ArmError) as refusal:
        plane.register("i-2", keys[1])
    assert (refusal.value.code, refusal.value.status) == ("VmIdInUse", 409)


def test_a_removed_machine_leaves_a_tombstone_and_may_come_back(plane: Plane, keys: Keys) -> None:
    vm_id = plane.register("i-1", keys[0])
    plane.enrol("i-1", vm_id, keys[0])
    plane.engine.apply(Change(deletes=(plane.id_of("i-1"),)), TESTER, "test/delete", "machine")
    with pytest.raises(ArmError) as refusal:
        plane.machines.heartbeat(plane.principal("i-1", vm_id), {})
    assert refusal.value.status == 410
    with plane.store.read() as connection:
        assert of_machine(connection, plane.id_of("i-1").key) is None
        assert connection.execute(select(registrations.c.state)).scalars().all() == ["removed"]
    assert plane.register("i-1", keys[0], generation=2) != vm_id


def test_a_tombstone_lasts_from_the_removal(plane: Plane, keys: Keys, clock: Clock) -> None:
    vm_id = plane.register("i-1", keys[0])
    plane.enrol("i-1", vm_id, keys[0])
    clock.advance(40 * 86_400)  # a machine that was off for long
    plane.engine.apply(Change(deletes=(plane.id_of("i-1"),)), TESTER, "test/delete", "machine")
    for days, known in ((0, [vm_id]), (30 - 1 / 86_400, [vm_id]), (1 / 86_400, [])):
        clock.advance(days * 86_400)
        plane.machines.mark_silent()
        with plane.store.read() as connection:
            assert connection.execute(select(registrations.c.vm_id)).scalars().all() == known


def test_a_pending_registration_ends_with_its_machine(plane: Plane, keys: Keys) -> None:
    vm_id = plane.register("i-1", keys[0])
    plane.engine.apply(Change(deletes=(plane.id_of("i-1"),)), TESTER, "test/delete", "machine")
    with pytest.raises(ArmError) as refusal:
        plane.machines.challenge({"vmId": vm_id})
    assert (refusal.value.code, refusal.value.status) == ("MachineNotRegistered", 404)
