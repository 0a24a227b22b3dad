"""`azcmagent show`: what this machine is connected to, in the official agent's order and names."""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Sequence

from isthmus_agent import VERSION
from isthmus_agent.exits import AgentError, Exit
from isthmus_agent.facts import cloud_metadata
from isthmus_agent.service import last_status
from isthmus_agent.store import Connection, Store

SILENCE = 900.0
"""Seconds without a heartbeat after which the agent calls itself disconnected."""
WIDTH = 40


def rows(store: Store, now: float) -> list[tuple[str, str, str]]:
    """(display name, JSON key, value) of every property this agent knows; values are empty while not connected."""
    connection = store.connection()
    status = last_status(store) if connection else {}
    cloud = cloud_metadata(store.paths.root)

    def of(name: str) -> str:
        return str(getattr(connection, name)) if connection else ""

    return [
        ("Resource Name", "resourceName", of("resource_name")),
        ("Resource Group Name", "resourceGroup", of("resource_group")),
        ("Resource Namespace", "resourceNamespace", "Microsoft.HybridCompute" if connection else ""),
        ("Resource Id", "resourceId", of("resource_id")),
        ("Subscription ID", "subscriptionId", of("subscription_id")),
        ("Tenant ID", "tenantId", of("tenant_id")),
        ("VM ID", "vmId", of("vm_id")),
        ("Correlation ID", "correlationId", of("correlation_id")),
        ("Location", "location", of("location")),
        ("Cloud", "cloud", of("cloud")),
        ("Identity Key Store", "identityKeyStore", "Default" if connection else ""),
        ("Agent Version", "agentVersion", VERSION),
        ("Agent Logfile", "logFilePath", str(store.paths.log / "himds.log")),
        ("Agent Status", "status", _status(connection, status, now)),
        ("Agent Last Heartbeat", "lastHeartbeat", status.get("lastHeartbeat", "")),
        ("Agent Error Details", "errorDetails", status.get("errorDetails", "")),
        ("Agent Error Timestamp", "errorTimestamp", status.get("errorTimestamp", "")),
        ("Using HTTPS Proxy", "httpsProxy", ""),
        ("Cloud Provider", "cloudProvider", cloud["provider"]),
        ("Manufacturer", "manufacturer", cloud["manufacturer"]),
        ("Model", "model", cloud["model"]),
    ]


def show(store: Store, now: float, wanted: Sequence[str], *, as_json: bool) -> str:
    """The text of `show`; AgentError 23 on an unknown property. Properties go by display name or JSON key, any case."""
    known = rows(store, now)
    if wanted:
        keys = {name.casefold(): key for name, key, _ in known} | {key.casefold(): key for _, key, _ in known}
        unknown = [name for name in wanted if name.casefold() not in keys]
        if unknown:
            raise AgentError(Exit.BAD_ARGUMENT, f"Unknown property {unknown[0]!r}; show without arguments lists them.")
        chosen = {keys[name.casefold()] for name in wanted}
        known = [row for row in known if row[1] in chosen]
    if as_json:
        return json.dumps({key: value for _, key, value in known}, indent=2)
    return "\n".join(f"{name:<{WIDTH}}: {value}".rstrip() for name, _, value in known)


def _status(connection: Connection | None, status: dict[str, str], now: float) -> str:
    if connection is None:
        return "Disconnected"
    if _epoch(connection.registration_expires_at) < now:
        return "Expired"
    return "Connected" if now - _epoch(status.get("lastHeartbeat", "")) <= SILENCE else "Disconnected"


def _epoch(text: str) -> float:
    try:
        return float(calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return 0.0
