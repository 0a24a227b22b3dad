"""Isthmus.Access/groups: the groups that role mappings name, with what the directory calls them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from isthmus.access.group_names import GroupNames
from isthmus.access.mappings import ROLE_MAPPINGS, RoleMapping
from isthmus.arm.types import Ask, ResourceType, Scope
from isthmus.providers.history import VERSIONS

GROUPS = "Isthmus.Access/groups"


def row(mappings: Callable[[], Iterable[RoleMapping]], names: GroupNames) -> ResourceType:
    """The type: a list of the groups of all mappings that the caller may read."""

    def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
        members, approvers = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for mapping in mappings():
            if not ask.permits(f"{ROLE_MAPPINGS}/read", mapping.id):
                continue
            for group in mapping.groups:
                members[group].append(mapping.label)
            for group in mapping.approver_groups:
                approvers[group].append(mapping.label)
        called = names({*members, *approvers})
        shown = [_show(group, called.get(group), members[group], approvers[group]) for group in {*members, *approvers}]
        return sorted(shown, key=lambda one: (str(one["properties"]["displayName"] or "").lower(), str(one["properties"]["groupId"])))

    return ResourceType(name=GROUPS, scopes=frozenset({Scope.TENANT}), versions=VERSIONS, enumerate=listed, is_open=True)


def _show(group: str, called: str | None, roles: list[str], decides: list[str]) -> dict[str, Any]:
    name = hashlib.sha256(group.encode()).hexdigest()[:32]
    return {
        "id": f"/providers/{GROUPS}/{name}",
        "name": name,
        "type": GROUPS,
        "properties": {"groupId": group, "displayName": called, "roles": sorted(roles), "decidesAbout": sorted(decides)},
    }
