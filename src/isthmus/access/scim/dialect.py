"""Entra's dialect: its bodies put into the words of RFC 7644. Pure; what already follows the RFC stays as it is.

Entra writes in two ways, with `?aadOptscim062020` behind the tenant URL and without, and provisioning on demand knows only the second, so
both are always understood. What PATCH selects by a `value`, and what it adds to where nothing matches, is the library's by policy.
"""

from __future__ import annotations

import re
from typing import Any

from scim2_models import InvalidPathException

from isthmus.access.scim.body import quotes_storable

MICROSOFT = "http://schemas.microsoft.com/"
"""Begins what Entra adds to `schemas` of groups."""
_TRUTHS = {"true": True, "false": False}
_BOOLEANS = frozenset({"active", "primary"})
_QUOTED_TRUTH = re.compile(r'\b(primary|active)(\s+eq\s+)"(true|false)"', re.IGNORECASE)


def resource(body: dict[str, Any]) -> dict[str, Any]:
    """A whole resource, of POST or PUT."""
    return {name: _schemas(value) if name.lower() == "schemas" else _value(name, value) for name, value in body.items()}


def patch(body: dict[str, Any]) -> dict[str, Any]:
    """The body of a PATCH. Raises InvalidPathException for paths that hold what cannot be stored."""
    return {
        name: [_operation(one) if isinstance(one, dict) else one for one in value]
        if name.lower() == "operations" and isinstance(value, list)
        else value
        for name, value in body.items()
    }


def expression(text: str) -> str:
    """A path or filter: truth values in quotes become what they mean."""
    return _QUOTED_TRUTH.sub(lambda match: f"{match[1]}{match[2]}{match[3].lower()}", text)


def _operation(given: dict[str, Any]) -> dict[str, Any]:
    known = {name.lower(): value for name, value in given.items()}
    path, value = known.get("path"), known.get("value")
    if isinstance(path, str):
        if not quotes_storable(path):
            raise InvalidPathException(detail="The path holds a character that cannot be stored.")
        known["path"] = expression(path)
        if "value" in known:
            is_removal = str(known.get("op")).lower() == "remove"
            known["value"] = _selected(path, value) if is_removal else _value(path, value)
    elif isinstance(value, dict):
        known["value"] = resource(value)
    return known


def _selected(path: str, value: Any) -> Any:
    """What a removal selects by its value: members by their id alone, whatever else was said of them, and never all of them. A value that
    cannot select says only what was there."""
    entries = value if isinstance(value, list) else [] if value is None else [value]
    if path.lower() == "members":
        return [{"value": _id(entry)} for entry in entries]
    return _value(path, entries) if entries and all(isinstance(entry, dict) for entry in entries) and "[" not in path else None


def _id(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return next((value for name, value in entry.items() if name.lower() == "value"), None)


def _value(path: str, value: Any) -> Any:
    """The value of an attribute, by the last name of its path."""
    last = re.split(r"[.:\]]", path)[-1].lower()
    if last in _BOOLEANS and isinstance(value, str):
        return _TRUTHS.get(value.lower(), value)
    if last == "manager" and isinstance(value, str):
        return {"value": value} if value else None
    if isinstance(value, dict):
        return {name: _value(name, one) for name, one in value.items()}
    if isinstance(value, list):
        return [_value("", one) for one in value]
    return value


def _schemas(value: Any) -> Any:
    return [one for one in value if not (isinstance(one, str) and one.startswith(MICROSOFT))] if isinstance(value, list) else value
