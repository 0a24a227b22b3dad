"""Systems Manager as its clients see it, with real scripts on real processes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.lab.machines.fake_world import ACCOUNT, REGION, UBUNTU, WINDOWS, FakeWorld, instance_id

from isthmus_lab.ssm.service import SsmService
from isthmus_lab.world import Instance

CONTENT = {
    "schemaVersion": "2.2",
    "description": "Says a word.",
    "parameters": {
        "word": {"type": "String", "allowedPattern": "^[a-z]+$"},
        "mode": {"type": "String", "allowedValues": ["loud", "quiet"], "default": "quiet"},
        "length": {"type": "String", "default": "1", "maxChars": 3},
    },
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "linux",
            "precondition": {"StringEquals": ["platformType", "Linux"]},
            "inputs": {"timeoutSeconds": "600", "runCommand": ["echo '{{ word }} {{mode}}'", "exit 0"]},
        },
        {
            "action": "aws:runPowerShellScript",
            "name": "windows",
            "precondition": {"StringEquals": ["platformType", "Windows"]},
            "inputs": {"runCommand": ["Write-Output '{{ word }}'"]},
        },
    ],
}
TEXT = json.dumps(CONTENT)


class Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Client:
    """Calls the service as the lab's front does."""

    def __init__(self, world: FakeWorld, service: SsmService) -> None:
        self.world, self.service = world, service

    async def call(self, operation: str, **request: Any) -> dict[str, Any]:
        answer = await self.service("POST", "/", {"x-amz-target": f"AmazonSSM.{operation}"}, json.dumps(request).encode(), {})
        assert answer, f"{operation} fell through"
        status, headers, body = answer
        assert headers["Content-Type"] == "application/x-amz-json-1.1"
        value: dict[str, Any] = json.loads(body)
        if status != 200:
            raise Refused(value["__type"], value["message"])
        return value

    async def shell(self, instances: list[Instance], *lines: str, **request: Any) -> str:
        parameters = {"commands": list(lines)} | request.pop("Parameters", {})
        ids = [instance.instance_id for instance in instances]
        settings = {"MaxErrors": "100%"} | request
        answer = await self.call("SendCommand", InstanceIds=ids, DocumentName="AWS-RunShellScript", Parameters=parameters, **settings)
        return str(answer["Command"]["CommandId"])

    async def ended(self, command_id: str, seconds: float = 15) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            command: dict[str, Any] = (await self.call("ListCommands", CommandId=command_id))["Commands"][0]
            if command["Status"] not in ("Pending", "InProgress", "Cancelling"):
                return command
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

    async def invocations(self, command_id: str, **request: Any) -> list[dict[str, Any]]:
        answer = await self.call("ListCommandInvocations", CommandId=command_id, Details=True, **request)
        rows: list[dict[str, Any]] = answer["CommandInvocations"]
        return rows


def on_ssm(tmp_path: Path, scenario: Callable[[Client], Awaitable[None]], **settings: float) -> None:
    async def main() -> None:
        world = FakeWorld(tmp_path / "state")
        service = SsmService(world, **({"node_delay": 0.0, "settle": 0.0} | settings))
        await service.start()
        try:
            await scenario(Client(world, service))
        finally:
            await service.stop()

    asyncio.run(main())


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code


# ── documents ──


