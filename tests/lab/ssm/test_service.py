"""The service as a whole: falling through, malformed requests, reset."""

from __future__ import annotations

import asyncio
from pathlib import Path

from isthmus_lab.ssm.service import SsmService
from tests.lab.machines.fake_world import FakeWorld
from tests.lab.ssm.client import TEXT, Client, on_ssm, refused


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
