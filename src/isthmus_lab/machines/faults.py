"""Faults for failure tests, injected over the loopback admin path. The agent itself is never changed."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from isthmus_lab.machines import roots
from isthmus_lab.machines.machine import Machine
from isthmus_lab.machines.nursery import Nursery

ELSEWHERE = (
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/elsewhere/providers/Microsoft.HybridCompute/machines/elsewhere"
)
"""The machine resource, of nobody we know, that `connect-elsewhere` connects a machine to."""


Fault = Callable[[Nursery, Machine, Mapping[str, Any]], Awaitable[None]]


async def _stop_agent(_nursery: Nursery, machine: Machine, _settings: Mapping[str, Any]) -> None:
    machine.agent_stopped = True
    await machine.stop_service()


async def _start_agent(nursery: Nursery, machine: Machine, _settings: Mapping[str, Any]) -> None:
    machine.agent_stopped = machine.vanished = False
    await machine.start_service(nursery)


async def _vanish(_nursery: Nursery, machine: Machine, _settings: Mapping[str, Any]) -> None:
    machine.vanished = True
    await machine.halt()


async def _connect_elsewhere(nursery: Nursery, machine: Machine, _settings: Mapping[str, Any]) -> None:
    """Connected to a control plane that does not answer, with a key of its own, as a migrated machine would be."""
    child = await nursery.agent(["genkey"], machine.environ, folder=machine.root)
    await child.wait()
    state = machine.root / "var/opt/azcmagent"
    os.replace(state / "certs/genPrivateKey.pem", state / "certs/identity-elsewhere.pem")
    config = {
        "subscriptionId": ELSEWHERE.split("/")[2],
        "resourceGroup": "elsewhere",
        "resourceName": "elsewhere",
        "resourceId": ELSEWHERE,
        "tenantId": "22222222-2222-4222-8222-222222222222",
        "location": "eastus",
        "vmId": "33333333-3333-4333-8333-333333333333",
        "cloud": "AzureCloud",
        "correlationId": "",
        "endpoint": "https://127.0.0.1:9",
        "ca": "",
        "clientId": "44444444-4444-4444-8444-444444444444",
        "principalId": "55555555-5555-4555-8555-555555555555",
        "tokenEndpoint": "https://127.0.0.1:9/token",
        "heartbeatSeconds": 300,
        "registrationExpiresAt": "2099-01-01T00:00:00Z",
        "generation": "1",
        "identityKey": "identity-elsewhere.pem",
        "nextKey": "",
    }
    (state / "agentconfig.json").write_text(json.dumps(config), encoding="utf-8")


async def _break_key_output(nursery: Nursery, machine: Machine, settings: Mapping[str, Any]) -> None:
    machine.mode = "noisy" if settings.get("on", True) else "normal"
    roots.install(machine.root, nursery.folder, mode=machine.mode)


async def _slow(nursery: Nursery, machine: Machine, settings: Mapping[str, Any]) -> None:
    machine.mode = "slow" if settings.get("on", True) else "normal"
    machine.limit = float(settings.get("limit", 0)) if machine.mode == "slow" else 0.0
    roots.install(machine.root, nursery.folder, mode=machine.mode, seconds=float(settings.get("seconds", 3600)))


FAULTS: Mapping[str, Fault] = {
    "stop-agent": _stop_agent,
    "start-agent": _start_agent,
    "vanish": _vanish,
    "connect-elsewhere": _connect_elsewhere,
    "break-key-output": _break_key_output,
    "slow": _slow,
}
"""What `POST /_lab/machines/<id>/<fault>` offers; `break-key-output` and `slow` take `{"on": false}` to end the fault;
`slow` takes `seconds`, and `limit`: the seconds after which the SSM agent gives a script up, whatever its document says."""
