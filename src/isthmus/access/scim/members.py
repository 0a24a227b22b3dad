"""Changes of members by id, as directories send them all day: read out of a PATCH, so that a large group need not be loaded to change one.

Pure. A PATCH that does anything else is left to the library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from scim2_models import InvalidValueException

_ONE = re.compile(r'members\[value\s+eq\s+"([^"\\]+)"\]', re.IGNORECASE)
_MAX_ID = 64
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def member_changes(body: Mapping[str, Any]) -> dict[str, bool] | None:
    """Who shall be a member after a PATCH (already in the words of the RFC) and who shall not, by id; None when it is about more than that.

    Raises InvalidValueException for members without an id.
    """
    named = {name.lower(): value for name, value in body.items()}
    operations, schemas = named.get("operations"), named.get("schemas")
    if not isinstance(operations, list) or not operations or not isinstance(schemas, list) or PATCH not in schemas:
        return None
    wanted: dict[str, bool] = {}
    for operation in operations:
        change = _change(operation) if isinstance(operation, dict) else None
        if change is None:
            return None
        wanted |= change
    return wanted


def is_about_members(body: Mapping[str, Any]) -> bool:
    """Whether a PATCH may change members or look at them."""
    operations = next((value for name, value in body.items() if name.lower() == "operations"), None)
    return not isinstance(operations, list) or any(_names_members(operation) for operation in operations)


def _names_members(operation: Any) -> bool:
    if not isinstance(operation, dict):
        return True
    path, value = operation.get("path"), operation.get("value")
    if path:
        return not isinstance(path, str) or "members" in path.lower()
    return not isinstance(value, dict) or any("members" in name.lower() for name in value)


def _change(operation: Mapping[str, Any]) -> dict[str, bool] | None:
    verb, path, value = str(operation.get("op")).lower(), operation.get("path"), operation.get("value")
    if verb not in ("add", "remove"):
        return None
    one = _ONE.fullmatch(path) if isinstance(path, str) else None
    if one and verb == "remove":
        return {one[1]: False}
    if not path and verb == "add" and isinstance(value, dict) and {name.lower() for name in value} == {"members"}:
        path, value = "members", next(iter(value.values()))
    if not isinstance(path, str) or path.lower() != "members" or value is None:
        return None
    return {_id(entry): verb == "add" for entry in (value if isinstance(value, list) else [value])}


def _id(entry: Any) -> str:
    named = {name.lower(): value for name, value in entry.items()} if isinstance(entry, dict) else {}
    id = named.get("value")
    if not isinstance(id, str) or not 0 < len(id) <= _MAX_ID:
        raise InvalidValueException(detail="Each member needs the id of a user or a group as its value.")
    return id
