"""A small client of the SSM service for its tests, and a document to run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus_lab.ssm.service import SsmService
from isthmus_lab.world import Instance
from tests.lab.machines.fake_world import FakeWorld
from tests.support.waiting import soon

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
        async def end() -> dict[str, Any] | None:
            command: dict[str, Any] = (await self.call("ListCommands", CommandId=command_id))["Commands"][0]
            return None if command["Status"] in ("Pending", "InProgress", "Cancelling") else command

        ended: dict[str, Any] = await soon(end, seconds, what=f"{command_id} has ended")
        return ended

    async def reach(self, command_id: str, statuses: dict[str, str]) -> None:
        """Return when the invocations have these statuses, by instance, and a script runs on the machine of each that is in progress."""

        async def there() -> bool:
            found = {row["InstanceId"]: row["Status"] for row in await self.invocations(command_id)}
            return found == statuses and all(self.runs(one) for one, status in found.items() if status == "InProgress")

        await soon(there, 15, what=f"{statuses} of {command_id}")

    def runs(self, instance_id: str) -> bool:
        """Whether a script runs on the machine."""
        machine = self.service.machines.machine(instance_id)
        return machine is not None and bool(machine.scripts)

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