def test_documents_have_versions_and_hashes(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        made = (await ssm.call("CreateDocument", Name="Words", Content=TEXT, DocumentType="Command"))["DocumentDescription"]
        assert made["Hash"] == hashlib.sha256(TEXT.encode()).hexdigest()
        assert (made["HashType"], made["DocumentVersion"], made["PlatformTypes"]) == ("Sha256", "1", ["Windows", "Linux", "MacOS"])
        assert (await ssm.call("GetDocument", Name="Words"))["Content"] == TEXT
        assert await refused(ssm.call("CreateDocument", Name="Words", Content=TEXT)) == "DocumentAlreadyExists"
        assert (
            await refused(ssm.call("UpdateDocument", Name="Words", Content=TEXT, DocumentVersion="$LATEST")) == "DuplicateDocumentContent"
        )
        newer = json.dumps(CONTENT | {"description": "newer"})
        await ssm.call("UpdateDocument", Name="Words", Content=newer, DocumentVersion="$LATEST")
        assert (await ssm.call("DescribeDocument", Name="Words"))["Document"]["DocumentVersion"] == "1"
        await ssm.call("UpdateDocumentDefaultVersion", Name="Words", DocumentVersion="2")
        described = (await ssm.call("DescribeDocument", Name="Words"))["Document"]
        assert (described["DocumentVersion"], described["LatestVersion"], described["Description"]) == ("2", "2", "newer")
        assert await refused(ssm.call("GetDocument", Name="Words", DocumentVersion="9")) == "InvalidDocumentVersion"
        versions = (await ssm.call("ListDocumentVersions", Name="Words"))["DocumentVersions"]
        assert [(row["DocumentVersion"], row["IsDefaultVersion"]) for row in versions] == [("2", True), ("1", False)]
        own = await ssm.call("ListDocuments", Filters=[{"Key": "Owner", "Values": ["Self"]}])
        assert [row["Name"] for row in own["DocumentIdentifiers"]] == ["Words"]
        everything = await ssm.call("ListDocuments", MaxResults=2)
        rest = await ssm.call("ListDocuments", MaxResults=2, NextToken=everything["NextToken"])
        assert len(everything["DocumentIdentifiers"] + rest["DocumentIdentifiers"]) == 3
        assert await refused(ssm.call("ListDocuments", NextToken="garbage")) == "InvalidNextToken"
        ssm.world.current = (ACCOUNT, "us-east-1")
        assert await refused(ssm.call("GetDocument", Name="Words")) == "InvalidDocument"
        ssm.world.current = (ACCOUNT, REGION)
        await ssm.call("DeleteDocument", Name="Words")
        assert await refused(ssm.call("DescribeDocument", Name="Words")) == "InvalidDocument"
        assert await refused(ssm.call("DeleteDocument", Name="AWS-RunShellScript")) == "InvalidDocumentOperation"

    on_ssm(tmp_path, scenario)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "InvalidDocumentContent"),
        ("[]", "InvalidDocumentContent"),
        ("{}", "InvalidDocumentSchemaVersion"),
        ('{"schemaVersion": "9.9"}', "InvalidDocumentSchemaVersion"),
        ('{"schemaVersion": "2.2"}', "InvalidDocumentContent"),
        (TEXT.replace("{{ word }}", "{{ unknown }}"), "InvalidDocumentContent"),
        (TEXT.replace("^[a-z]+$", "[a-z"), "InvalidDocumentContent"),
        (TEXT.replace('"windows"', '"linux"'), "InvalidDocumentContent"),
        (TEXT + " " * 70_000, "MaxDocumentSizeExceeded"),
    ],
)
def test_bad_documents_are_refused(tmp_path: Path, content: str, code: str) -> None:
    async def scenario() -> None:
        ssm = Client(world := FakeWorld(tmp_path), SsmService(world))
        assert await refused(ssm.call("CreateDocument", Name="Bad", Content=content)) == code
        assert await refused(ssm.call("GetDocument", Name="Bad")) == "InvalidDocument"

    asyncio.run(scenario())


def test_cloudformation_stores_objects_and_keeps_versions_of_equal_content(tmp_path: Path) -> None:
    store = SsmService(FakeWorld(tmp_path)).documents
    first = store.put(ACCOUNT, REGION, "Words", CONTENT, "Command", {})
    assert first.hash == hashlib.sha256(json.dumps(CONTENT, separators=(",", ":")).encode()).hexdigest()
    assert store.put(ACCOUNT, REGION, "Words", CONTENT, "Command", {"a": "b"}).version == "1"
    assert store.put(ACCOUNT, REGION, "Words", CONTENT | {"description": "new"}, "Command", {}).version == "2"
    assert store.find(ACCOUNT, REGION, "Words").version == "2"
    with pytest.raises(ValueError, match="InvalidDocumentSchemaVersion"):
        store.put(ACCOUNT, REGION, "Other", {}, "Command", {})


# ── nodes ──


