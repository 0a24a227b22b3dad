"""Instances become machines, in few calls; whatever cannot says why, when it is tried again, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import group_id
from isthmus.clouds.aws.wire import AwsError
from isthmus.identity.principal import Principal
from isthmus.solutions import onboarding
from isthmus.solutions.loop import Loop
from isthmus.store import Store
from isthmus.store.tables import instance_events, instances, registrations
from tests.machines.plane import TESTER, Keys
from tests.solutions.onboarding_estate import ACCOUNT, REGION, Estate, World
from tests.support.clock import Clock

ELSEWHERE = "connected elsewhere: /subscriptions/x/resourceGroups/y/providers/Microsoft.HybridCompute/machines/z"


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys()


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


@pytest.fixture
def estate(clock: Clock, keys: Keys) -> Estate:
    return Estate(clock, keys)


@pytest.fixture
def world(store: Store, clock: Clock, estate: Estate, loop: Loop) -> World:
    return World(store, clock, estate, loop)


def states(world: World) -> set[tuple[str, str]]:
    return {(item["state"], item["code"]) for item in world.items().values()}


def test_sixty_machines_connect_with_two_commands_of_each_kind(world: World, estate: Estate) -> None:
    hosts = [estate.host(number) for number in range(60)]
    world.sync()
    ticks = 0
    while states(world) != {("CONNECTED", "")}:
        assert world.tick_once()
        ticks += 1
    assert ticks <= 5
    kinds = [command.parameters["action"] for command in estate.commands.values()]
    assert sorted(kinds) == ["connect", "connect", "genkey", "genkey"]
    assert estate.calls["recent"] == 0
    assert sum(estate.calls.values()) <= 12
    machine = world.machine(hosts[0])
    assert machine is not None
    assert (machine.extra["kind"], machine.location, machine.properties["status"]) == ("AWS", "westeurope", "Connected")
    assert machine.extra["identity"]["type"] == "SystemAssigned"
    assert machine.properties["clientPublicKey"] == hosts[0].keys["1"].public
    assert world.status() == ("Completed", "60 instances: 60 connected.")
    assert world.line.due() is None


def test_two_hundred_machines_cost_few_calls(world: World, estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        estate.host(number, ping="" if number % 2 else "Online", profile="" if number % 2 else "p")
    world.sync()
    world.run(until=10)
    assert sum(estate.calls.values()) < 200 * 0.25
    assert {item["state"] for item in world.items().values()} == {"CONNECTED", "BLOCKED"}


def test_the_ledger_speaks_azure(world: World, estate: Estate) -> None:
    host = estate.host(1, ping="")
    world.sync()
    world.run(until=3)
    item = world.item(host)
    assert item["cloudNativeType"] == "ec2"
    assert item["cloudNativeResourceId"] == f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{host.id}"
    assert item["azureResourceId"] == ""
    assert (item["state"], item["code"], item["status"]) == ("SSM_WAIT", "SSM_BACKOFF", "InProgress")
    assert item["nextRetry"]
    assert "60 minutes" in item["statusDetails"]
    assert world.status() == ("Completed", "1 instance: 1 waiting for Systems Manager.")
    host.ping = "Online"
    world.run(until=30)
    assert world.item(host)["azureResourceId"] == str(world.machine(host).id)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("host", "state", "code"),
    [
        ({"state": "stopped"}, "EXCLUDED", "FILTERED_STATE"),
        ({"state": "terminated"}, "REMOVED", "INSTANCE_TERMINATED"),
        ({"ping": "", "profile": ""}, "BLOCKED", "NO_PROFILE"),
        ({"ping": "", "imds": False}, "BLOCKED", "IMDS_DISABLED"),
        ({"ping": ""}, "SSM_WAIT", "SSM_BACKOFF"),
        ({"ping": "ConnectionLost"}, "SSM_WAIT", "SSM_CONNECTION_LOST"),
        ({"faults": {"genkey": ("TimedOut", "DeliveryTimedOut", -1, "")}}, "BLOCKED", "SSM_DELIVERY_TIMEOUT"),
        ({"faults": {"genkey": ("Undeliverable", "Undeliverable", -1, "")}}, "BLOCKED", "SSM_UNDELIVERABLE"),
        ({"faults": {"genkey": ("TimedOut", "ExecutionTimedOut", -1, "x")}}, "BLOCKED", "SSM_EXEC_TIMEOUT"),
        ({"faults": {"genkey": ("Terminated", "Terminated", -1, "")}}, "BLOCKED", "SSM_TERMINATED"),
        ({"faults": {"genkey": ("Failed", "Failed", 201, "none")}}, "BLOCKED", "AGENT_NOT_INSTALLED"),
        ({"faults": {"genkey": ("Success", "Success", 0, "no key here")}}, "BLOCKED", "KEY_PARSE"),
        ({"faults": {"genkey": ("Failed", "Failed", 205, ELSEWHERE)}}, "BLOCKED", "AGENT_ELSEWHERE"),
        ({"faults": {"connect": ("Failed", "Failed", 26, "no route")}}, "BLOCKED", "EGRESS_BLOCKED"),
        ({"faults": {"connect": ("Failed", "Failed", 81, "other key")}}, "BLOCKED", "KEY_MISMATCH"),
        ({"faults": {"connect": ("Failed", "Failed", 61, "himds")}}, "BLOCKED", "CONNECT_FAIL"),
        ({"faults": {"connect": ("Success", "Success", 0, "")}}, "VERIFYING", ""),
    ],
)  # fmt: skip
def test_what_fails_says_so_and_harms_nobody_else(world: World, estate: Estate, host: dict[str, Any], state: str, code: str) -> None:
    bad, good = estate.host(1, **host), estate.host(2)
    world.sync()
    world.run(until=10)
    item = world.item(bad)
    assert (item["state"], item["code"]) == (state, code)
    if state == "BLOCKED":
        assert item["statusDetails"]
        assert "?" not in item["statusDetails"]
        assert item["nextRetry"]
        assert world.status() == ("Completed", f"2 instances: 1 connected, 1 blocked. Blocked: 1 {code}.")
    assert world.item(good)["state"] == "CONNECTED"


def test_a_private_key_in_an_output_is_never_stored(world: World, estate: Estate, keys: Keys) -> None:
    leak = keys[0].pem().decode()
    estate.host(1, faults={"genkey": ("Success", "Success", 0, leak), "connect": ("Failed", "Failed", 1, leak)})
    world.sync()
    world.run(until=5)
    with world.store.read() as connection:
        for table in (instances, instance_events):
            assert "PRIVATE" not in "".join(str(row) for row in connection.execute(select(table.c.evidence)).scalars())
    assert states(world) == {("BLOCKED", "KEY_PARSE")}


@pytest.mark.parametrize("named", [True, False])
def test_one_bad_id_does_not_fail_its_batch(world: World, estate: Estate, named: bool) -> None:
    hosts = [estate.host(number) for number in range(8)]
    estate.invalid, estate.names_invalid = {hosts[3].id}, named
    world.sync()
    world.run(until=10)
    assert (world.item(hosts[3])["state"], world.item(hosts[3])["code"]) == ("BLOCKED", "SSM_INVALID_INSTANCE")
    assert sum(item["state"] == "CONNECTED" for item in world.items().values()) == 7
    estate.invalid = set()
    world.run(until=180)
    assert states(world) == {("CONNECTED", "")}


def test_failures_that_pass_are_tried_again_and_others_wait(world: World, estate: Estate) -> None:
    passing = estate.host(1, faults={"genkey": ("TimedOut", "DeliveryTimedOut", -1, "")})
    elsewhere = estate.host(2, faults={"genkey": ("Failed", "Failed", 205, ELSEWHERE)})
    world.sync()
    world.run(until=3600)
    assert world.item(passing)["attempts"] <= 7
    assert world.item(elsewhere)["attempts"] == 1
    passing.faults.clear()
    elsewhere.faults.clear()
    world.run(until=1900)
    assert world.item(passing)["state"] == "CONNECTED"
    assert world.item(elsewhere)["code"] == "AGENT_ELSEWHERE"
    world.sync("2", operation="")
    world.run(until=30)
    assert world.item(elsewhere)["code"] == "AGENT_ELSEWHERE"
    world.sync("3", operation="op")
    world.run(until=30)
    assert world.item(elsewhere)["state"] == "CONNECTED"


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


def test_the_filter_is_one_tag_without_case(store: Store, clock: Clock, estate: Estate, loop: Loop) -> None:
    world = World(store, clock, estate, loop, settings={"arcOnboardEc2FilterTag": "Env:Prod"})
    wanted, other = estate.host(1, tags={"env": "PROD"}), estate.host(2, tags={"env": "dev"})
    world.sync()
    world.run(until=10)
    assert world.item(wanted)["state"] == "CONNECTED"
    assert (world.item(other)["state"], world.item(other)["code"]) == ("EXCLUDED", "FILTERED_TAG")
    assert "Env:Prod" in world.item(other)["statusDetails"]
    assert world.item(other)["nextRetry"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("arcOnboardEc2FilterTag", "env"),
        ("arcOnboardEc2FilterTag", ":x"),
        ("arcOnboardEc2FilterTag", "x:"),
        ("proxyServer", "proxy:3128"),
        ("cloudProviderRegions", "mars"),
        ("periodicSyncTime", "3"),
    ],
)
def test_bad_settings_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ArmError) as refusal:
        onboarding.SOLUTION.complete({name: value})
    assert refusal.value.code == "InvalidSolutionSetting"
    assert refusal.value.target == f"properties.solutionSettings.{name}"


def test_a_deselected_region_excludes_what_has_not_joined(world: World, estate: Estate) -> None:
    host = estate.host(1, ping="")
    world.sync()
    world.run(until=3)
    found = world.lookup.find(world.solution)
    assert found is not None
    narrowed = {**found.properties, "solutionSettings": {**found.properties["solutionSettings"], "cloudProviderRegions": "us-east-1"}}
    world.engine.apply(Change(puts=(replace(found, properties=narrowed),)), TESTER, "test", "narrow")
    world.sync("2")
    world.run(until=30)
    assert (world.item(host)["state"], world.item(host)["code"]) == ("EXCLUDED", "FILTERED_REGION")


def test_an_account_that_does_not_trust_us_is_pending(world: World, estate: Estate) -> None:
    estate.untrusted = "Deploy the stack."
    assert world.sync() == {"status": "AuthorizationPending"}
    assert world.status() == ("AuthorizationPending", "Deploy the stack.")


def denied(operation: str) -> AwsError:
    return AwsError(code="AccessDeniedException", message="not authorized", status=400, operation=operation, region=REGION)


def test_a_region_that_cannot_be_read_is_named_and_changes_nothing(world: World, estate: Estate) -> None:
    host = estate.host(1)
    world.sync()
    world.run(until=10)
    estate.failing["instances"] = [denied("ec2:DescribeInstances")]
    world.sync("2")
    assert world.status()[0] == "CompletedWithGaps"
    assert REGION in world.status()[1]
    assert world.item(host)["state"] == "CONNECTED"


def test_a_denied_command_blocks_its_instances_with_the_reason(world: World, estate: Estate) -> None:
    host = estate.host(1)
    estate.failing["send"] = [denied("ssm:SendCommand")]
    world.sync()
    world.run(until=5)
    assert world.item(host)["code"] == "ACCESS_DENIED"
    assert "ssm:SendCommand" in world.item(host)["statusDetails"]


def test_a_throttled_command_is_sent_later_under_the_same_name(world: World, estate: Estate) -> None:
    host = estate.host(1)
    throttled = AwsError(code="ThrottlingException", message="Rate exceeded", status=400, operation="ssm:SendCommand", region=REGION)
    estate.failing["send"] = [throttled]
    world.sync()
    world.tick_once()
    assert (world.item(host)["state"], world.item(host)["code"]) == ("KEYGEN", "SSM_THROTTLED")
    world.run(until=40)
    assert world.item(host)["state"] == "CONNECTED"
    assert len({command.comment for command in estate.commands.values()}) == len(estate.commands) == 2


def test_a_deleted_solution_ends_its_rows_and_ticks(world: World, estate: Estate) -> None:
    estate.host(1, ping="")
    world.sync()
    world.tick_once()
    removal = world.app.removals["microsoft.hybridconnectivity/solutionconfigurations"]
    with world.store.begin() as connection:
        removal(connection, [world.solution.key])
    world.engine.apply(Change(deletes=(world.solution,)), TESTER, "test/delete", "solution")
    world.run(until=60)
    assert world.line.due() is None
    with world.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(instances)).scalar() == 0
        assert connection.execute(select(func.count()).select_from(registrations)).scalar() == 0


def test_a_tick_that_fails_for_good_is_said_until_one_succeeds(world: World, estate: Estate) -> None:
    estate.host(1)
    world.sync()
    tick = next(job for job in world.app.jobs() if job.name == onboarding.TICK)
    assert tick.failed is not None
    tick.failed({"solution": str(world.solution), "region": REGION, "slot": 1}, ArmError("InternalError", "It broke.", status=500))
    assert world.status()[0] == "Failed"
    assert REGION in world.status()[1]
    world.run(until=10)
    assert world.status()[0] == "Completed"
