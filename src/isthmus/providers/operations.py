"""What a provider can do: `/providers/{namespace}/operations`, derived from its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from isthmus.arm.types import Ask, Registry, ResourceType, Scope


def listing(table: Callable[[], Registry], namespace: str, versions: tuple[str, ...]) -> ResourceType:
    """The row behind the list of operations of one provider."""

    def listed(_ask: Ask) -> Iterable[Mapping[str, Any]]:
        return operations(table().in_namespace(namespace))

    return ResourceType(name=f"{namespace}/operations", scopes=frozenset({Scope.TENANT}), versions=versions, enumerate=listed, is_open=True)


def operations(rows: Iterable[ResourceType]) -> Iterable[Mapping[str, Any]]:
    """The manifest of operations, derived from rows, in the order of their names."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        verbs = (
            [("read", "Read")] + [("write", "Create or update")] * (row.put is not None) + [("delete", "Delete")] * (row.delete is not None)
        )
        names = [(f"{row.name}/{verb}", words) for verb, words in verbs]
        names += [(f"{row.name}/{action.name}/action", "Run") for action in row.actions]
        for name, words in names:
            display = {
                "provider": row.namespace,
                "resource": row.kind,
                "operation": f"{words} {row.kind}",
                "description": f"{words} {row.kind}.",
            }
            found[name.lower()] = {"name": name, "isDataAction": False, "display": display, "origin": "user,system"}
    return (found[name] for name in sorted(found))