def test_nodes_need_a_running_instance_and_a_way_to_reach_it(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        async def ids() -> list[str]:
            return [row["InstanceId"] for row in (await ssm.call("DescribeInstanceInformation"))["InstanceInformationList"]]

        world = ssm.world
        plain, foreign, good = world.add(1, role=None), world.add(2, role="OtherRole"), world.add(3, image=UBUNTU, tags={"Name": "web"})
        assert await ids() == []  # agents take a while to report
        world.offset += 30
        assert await ids() == [good.instance_id]
        row = (await ssm.call("DescribeInstanceInformation"))["InstanceInformationList"][0]
        assert (row["PingStatus"], row["PlatformType"], row["PlatformName"], row["PlatformVersion"]) == (
            "Online",
            "Linux",
            "Ubuntu",
            "22.04",
        )
        assert (row["ResourceType"], row["Name"], row["IPAddress"]) == ("EC2Instance", "web", good.private_ip)
        world.dhmc = "SsmRole"
        await ids()
        world.offset += 30
        assert await ids() == [plain.instance_id, foreign.instance_id, good.instance_id]
        world.change(good, state="stopped")
        assert await ids() == [plain.instance_id, foreign.instance_id]
        world.dhmc = None
        world.offset += 30
        answer = await ssm.call("DescribeInstanceInformation", Filters=[{"Key": "PingStatus", "Values": ["ConnectionLost"]}])
        assert len(answer["InstanceInformationList"]) == 2

    on_ssm(tmp_path, scenario, node_delay=20.0)


def test_nodes_are_paged_and_filtered(tmp_path: Path) -> None:
    async def scenario() -> None:
        ssm = Client(world := FakeWorld(tmp_path), SsmService(world, node_delay=0.0))
        for number in range(12):
            world.add(number, tags={"group": str(number % 2)})
        first = await ssm.call("DescribeInstanceInformation")
        assert len(first["InstanceInformationList"]) == 10
        second = await ssm.call("DescribeInstanceInformation", NextToken=first["NextToken"])
        assert len(second["InstanceInformationList"]) == 2
        assert "NextToken" not in second
        assert await refused(ssm.call("DescribeInstanceInformation", MaxResults=4)) == "ValidationException"
        assert await refused(ssm.call("DescribeInstanceInformation", MaxResults=51)) == "ValidationException"
        assert await refused(ssm.call("DescribeInstanceInformation", NextToken="x")) == "InvalidNextToken"
        odd = await ssm.call("DescribeInstanceInformation", Filters=[{"Key": "tag:group", "Values": ["1"]}])
        assert len(odd["InstanceInformationList"]) == 6
        one = await ssm.call(
            "DescribeInstanceInformation", InstanceInformationFilterList=[{"key": "InstanceIds", "valueSet": [instance_id(3)]}]
        )
        assert [row["InstanceId"] for row in one["InstanceInformationList"]] == [instance_id(3)]
        assert await refused(ssm.call("DescribeInstanceInformation", Filters=[{"Key": "Colour", "Values": ["red"]}])) == "InvalidFilterKey"

    asyncio.run(scenario())


# ── Run Command ──


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
        machine = ssm.world.add(1)
        command_id = await ssm.shell([machine], "echo early", "sleep 0.6")
        query = {"CommandId": command_id, "InstanceId": machine.instance_id}
        assert await refused(ssm.call("GetCommandInvocation", **query)) == "InvocationDoesNotExist"
        assert await ssm.invocations(command_id) == []
        await asyncio.sleep(0.35)
        running = await ssm.call("GetCommandInvocation", **query)
        assert (running["Status"], running["StandardOutputContent"], running["ResponseCode"]) == ("InProgress", "", -1)
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
        await asyncio.sleep(0.4)
        await ssm.service.admin("POST", f"/_lab/machines/{machine.instance_id}/vanish", b"")
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
        await asyncio.sleep(0.5)
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


def test_what_send_command_refuses(tmp_path: Path) -> None:
    async def scenario() -> None:
        ssm = Client(world := FakeWorld(tmp_path), SsmService(world, node_delay=0.0))
        good, windows, bare = world.add(1), world.add(2, image=WINDOWS), world.add(3, role=None)
        await ssm.call("CreateDocument", Name="Words", Content=TEXT)
        await ssm.call("CreateDocument", Name="Session", Content=TEXT, DocumentType="Session")

        async def code(**changes: Any) -> str:
            request = {"InstanceIds": [good.instance_id], "DocumentName": "Words", "Parameters": {"word": ["a"]}} | changes
            return await refused(ssm.call("SendCommand", **request))

        assert await code(InstanceIds=[good.instance_id, bare.instance_id]) == "InvalidInstanceId"
        assert await code(InstanceIds=[instance_id(99)]) == "InvalidInstanceId"
        assert await code(InstanceIds=[good.instance_id] * 2) == "DuplicateInstanceId"
        assert await code(InstanceIds=[instance_id(number) for number in range(51)]) == "ValidationException"
        assert await code(InstanceIds=["nonsense"]) == "ValidationException"
        assert await code(InstanceIds=[]) == "InvalidParameters"
        assert await code(DocumentName="Nothing") == "InvalidDocument"
        assert await code(DocumentName="Session") == "InvalidDocument"
        assert await code(DocumentVersion="5") == "InvalidDocumentVersion"
        assert await code(DocumentHash="0" * 64) == "InvalidDocument"
        assert await code(DocumentHash="0" * 40, DocumentHashType="Sha1") == "ValidationException"
        commands = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}
        assert await code(InstanceIds=[windows.instance_id], **commands) == "UnsupportedPlatformType"
        wrong: list[Mapping[str, Any]] = [
            {},
            {"word": ["UPPER"]},
            {"word": ["a b"]},
            {"word": ["a", "b"]},
            {"word": "a"},
            {"word": ["a"], "extra": ["x"]},
            {"word": ["a"], "mode": ["screaming"]},
            {"word": ["a"], "length": ["12345"]},
        ]
        for parameters in wrong:
            assert await code(Parameters=parameters) == "InvalidParameters", parameters
        for change in (
            {"Comment": "x" * 101},
            {"TimeoutSeconds": 29},
            {"TimeoutSeconds": 2_592_001},
            {"MaxConcurrency": "0"},
            {"MaxErrors": "x"},
        ):
            assert await code(**change) == "ValidationException", change
        with pytest.raises(Refused, match=rf"Instances \[\[{bare.instance_id}\]\] not in a valid state for account {ACCOUNT}"):
            await ssm.call("SendCommand", InstanceIds=[bare.instance_id], DocumentName="Words", Parameters={"word": ["a"]})
        assert (await ssm.call("ListCommands"))["Commands"] == []

    asyncio.run(scenario())


