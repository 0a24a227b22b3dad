"""Microsoft.Authorization: role assignments at any scope, the three role definitions, and the list of operations per provider."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError, conflict, invalid
from isthmus.arm.ids import ResourceId, stored
from isthmus.arm.types import Ask, Registry, ResourceType, Scope
from isthmus.engine import Lookup, Removal
from isthmus.engine.rows import from_row
from isthmus.identity.clients import is_client
from isthmus.identity.names import names_of
from isthmus.identity.roles import OWNER, ROLES, covers, definition, role_named
from isthmus.providers.bodies import Body, read
from isthmus.providers.operations import operations
from isthmus.store import dialect
from isthmus.store.tables import resources

ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
_EVERYWHERE = frozenset({Scope.TENANT, Scope.SUBSCRIPTION, Scope.GROUP, Scope.EXTENSION})
_GUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_FILTER = re.compile(r"^\s*(?:(atScope)\(\)|principalId\s+eq\s+'([^']*)'|assignedTo\('([^']*)'\))\s*$", re.IGNORECASE)


class AssignmentProperties(Body):
    """`properties` of a role assignment."""

    roleDefinitionId: str
    principalId: str
    principalType: str | None = None
    description: str | None = None


class Assignment(Body):
    """A role assignment as it is put."""

    properties: AssignmentProperties


def rows(lookup: Lookup, table: Callable[[], Registry]) -> tuple[ResourceType, ...]:
    """The rows of this namespace."""
    return (
        ResourceType(
            name=ASSIGNMENTS,
            scopes=_EVERYWHERE,
            lists=_EVERYWHERE,
            name_pattern=_GUID,
            capabilities="SupportsExtension",
            put=lambda old, ask: put_assignment(lookup, old, ask),
            delete=lambda old, ask: Change(deletes=(ask.id,)),
            shows_deleted=True,
            enumerate=lambda ask: _assignments(lookup, ask),
        ),
        ResourceType(
            name="Microsoft.Authorization/roleDefinitions",
            scopes=_EVERYWHERE,
            lists=_EVERYWHERE,
            enumerate=_definitions,
            is_open=True,
            read=lambda ask: definition(ROLES[ask.id.name.lower()]) if ask.id.name.lower() in ROLES else None,
        ),
        ResourceType(
            name="Microsoft.Authorization/providerOperations",
            scopes=frozenset({Scope.TENANT}),
            is_open=True,
            enumerate=lambda ask: (_operations(table(), namespace) for namespace in sorted(table().namespaces.values(), key=str.lower)),
            read=lambda ask: _operations(table(), ask.id.name) if table().in_namespace(ask.id.name) else None,
        ),
    )


def put_assignment(lookup: Lookup, old: Resource | None, ask: Ask) -> Change:
    """Create an assignment; an existing one never changes. Whom nobody calls a kind is an application that is known here, or a person."""
    asked = read(Assignment, ask.body).properties
    role = role_named(asked.roleDefinitionId)
    if role is None:
        names = ", ".join(f"{known.name} ({known.id})" for known in ROLES.values())
        raise invalid(f"There is no role '{asked.roleDefinitionId[:100]}'. Known are: {names}.", target="properties.roleDefinitionId")
    try:
        principal = str(UUID(asked.principalId))
    except ValueError as error:
        raise invalid("principalId must be the object id (a UUID) of a principal.", target="properties.principalId") from error
    scope = assignment_scope(ask.id)
    made = Resource(
        id=old.id if old else ask.id,
        properties={
            "roleDefinitionId": definition(role)["id"],
            "principalId": principal,
            "principalType": asked.principalType or (old.properties["principalType"] if old else _kind(lookup, principal)),
            "scope": scope,
            **({"description": asked.description} if asked.description else {}),
        },
        unique=f"assignment:{principal}:{role.id}:{scope.lower()}",
        source=f"principal:{principal}",
    )
    if old is not None and dict(old.properties) != dict(made.properties):
        raise conflict(
            "A role assignment cannot be changed. Delete it and create another.",
            target=str(ask.id),
            code="RoleAssignmentUpdateNotPermitted",
        )
    return Change(puts=(made,))


def _kind(lookup: Lookup, principal: str) -> str:
    with lookup.store.read() as connection:
        return "ServicePrincipal" if is_client(connection, principal) else "User"


def assignment_scope(id: ResourceId) -> str:
    """The scope that an assignment's id gives its role at; `/` for the tenant."""
    return str(id.scope) if id.scope is not None else "/"


