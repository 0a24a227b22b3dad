"""Managed nodes: the instances on which an SSM agent runs, as DescribeInstanceInformation shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus_lab.machines.platforms import Platform, platform_of
from isthmus_lab.machines.supervisor import Machines
from isthmus_lab.ssm.access import Access
from isthmus_lab.ssm.errors import SsmError
from isthmus_lab.ssm.paging import page
from isthmus_lab.world import Instance, World

AGENT_VERSION = "3.3.2299.0"
PING = 300.0
"""Seconds between health pings of an SSM agent."""


@dataclass(kw_only=True, slots=True)
class Node:
    """A registered instance. Times are epoch seconds; `seen_at` is when the agent could first register, `lost_at` its last sign of life."""

    instance: Instance
    seen_at: float
    lost_at: float = 0.0
    stopped: bool = False

    @property
    def platform(self) -> Platform:
        """What runs on it."""
        return platform_of(self.instance.image_id, self.instance.platform)


class Nodes:
    """The registry. `delay`: seconds from the moment an instance becomes manageable until SSM shows it."""

    def __init__(self, world: World, machines: Machines, access: Access, *, delay: float) -> None:
        self._world, self._machines, self._access = world, machines, access
        self._delay = delay
        self._nodes: dict[str, Node] = {}

    def reset(self) -> None:
        """Forget all nodes."""
        self._nodes.clear()

    def registered(self, account: str, region: str) -> dict[str, Node]:
        """Nodes of an account and region by instance id, brought up to date; stopped and terminated instances are absent."""
        now = self._world.clock()
        found: dict[str, Node] = {}
        for instance in self._world.instances(account, region):
            node = self._nodes.get(instance.instance_id)
            if instance.state != "running":
                if node:
                    node.stopped, node.instance = True, instance
                continue
            manageable = self._machines.manageable(instance)
            if node is None and not manageable:
                continue
            machine = self._machines.machine(instance.instance_id)
            if node is None:
                began = machine.booted_at if machine else now
                node = self._nodes[instance.instance_id] = Node(instance=instance, seen_at=began)
            if node.stopped:  # it boots again, and its agent reports again
                node.seen_at, node.stopped = now, False
            node.instance = instance
            alive = manageable and not (machine and machine.vanished)
            node.lost_at = 0.0 if alive else (node.lost_at or now)
            if now >= node.seen_at + self._delay:
                found[instance.instance_id] = node
        return found

    def commandable(self, account: str, region: str) -> dict[str, Node]:
        """Nodes that SendCommand accepts, by instance id: registered ones and those stopped since they registered."""
        found = self.registered(account, region)
        stopped = {key: node for key, node in self._nodes.items() if node.stopped and _lies_in(node.instance, account, region)}
        return {key: node for key, node in stopped.items() if self._world.instance(account, region, key) is not None} | found

    def online(self, instance: Instance) -> bool:
        """Whether a command would reach the instance now."""
        node = self.registered(instance.account, instance.region).get(instance.instance_id)
        return node is not None and not node.lost_at

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeInstanceInformation."""
        self._access.anything("ssm:DescribeInstanceInformation")
        rows = [node for node in self.registered(*self._access.place()).values() if _matches(node, request)]
        found, more = page(rows, request, least=5, most=50, default=10)
        return {"InstanceInformationList": [self._row(node) for node in found], **more}

    def _row(self, node: Node) -> dict[str, Any]:
        instance, platform, now = node.instance, node.platform, self._world.clock()
        ping = node.lost_at or now - (now - node.seen_at) % PING
        row = {
            "InstanceId": instance.instance_id,
            "PingStatus": "ConnectionLost" if node.lost_at else "Online",
            "LastPingDateTime": ping,
            "AgentVersion": AGENT_VERSION,
            "IsLatestVersion": True,
            "PlatformType": platform.type,
            "PlatformName": platform.name,
            "PlatformVersion": platform.version,
            "ResourceType": "EC2Instance",
            "IPAddress": instance.private_ip,
            "ComputerName": f"ip-{instance.private_ip.replace('.', '-')}.{instance.region}.compute.internal",
            "SourceId": instance.instance_id,
            "SourceType": "AWS::EC2::Instance",
        }
        return row | ({"Name": instance.tags["Name"]} if instance.tags.get("Name") else {})


def _lies_in(instance: Instance, account: str, region: str) -> bool:
    return (instance.account, instance.region) == (account, region)


def _matches(node: Node, request: Mapping[str, Any]) -> bool:
    if request.get("Filters") and request.get("InstanceInformationFilterList"):
        raise SsmError("ValidationException", "Filters and InstanceInformationFilterList cannot be used together.")
    filters = [(str(row["Key"]), row["Values"]) for row in request.get("Filters") or []]
    filters += [(str(row["key"]), row["valueSet"]) for row in request.get("InstanceInformationFilterList") or []]
    instance = node.instance
    known = {
        "InstanceIds": instance.instance_id,
        "PingStatus": "ConnectionLost" if node.lost_at else "Online",
        "PlatformTypes": node.platform.type,
        "AgentVersion": AGENT_VERSION,
        "ResourceType": "EC2Instance",
        "IamRole": "",
        "ActivationIds": "",
        "AssociationStatus": "",
        "SourceIds": instance.instance_id,
        "SourceTypes": "AWS::EC2::Instance",
    }
    for key, values in filters:
        if key.startswith("tag:"):
            actual = instance.tags.get(key[4:])
        elif key == "tag-key":
            if not set(values) & set(instance.tags):
                return False
            continue
        elif key in known:
            actual = known[key]
        else:
            raise SsmError("InvalidFilterKey", f"The filter key {key} is not valid.")
        if actual not in values:
            return False
    return True