def test_every_resource_of_a_command_is_authorised(tmp_path: Path) -> None:
    async def scenario() -> None:
        ssm = Client(world := FakeWorld(tmp_path), SsmService(world, node_delay=0.0))
        machine = world.add(1, tags={"team": "a"})
        arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{machine.instance_id}"
        document = f"arn:aws:ssm:{REGION}::document/AWS-RunShellScript"
        for resource in (arn, document):
            world.denied = {("ssm:SendCommand", resource): "not authorized"}
            assert await refused(ssm.shell([machine], "true")) == "AccessDeniedException"
        assert ("ssm:SendCommand", arn) in [(action, resource) for action, resource, _ in world.judged]
        assert next(keys for _, resource, keys in world.judged if resource == arn)["ssm:resourcetag/team"] == "a"
        for operation in ("ListCommands", "ListCommandInvocations", "DescribeInstanceInformation", "ListDocuments"):
            world.denied = {(f"ssm:{operation}", "*"): "not authorized"}
            assert await refused(ssm.call(operation)) == "AccessDeniedException"
        own = f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/Words"
        world.denied = {("ssm:CreateDocument", own): "not authorized"}
        assert await refused(ssm.call("CreateDocument", Name="Words", Content=TEXT)) == "AccessDeniedException"

    asyncio.run(scenario())


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


def test_falls_through_and_malformed_requests(tmp_path: Path) -> None:
    async def scenario() -> None:
        service = SsmService(world := FakeWorld(tmp_path))
        assert await service("POST", "/", {"x-amz-target": "AmazonSSM.GetServiceSetting"}, b"{}", {}) is None
        assert await service("POST", "/", {}, b"", {}) is None
        assert "SendCommand" in service.operations
        for body in (b"{", b"[]"):
            answer = await service("POST", "/", {"x-amz-target": "AmazonSSM.ListCommands"}, body, {})
            assert answer
            assert answer[0] == 400
        assert await refused(Client(world, service).call("SendCommand", DocumentName=None)) != ""
        assert await refused(Client(world, service).call("ListCommands", Filters=["x"])) == "SerializationException"

    asyncio.run(scenario())


def test_reset_forgets_everything(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        machine = ssm.world.add(1)
        command_id = await ssm.shell([machine], "sleep 1000")
        await ssm.call("CreateDocument", Name="Words", Content=TEXT)
        await asyncio.sleep(0.3)
        ssm.world.rows.clear()
        await ssm.service.reset()
        assert (await ssm.call("ListCommands", CommandId=command_id))["Commands"] == []
        assert await refused(ssm.call("GetDocument", Name="Words")) == "InvalidDocument"
        assert not (ssm.world.state_dir / "machines" / machine.instance_id).exists()

    on_ssm(tmp_path, scenario)
