"""Managed nodes: who is listed, how lists are paged and filtered."""

from __future__ import annotations

import asyncio
from pathlib import Path

from isthmus_lab.ssm.service import SsmService
from tests.lab.machines.fake_world import UBUNTU, FakeWorld, instance_id
from tests.lab.ssm.client import Client, on_ssm, refused


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
