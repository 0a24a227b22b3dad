"""What SendCommand refuses, and what it asks permission for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from isthmus_lab.ssm.service import SsmService
from tests.lab.machines.fake_world import ACCOUNT, REGION, WINDOWS, FakeWorld, instance_id
from tests.lab.ssm.client import TEXT, Client, Refused, refused


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
