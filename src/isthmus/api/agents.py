"""The machine API under /agent/v1: challenge and enrolment prove a key, the rest carries a machine's token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isthmus.api.access import Access
from isthmus.api.wire import Incoming, Reply
from isthmus.identity.principal import Principal
from isthmus.machines import Machines


class Agents:
    """Handlers of the machine API."""

    def __init__(self, machines: Machines, access: Access) -> None:
        self._machines = machines
        self._access = access

    def challenge(self, incoming: Incoming) -> Reply:
        """A nonce for a registered machine."""
        return Reply(body=self._machines.challenge(incoming.object()))

    def enrol(self, incoming: Incoming) -> Reply:
        """Prove the registered key."""
        return Reply(body=self._machines.enrol(incoming.object()))

    def heartbeat(self, incoming: Incoming) -> Reply:
        """The machine is alive; facts may come along."""
        return self._as_machine(incoming, self._machines.heartbeat)

    def renew(self, incoming: Incoming) -> Reply:
        """Register the next key."""
        return self._as_machine(incoming, self._machines.renew)

    def disconnect(self, incoming: Incoming) -> Reply:
        """The machine leaves."""
        return self._as_machine(incoming, self._machines.disconnect)

    def _as_machine(self, incoming: Incoming, act: Callable[[Principal, dict[str, Any]], Mapping[str, Any]]) -> Reply:
        principal = self._access.machine(incoming.headers.get("authorization"))
        return Reply(body=act(principal, incoming.object()))