def assignments_of(connection: Connection, principal: str) -> list[ResourceId]:
    """Ids of every role assignment of a principal."""
    wanted = (resources.c.type == ASSIGNMENTS.lower(), resources.c.source == f"principal:{principal.lower()}")
    return [stored(id) for id in connection.execute(select(resources.c.id).where(*wanted)).scalars()]


def _keep_an_owner(connection: Connection, keys: Sequence[str]) -> None:
    """ArmError 409 `LastOwner` when nobody would be left who may give roles in the whole tenant: only a new installation could mend that.

    Those who take roles away at the same time take turns, so that two owners cannot remove each other.
    """
    if not any(key.startswith(f"/providers/{ASSIGNMENTS.lower()}/") for key in keys):
        return
    dialect.lock_name(connection, "owners:/")
    query = select(resources).where(resources.c.type == ASSIGNMENTS.lower(), resources.c.subscription == "")
    found = [from_row(row) for row in connection.execute(query)]
    owners = {one.id.key for one in found if one.properties["scope"] == "/" and role_named(one.properties["roleDefinitionId"]) == OWNER}
    if owners and owners <= set(keys):
        raise conflict(
            "This is the last Owner of the tenant ('/'). Without one nobody could give roles here any more. "
            "Make somebody else Owner of '/' first.",
            code="LastOwner",
        )


REMOVALS: Mapping[str, Removal] = MappingProxyType({ASSIGNMENTS.lower(): _keep_an_owner})
"""What is asked before a role assignment ends."""


def _assignments(lookup: Lookup, ask: Ask) -> Iterable[Mapping[str, Any]]:
    """Assignments that touch the scope: at it, above it, and (without `atScope()`) below it."""
    scope = assignment_scope(ask.id)
    at_scope, principal = _filter(ask.query.get("$filter", ""))
    found = []
    for resource in lookup.all(types=[ASSIGNMENTS]):
        properties = resource.properties
        above, below = covers(properties["scope"], scope), covers(scope, properties["scope"])
        if (above or (below and not at_scope)) and principal in ("", properties["principalId"]):
            found.append(resource.body(type_name=ASSIGNMENTS, tracked=False))
    if ask.permits("Isthmus.Identity/people/read", "/"):
        with lookup.store.read() as connection:
            names = names_of(connection, {body["properties"]["principalId"] for body in found})
        for body in found:
            body["properties"] = {**body["properties"], "principalName": names.get(body["properties"]["principalId"])}
    return sorted(found, key=lambda body: str(body["id"]).lower())


def _filter(given: str) -> tuple[bool, str]:
    at_scope, principal = False, ""
    for clause in re.split(r"\s+and\s+", given, flags=re.IGNORECASE) if given.strip() else []:
        match = _FILTER.match(clause)
        if match is None:
            raise invalid(
                f"The $filter '{given[:100]}' is not understood. Use atScope() or principalId eq '…'.",
                target="$filter",
                code="InvalidFilter",
            )
        at_scope = at_scope or bool(match.group(1))
        principal = (match.group(2) or match.group(3) or principal).lower()
    return at_scope, principal


def _definitions(ask: Ask) -> Iterable[Mapping[str, Any]]:
    asked = re.match(r"^\s*roleName\s+eq\s+'([^']*)'\s*$", ask.query.get("$filter", ""), re.IGNORECASE)
    roles = sorted(ROLES.values(), key=lambda role: role.id)
    return (definition(role) for role in roles if asked is None or role.name.lower() == asked.group(1).lower())


def _operations(table: Registry, namespace: str) -> Mapping[str, Any]:
    rows_here = table.in_namespace(namespace)
    if not rows_here:
        raise ArmError("InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.", status=404)
    name = rows_here[0].namespace
    return {
        "id": f"/providers/Microsoft.Authorization/providerOperations/{name}",
        "name": name,
        "type": "Microsoft.Authorization/providerOperations",
        "displayName": name,
        "operations": list(operations(rows_here)),
        "resourceTypes": [],
    }
