"""Commands with real scripts on real processes: results, time limits, errors, cancellation, lists."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import time
from pathlib import Path

import pytest

from tests.lab.machines.fake_world import REGION, instance_id
from tests.lab.ssm.client import TEXT, Client, on_ssm, refused
from tests.support.waiting import soon

pytestmark = pytest.mark.slow


def test_a_command_runs_for_real(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        machines = [ssm.world.add(1), ssm.world.add(2)]
        await ssm.call("CreateDocument", Name="Words", Content=TEXT)
        digest = hashlib.sha256(TEXT.encode()).hexdigest()
        sent = await ssm.call(
            "SendCommand",
            InstanceIds=[machine.instance_id for machine in machines],
            DocumentName="Words",
            DocumentHash=digest,
            DocumentHashType="Sha256",
            Parameters={"word": ["hello"], "mode": ["loud"]},
            Comment="slot 7",
            TimeoutSeconds=60,
        )
        command = sent["Command"]
        assert (command["Status"], command["TargetCount"], command["Comment"]) == ("Pending", 2, "slot 7")
        ended = await ssm.ended(command["CommandId"])
        assert (ended["Status"], ended["CompletedCount"], ended["ErrorCount"]) == ("Success", 2, 0)
        for row in await ssm.invocations(command["CommandId"]):
            linux, windows = row["CommandPlugins"]
            assert (linux["Name"], linux["Status"], linux["ResponseCode"], linux["Output"]) == ("linux", "Success", 0, "hello loud\n")
            assert windows["Output"].startswith("Step execution skipped due to unsatisfied preconditions")
        one = await ssm.call("GetCommandInvocation", CommandId=command["CommandId"], InstanceId=machines[0].instance_id)
        assert (one["PluginName"], one["StandardOutputContent"], one["ResponseCode"]) == ("linux", "hello loud\n", 0)
        assert one["ExecutionStartDateTime"].endswith("Z")
        named = await ssm.call(
            "GetCommandInvocation", CommandId=command["CommandId"], InstanceId=machines[0].instance_id, PluginName="windows"
        )
        assert "skipped" in named["StandardOutputContent"]

    on_ssm(tmp_path, scenario)


def test_failures_and_output_limits(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        machine = ssm.world.add(1)
        script = ["printf 'x%.0s' $(seq 30000)", "printf 'e%.0s' $(seq 9000) >&2", "exit 7"]
        command_id = await ssm.shell([machine], *script)
        ended = await ssm.ended(command_id)
        assert (ended["Status"], ended["StatusDetails"], ended["ErrorCount"]) == ("Failed", "Incomplete", 1)
        one = await ssm.call("GetCommandInvocation", CommandId=command_id, InstanceId=machine.instance_id)
        assert (one["Status"], one["ResponseCode"]) == ("Failed", 7)
        assert (len(one["StandardOutputContent"]), len(one["StandardErrorContent"])) == (24_000, 8_000)
        (row,) = await ssm.invocations(command_id)
        assert len(row["CommandPlugins"][0]["Output"]) == 2_500
        assert row["CommandPlugins"][0]["Output"].endswith("---Output truncated---")
        command_id = await ssm.shell([machine], "echo out", "echo err >&2", "exit 3")
        await ssm.ended(command_id)
        (row,) = await ssm.invocations(command_id)
        assert row["CommandPlugins"][0]["Output"] == "out\n\n----------ERROR-------\nerr\nfailed to run commands: exit status 3"

    on_ssm(tmp_path, scenario)


def test_nothing_is_readable_before_the_end_and_at_first_nothing_exists(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        machine, gate, clock = ssm.world.add(1), tmp_path / "gate", ssm.world.clock
        # Time stands still until both were asked.
        sent = clock()
        ssm.world.clock = lambda: sent
        command_id = await ssm.shell([machine], "echo early", f"while [ ! -e {shlex.quote(str(gate))} ]; do sleep 0.02; done")
        query = {"CommandId": command_id, "InstanceId": machine.instance_id}
        assert await refused(ssm.call("GetCommandInvocation", **query)) == "InvocationDoesNotExist"
        assert await ssm.invocations(command_id) == []
        ssm.world.clock = clock
        await ssm.reach(command_id, {machine.instance_id: "InProgress"})
        running = await ssm.call("GetCommandInvocation", **query)
        assert (running["Status"], running["StandardOutputContent"], running["ResponseCode"]) == ("InProgress", "", -1)
        gate.touch()
        await ssm.ended(command_id)
        assert (await ssm.call("GetCommandInvocation", **query))["StandardOutputContent"] == "early\n"
        other = {"CommandId": command_id, "InstanceId": instance_id(9)}
        assert await refused(ssm.call("GetCommandInvocation", **other)) == "InvocationDoesNotExist"
        assert await refused(ssm.call("GetCommandInvocation", **query, PluginName="nope")) == "InvalidPluginName"
        assert await refused(ssm.call("GetCommandInvocation", CommandId="nonsense", InstanceId="i")) == "InvalidCommandId"

    on_ssm(tmp_path, scenario, settle=0.3)


def test_execution_and_delivery_time_limits(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        hung, gone = ssm.world.add(1), ssm.world.add(2)
        command_id = await ssm.shell([hung], "echo partial", "sleep 1000", Parameters={"executionTimeout": ["1"]})
        ended = await ssm.ended(command_id)
        assert (ended["Status"], ended["ErrorCount"]) == ("Failed", 1)
        (row,) = await ssm.invocations(command_id)
        assert (row["Status"], row["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")
        assert row["CommandPlugins"][0]["Output"].startswith("partial\n")

        await ssm.service.machines.sync()
        await ssm.service.admin("POST", f"/_lab/machines/{gone.instance_id}/vanish", b"")
        rows = (await ssm.call("DescribeInstanceInformation"))["InstanceInformationList"]
        assert [row["PingStatus"] for row in rows] == ["Online", "ConnectionLost"]
        command_id = await ssm.shell([gone], "true", TimeoutSeconds=30)
        await asyncio.sleep(0.2)
        assert (await ssm.invocations(command_id))[0]["Status"] == "Pending"
        ssm.world.offset += 31
        ended = await ssm.ended(command_id)
        assert (ended["Status"], ended["DeliveryTimedOutCount"], ended["ErrorCount"]) == ("TimedOut", 1, 0)

    on_ssm(tmp_path, scenario)


def test_a_machine_that_vanishes_midway_stays_in_progress_until_its_time_is_up(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        machine = ssm.world.add(1)
        command_id = await ssm.shell([machine], "sleep 1000", Parameters={"executionTimeout": ["600"]})
        await ssm.reach(command_id, {machine.instance_id: "InProgress"})
        await ssm.service.admin("POST", f"/_lab/machines/{machine.instance_id}/vanish", b"")
        await soon(lambda: not ssm.runs(machine.instance_id), 15)
        await asyncio.sleep(0.2)
        assert (await ssm.invocations(command_id))[0]["Status"] == "InProgress"
        ssm.world.offset += 601
        await ssm.ended(command_id)
        (row,) = await ssm.invocations(command_id)
        assert row["StatusDetails"] == "ExecutionTimedOut"

    on_ssm(tmp_path, scenario)


def test_cancel(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        quick, slow, waiting = (ssm.world.add(number) for number in range(3))
        command_id = await ssm.shell([quick, slow], "[ $AWS_SSM_INSTANCE_ID = " + quick.instance_id + " ] || sleep 1000")
        await ssm.reach(command_id, {quick.instance_id: "Success", slow.instance_id: "InProgress"})
        later = await ssm.shell([slow, waiting], "sleep 1000", MaxConcurrency="1")
        await ssm.call("CancelCommand", CommandId=command_id)
        ended = await ssm.ended(command_id)
        assert ended["Status"] == "Cancelled"
        statuses = {row["InstanceId"]: row["Status"] for row in await ssm.invocations(command_id)}
        assert statuses == {quick.instance_id: "Success", slow.instance_id: "Cancelled"}
        await ssm.call("CancelCommand", CommandId=later, InstanceIds=[slow.instance_id, waiting.instance_id])
        assert (await ssm.ended(later))["Status"] == "Cancelled"
        missing = "00000000-0000-4000-8000-000000000000"
        assert await refused(ssm.call("CancelCommand", CommandId=missing)) == "InvalidCommandId"
        assert await refused(ssm.call("CancelCommand", CommandId=later, InstanceIds=[quick.instance_id])) == "InvalidInstanceId"

    on_ssm(tmp_path, scenario)


def test_max_errors_stops_the_rest(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        machines = [ssm.world.add(number) for number in range(4)]
        command_id = await ssm.shell(machines, "exit 1", MaxConcurrency="1", MaxErrors="1")
        ended = await ssm.ended(command_id)
        assert (ended["Status"], ended["StatusDetails"]) == ("Failed", "RateExceeded")
        details = sorted(row["StatusDetails"] for row in await ssm.invocations(command_id))
        assert details == ["Failed", "Failed", "Terminated", "Terminated"]

    on_ssm(tmp_path, scenario)


def test_targets_by_tag_and_lists_of_commands(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        for number in range(3):
            ssm.world.add(number, tags={"team": "a" if number else "b"})
        request = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}
        both = await ssm.call("SendCommand", Targets=[{"Key": "tag:team", "Values": ["a"]}], **request)
        first = both["Command"]["CommandId"]
        assert both["Command"]["TargetCount"] == 2
        await ssm.ended(first)
        assert len(await ssm.invocations(first)) == 2
        page = await ssm.call("ListCommandInvocations", CommandId=first, MaxResults=1)
        assert len(page["CommandInvocations"]) == 1
        assert page["CommandInvocations"][0]["CommandPlugins"] == []
        assert (
            len(
                (await ssm.call("ListCommandInvocations", CommandId=first, MaxResults=1, NextToken=page["NextToken"]))["CommandInvocations"]
            )
            == 1
        )
        assert await refused(ssm.call("ListCommandInvocations", MaxResults=51)) == "ValidationException"
        nobody = await ssm.call("SendCommand", Targets=[{"Key": "tag:team", "Values": ["z"]}], **request)
        assert nobody["Command"]["StatusDetails"] == "NoInstancesInTag"

        ssm.world.offset += 100
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ssm.world.clock() - 50))
        later = await ssm.shell([ssm.world.rows[instance_id(0)]], "true", Comment="later")
        await ssm.ended(later)
        listed = (await ssm.call("ListCommands"))["Commands"]
        assert [row["CommandId"] for row in listed] == [later, nobody["Command"]["CommandId"], first]

        async def found(key: str, value: str) -> int:
            return len((await ssm.call("ListCommands", Filters=[{"key": key, "value": value}]))["Commands"])

        assert await found("InvokedAfter", since) == 1
        assert await found("InvokedBefore", since) == 2
        assert await found("Status", "Success") == 3
        assert await found("ExecutionStage", "Executing") == 0
        assert await found("DocumentName", "Other") == 0
        assert await refused(found("Colour", "red")) == "InvalidFilterKey"
        assert await refused(found("InvokedAfter", "yesterday")) == "ValidationException"
        ssm.world.current = ("999988887777", REGION)
        assert (await ssm.call("ListCommands"))["Commands"] == []

    on_ssm(tmp_path, scenario)
