"""What a request is called in traces: the type it is about and the action it asks for, never a name of anything."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.arm.types import ResourceType

_FIXED = frozenset({"healthz", "readyz", "metrics", "sign-in", "metadata", "agent", "scim"})
_LAST = frozenset({"token", "authorize", "devicecode", "revoke", "keys", "openid-configuration"})
_OTHER = "other"


def route_of(path: str, rows: Mapping[str, ResourceType]) -> str:
    """`Microsoft.HybridCompute/machines`, with `/<action>` where one is asked for. `rows` are the known types by lower-cased name.

    Words that no row knows come from strangers: they are `other`.
    """
    segments = [segment for segment in path.split("/") if segment]
    lower = [segment.lower() for segment in segments]
    if "providers" in lower:
        return _type_of(lower[len(lower) - lower[::-1].index("providers") :], rows)
    if "resourcegroups" in lower:
        return "Microsoft.Resources/resourceGroups"
    if lower[:1] == ["subscriptions"]:
        return "Microsoft.Resources/subscriptions"
    if lower and lower[-1] in _LAST:
        return lower[-1]
    return lower[0] if lower and lower[0] in _FIXED else _OTHER


def _type_of(segments: list[str], rows: Mapping[str, ResourceType]) -> str:
    """The deepest known type of `namespace/type/name/type/name…`, and the action behind it."""
    found: ResourceType | None = None
    full, position = segments[0] if segments else "", 1
    while position < len(segments) and (row := rows.get(f"{full}/{segments[position]}")) is not None:
        found, full, position = row, row.name.lower(), position + 2
    if found is None:
        return _OTHER
    # After a type comes a name, and after that, if anything, a word that is no type: an action.
    asked = segments[position] if position < len(segments) else ""
    last = next((one.name for one in found.actions if one.name.lower() == asked), "")
    return f"{found.name}/{last}" if last else found.name
