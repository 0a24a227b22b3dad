"""Whether Systems Manager can reach an instance: its own role allows it, or default host management does."""

from __future__ import annotations

from isthmus_lab.world import Instance, World

ACTION = "ssm:UpdateInstanceInformation"
"""The first call of the SSM agent; a profile that may not make it is as good as none."""
KEEP = 1.0
"""Seconds for which a judgement about a role is kept."""


class Manageability:
    """Judges instances, asking about each role at most once a second."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._roles: dict[tuple[str, str, str], tuple[float, bool]] = {}

    def of(self, instance: Instance) -> bool:
        """Whether an SSM agent on the running instance could register."""
        if instance.state != "running":
            return False
        if instance.role_name and self._allows(instance, instance.role_name):
            return True
        default = self._world.default_host_management(instance.account, instance.region)
        return bool(default) and self._allows(instance, str(default).rsplit("/", 1)[-1])

    def _allows(self, instance: Instance, role: str) -> bool:
        key, now = (instance.account, instance.region, role), self._world.clock()
        known = self._roles.get(key)
        if known is None or not 0 <= now - known[0] < KEEP:
            known = (now, self._world.role_allows(instance.account, role, ACTION, instance.region))
            self._roles[key] = known
        return known[1]
