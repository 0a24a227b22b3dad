"""Isthmus.Access/groups: the groups that role mappings name, with what the directory calls them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from isthmus.access.group_names import GroupNames
from isthmus.access.mappings import ROLE_MAPPINGS, RoleMapping
from isthmus.arm.types import Ask, ResourceType, Scope
from isthmus.providers.history import VERSIONS

GROUPS = "Isthmus.Access/groups"
_READ = f"{ROLE_MAPPINGS}/read"


def row(mappings: Callable[[], Iterable[RoleMapping]], names: GroupNames) -> ResourceType:
    """The type: a list of the groups of all mappings of connectors that the caller may read."""

    def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
        members, approvers = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for mapping in _readable(mappings(), ask):
            for group in mapping.groups:
                members[group].append(mapping.label)
            for group in mapping.approver_groups:
                approvers[group].append(mapping.label)
        called = names({*members, *approvers})
        shown = [_show(group, called.get(group), members[group], approvers[group]) for group in {*members, *approvers}]
        return sorted(shown, key=lambda one: (str(one["properties"]["displayName"] or "").lower(), str(one["properties"]["groupId"])))

    return ResourceType(name=GROUPS, scopes=frozenset({Scope.TENANT}), versions=VERSIONS, enumerate=listed, is_open=True)


def _readable(mappings: Iterable[RoleMapping], ask: Ask) -> Iterator[RoleMapping]:
    """The mappings of connectors whose mappings the caller may read: each connector is asked about once."""
    reads_all = ask.permits(_READ, "/")
    reads = cache(lambda connector: reads_all or ask.permits(_READ, connector))
    return (one for one in mappings if reads(one.connector))


def _show(group: str, called: str | None, roles: list[str], decides: list[str]) -> dict[str, Any]:
    name = hashlib.sha256(group.encode()).hexdigest()[:32]
    return {
        "id": f"/providers/{GROUPS}/{name}",
        "name": name,
        "type": GROUPS,
        "properties": {"groupId": group, "displayName": called, "roles": sorted(roles), "decidesAbout": sorted(decides)},
    }
