"""What somebody may do here by role assignments, read where it is decided upon: also about others than who asks."""

from __future__ import annotations

from typing import Final

import orjson
from sqlalchemy import Connection, bindparam, select

from isthmus.identity.roles import OWNER, RoleAssignment, allows, role_named
from isthmus.store.tables import resources

ROLE_ASSIGNMENTS: Final = "microsoft.authorization/roleassignments"
OWNING: Final = "Microsoft.Authorization/roleAssignments/write"
"""The action of owners: giving roles."""
_ASSIGNED = select(resources.c.document).where(resources.c.source == bindparam("principal"), resources.c.type == ROLE_ASSIGNMENTS)


def assignments_of(connection: Connection, principal: str) -> list[RoleAssignment]:
    """Every assignment of a principal (object id)."""
    documents = connection.execute(_ASSIGNED, {"principal": f"principal:{principal.lower()}"}).scalars().all()
    found = (orjson.loads(document)["properties"] for document in documents)
    return [RoleAssignment(principal_id=one["principalId"], role=one["roleDefinitionId"], scope=one["scope"]) for one in found]


def owns(connection: Connection, principal: str, scope: str) -> bool:
    """Whether a principal is an owner at a scope."""
    return allows(assignments_of(connection, principal), principal, OWNING, scope)


def owned(connection: Connection, principal: str) -> tuple[str, ...]:
    """The scopes at which a principal was made Owner."""
    return tuple(one.scope for one in assignments_of(connection, principal) if role_named(one.role) == OWNER)
