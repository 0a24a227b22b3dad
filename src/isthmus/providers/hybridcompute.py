"""Microsoft.HybridCompute: machines. Agents join them; users create, tag and delete them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource, location_of, tags_of
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.types import Ask, ResourceType, Scope
from isthmus.machines.publickey import parse_public_key
from isthmus.providers.connectors import immutable
from isthmus.providers.locations import CONNECTOR_LOCATIONS

MACHINES = "Microsoft.HybridCompute/machines"
VERSIONS = ("2026-07-15", "2025-02-19-preview", "2025-01-13", "2024-07-10")
WITH_AWAITING = "2026-07-15"
_KINDS = {kind.lower(): kind for kind in ("AVS", "HCI", "SCVMM", "VMware", "EPS", "GCP", "AWS")}
_WRITABLE = (
    "locationData",
    "serviceStatuses",
    "agentUpgrade",
    "osProfile",
    "licenseProfile",
    "identityKeyStore",
    "tpmEkCertificate",
    "osType",
    "osName",
    "privateLinkScopeResourceId",
    "parentClusterResourceId",
    "hardwareResourceId",
    "mssqlDiscovered",
)
_PATCHABLE = (
    "locationData",
    "osProfile",
    "agentUpgrade",
    "licenseProfile",
    "identityKeyStore",
    "privateLinkScopeResourceId",
    "parentClusterResourceId",
)


def rows(tenant: str) -> tuple[ResourceType, ...]:
    """The rows of this namespace."""
    return (
        ResourceType(
            name=MACHINES,
            scopes=frozenset({Scope.GROUP}),
            lists=frozenset({Scope.GROUP, Scope.SUBSCRIPTION}),
            versions=VERSIONS,
            name_pattern=re.compile(r"^[a-zA-Z0-9-_.]{1,54}$"),
            name_told="It has 1 to 54 letters, digits, hyphens, underscores and periods.",
            tracked=True,
            capabilities="SupportsTags, SupportsLocation, SystemAssignedResourceIdentity",
            locations=CONNECTOR_LOCATIONS,
            put=putting(tenant),
            patch=patch_machine,
            delete=lambda old, ask: Change(deletes=(ask.id,)),
            removal=204,
            created=200,
            show=show_machine,
        ),
    )


def putting(tenant: str) -> Callable[[Resource | None, Ask], Change]:
    """PUT of a machine. `vmId` and `clientPublicKey` are settable once; read-only properties of the body are ignored."""

    def put(old: Resource | None, ask: Ask) -> Change:
        asked = ask.body.get("properties") or {}
        if not isinstance(asked, dict):
            raise invalid("properties must be an object.", target="properties")
        location = location_of(ask.body.get("location"))
        if old is not None and old.location != location:
            raise immutable("location", old.location, location)
        stored = dict(old.properties) if old else {}
        properties = {**stored, **{name: asked[name] for name in _WRITABLE if name in asked}, "provisioningState": "Succeeded"}
        if "osName" in asked and "osType" not in properties:
            properties["osType"] = asked["osName"]
        for name, check in (("vmId", _guid), ("clientPublicKey", _key)):
            if asked.get(name) is None:
                continue
            given = check(asked[name])
            if stored.get(name) not in (None, "", given):
                raise immutable(f"properties.{name}", stored[name], given)
            properties[name] = given
        if properties.get("clientPublicKey") and not properties.get("status"):
            properties["status"] = "AwaitingConnection"
        made = Resource(
            id=old.id if old else ask.id,
            location=location,
            tags=tags_of(ask.body.get("tags")) if "tags" in ask.body or old is None else old.tags,
            properties=properties,
            extra=_identity(old, ask, tenant) | _kind(old, ask),
            source=old.source if old else None,
            digest=old.digest if old else None,
        )
        return Change(puts=(made,))

    return put


def patch_machine(old: Resource | None, ask: Ask) -> Change:
    """Tags, location data and the few settable properties."""
    assert old is not None
    asked = ask.body.get("properties") or {}
    if not isinstance(asked, dict):
        raise invalid("properties must be an object.", target="properties")
    for name in ("vmId", "clientPublicKey"):
        if name in asked and asked[name] != old.properties.get(name):
            raise immutable(f"properties.{name}", old.properties.get(name), asked[name])
    tags = tags_of(ask.body["tags"]) if "tags" in ask.body else old.tags
    properties = {**old.properties, **{name: asked[name] for name in _PATCHABLE if name in asked}}
    return Change(puts=(replace(old, tags=tags, properties=properties),))


def show_machine(resource: Resource, version: str) -> Mapping[str, Any]:
    """AwaitingConnection is a status from 2026-07-15 on; before, such a machine has none."""
    body = resource.body(type_name=MACHINES, tracked=True)
    if version < WITH_AWAITING and body["properties"].get("status") == "AwaitingConnection":
        del body["properties"]["status"]
    return body


def _identity(old: Resource | None, ask: Ask, tenant: str) -> dict[str, Any]:
    stored = old.extra.get("identity") if old else None
    given = ask.body.get("identity")
    if given is None:
        return {"identity": stored} if stored else {}
    kind = given.get("type") if isinstance(given, dict) else None
    if kind not in ("None", "SystemAssigned"):
        raise invalid("identity.type must be SystemAssigned or None.", target="identity.type", code="InvalidIdentityType")
    if kind == "None":
        return {}
    return {"identity": stored or {"type": "SystemAssigned", "principalId": ask.new_guid(), "tenantId": tenant}}


def _kind(old: Resource | None, ask: Ask) -> dict[str, Any]:
    given = ask.body.get("kind", old.extra.get("kind") if old else None)
    if given is None:
        return {}
    if not isinstance(given, str) or given.lower() not in _KINDS:
        raise invalid(f"kind must be one of {', '.join(_KINDS.values())}.", target="kind")
    return {"kind": _KINDS[given.lower()]}


def _guid(value: object) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError as error:
        raise invalid("vmId must be a UUID.", target="properties.vmId") from error


def _key(value: object) -> str:
    try:
        return parse_public_key(str(value)).base64
    except (ValueError, ArmError) as error:
        raise invalid(f"clientPublicKey: {error}", target="properties.clientPublicKey", code="InvalidPublicKey") from error
