"""What a sync leaves alone, and what it says about accounts, regions and commands that refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from isthmus.arm.change import Change
from isthmus.arm.errors import ArmError
from isthmus.clouds.aws.wire import AwsError
from isthmus.solutions import onboarding
from isthmus.solutions.loop import Loop
from isthmus.store import Store
from isthmus.store.tables import instances, registrations
from tests.machines.plane import TESTER
from tests.solutions.onboarding_estate import REGION, Estate, World
from tests.support.clock import Clock


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
