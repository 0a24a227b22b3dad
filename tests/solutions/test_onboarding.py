"""Instances become machines, in few calls; whatever cannot says why, when it is tried again, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from isthmus.store.tables import instance_events, instances
from tests.machines.plane import Keys
from tests.solutions.onboarding_estate import ACCOUNT, REGION, Estate, World, states

pytestmark = pytest.mark.slow

ELSEWHERE = "connected elsewhere: /subscriptions/x/resourceGroups/y/providers/Microsoft.HybridCompute/machines/z"


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


def test_a_machine_that_met_us_away_is_tried_again_at_once(world: World, estate: Estate) -> None:
    """The machine found nobody there because we were restarted: that says nothing about its network."""
    host = estate.host(1, faults={"connect": ("Failed", "Failed", 26, "refused the connection")})
    world.sync()
    while world.item(host)["state"] != "CONNECTING":
        assert world.tick_once()
    world.clock.advance(20)
    world.app = world.start(world.store)
    while world.item(host)["state"] == "CONNECTING":
        assert world.tick_once()
    item = world.item(host)
    assert (item["state"], item["code"]) == ("BLOCKED", "CONTROL_PLANE_AWAY")
    assert "restarted" in item["statusDetails"]
    host.faults.clear()
    world.run(until=10)
    item = world.item(host)
    assert (item["state"], item["generation"]) == ("CONNECTED", 1)


def test_a_machine_without_egress_is_blocked_again_after_a_restart(world: World, estate: Estate) -> None:
    host = estate.host(1, faults={"connect": ("Failed", "Failed", 26, "no route")})
    world.sync()
    while world.item(host)["state"] != "CONNECTING":
        assert world.tick_once()
    world.clock.advance(20)
    world.app = world.start(world.store)
    world.run(until=60)
    assert world.item(host)["code"] == "EGRESS_BLOCKED"
    assert len(estate.commands) == 3, "a key, the attempt that met nobody, and one more"


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
