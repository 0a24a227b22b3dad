"""Who may do what where: Azure's three built-in roles and one of ours, given at a scope, effective there and below.

Nothing is allowed by default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """A role definition: `actions` minus `not_actions`; `*` stands for any characters, case does not count."""

    id: str
    name: str
    description: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleAssignment:
    """A principal has a role at a scope and below. `role` is the GUID of a definition or a resource id that ends in it."""

    principal_id: str
    role: str
    scope: str


OWNER = Role(
    id="8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    name="Owner",
    description="May do everything, and give roles to others.",
    actions=("*",),
)
CONTRIBUTOR = Role(
    id="b24988ac-6180-42a0-ab88-20f7382dd24c",
    name="Contributor",
    description="May change every resource, but gives nobody a role.",
    actions=("*",),
    not_actions=(
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.Authorization/elevateAccess/Action",
        # Whoever puts people into groups gives them what the groups may do.
        "Isthmus.Directory/*/Delete",
        "Isthmus.Directory/*/Write",
    ),
)
READER = Role(
    id="acdd72a7-3385-48ef-bd42-f606fba81ae7",
    name="Reader",
    description="May read every resource and change none.",
    actions=("*/read",),
)
PROVISIONER = Role(
    id="b3a1c5de-2f64-4d0b-9a57-6c0e8d41f7a2",
    name="Directory Provisioner",
    description="May keep the users and groups of the directory, and do nothing else.",
    actions=("Isthmus.Directory/*",),
)
ROLES = MappingProxyType({role.id: role for role in (OWNER, CONTRIBUTOR, READER, PROVISIONER)})


def allows(assignments: Iterable[RoleAssignment], principal_id: str, action: str, scope: str) -> bool:
    """Whether one of the assignments lets the principal perform `action` (`Namespace/type/verb`) at `scope` (`/` is the tenant)."""
    if not principal_id or not action:
        return False
    wanted = principal_id.lower()
    return any(
        assignment.principal_id.lower() == wanted and covers(assignment.scope, scope) and _permits(assignment.role, action)
        for assignment in assignments
    )


def covers(outer: str, inner: str) -> bool:
    """Whether `inner` is `outer` or lies below it, segment by segment. What is not a scope covers nothing and nothing covers it."""
    above, below = _segments(outer), _segments(inner)
    return above is not None and below is not None and below[: len(above)] == above


def role_named(name_or_id: str) -> Role | None:
    """A role by GUID, by resource id of its definition, or by name."""
    last = name_or_id.rstrip("/").rpartition("/")[2].lower()
    return ROLES.get(last) or next((role for role in ROLES.values() if role.name.lower() == last), None)


def definition(role: Role) -> Mapping[str, object]:
    """The role definition as `Microsoft.Authorization/roleDefinitions` shows it."""
    return {
        "id": f"/providers/Microsoft.Authorization/roleDefinitions/{role.id}",
        "name": role.id,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": role.description,
            "assignableScopes": ["/"],
            "permissions": [{"actions": list(role.actions), "notActions": list(role.not_actions), "dataActions": [], "notDataActions": []}],
        },
    }


def _permits(role_id: str, action: str) -> bool:
    role = ROLES.get(role_id.rstrip("/").rpartition("/")[2].lower())
    return role is not None and _matches(role.actions, action) and not _matches(role.not_actions, action)


def _matches(patterns: tuple[str, ...], action: str) -> bool:
    return any(_compiled(pattern).fullmatch(action) for pattern in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.IGNORECASE | re.ASCII | re.DOTALL)


@lru_cache(maxsize=4096)
def _segments(scope: str) -> tuple[str, ...] | None:
    if not scope.startswith("/"):
        return None
    segments = tuple(part for part in scope.lower().split("/") if part)
    return None if "." in segments or ".." in segments else segments
