"""Paging of lists: `$top`, `$skiptoken`, the `$filter` clauses that clients send; and `$skip`, `$orderby`, `$count` of windowed ones."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping

from isthmus.arm.errors import invalid

DEFAULT_PAGE = 100
MAX_PAGE = 1000
MAX_SKIP = 10_000_000

_CLAUSE = re.compile(r"^\s*(resourceGroup|resourceType|name|location|tagName|tagValue)\s+eq\s+'((?:[^'\x00-\x1f]|'')*)'\s*$", re.IGNORECASE)

_ORDER = re.compile(r" *([A-Za-z]{1,64})(?: +(asc|desc))? *", re.IGNORECASE)


def page_size(query: Mapping[str, str]) -> int:
    """`$top`, 1 to 1000, default 100; raises ArmError 400 `InvalidTop`."""
    given = query.get("$top")
    if given is None:
        return DEFAULT_PAGE
    if not re.fullmatch(r"[1-9][0-9]{0,3}", given) or int(given) > MAX_PAGE:
        raise invalid(f"$top must be a whole number from 1 to {MAX_PAGE}, not '{given[:32]}'.", target="$top", code="InvalidTop")
    return int(given)


def skip_of(query: Mapping[str, str]) -> int:
    """`$skip`, 0 to 10,000,000, default 0; raises ArmError 400 `InvalidSkip`."""
    given = query.get("$skip", "0")
    if not re.fullmatch(r"[0-9]{1,8}", given, re.ASCII) or int(given) > MAX_SKIP:
        what = f"$skip must be a whole number from 0 to {MAX_SKIP}, not '{given[:32]}'. Filter the list to see what lies beyond."
        raise invalid(what, target="$skip", code="InvalidSkip")
    return int(given)


def order_of(query: Mapping[str, str], allowed: Collection[str], *, default: str = "") -> tuple[str, bool]:
    """`$orderby` as a field of `allowed` and whether it descends; `default` is taken for none. Raises ArmError 400 `InvalidOrderBy`."""
    given = query.get("$orderby", default)
    match = _ORDER.fullmatch(given)
    field = next((name for name in allowed if match is not None and name.lower() == match.group(1).lower()), None)
    if match is None or field is None:
        what = f"$orderby must be one of {', '.join(allowed)}, with asc or desc behind it or nothing, not '{given[:64]}'."
        raise invalid(what, target="$orderby", code="InvalidOrderBy")
    return field, (match.group(2) or "").lower() == "desc"


def wants_count(query: Mapping[str, str]) -> bool:
    """`$count`, true or false, default false; raises ArmError 400 `InvalidCount`."""
    given = query.get("$count", "false").lower()
    if given not in ("true", "false"):
        raise invalid(f"$count must be true or false, not '{given[:32]}'.", target="$count", code="InvalidCount")
    return given == "true"


def token_of(key: str) -> str:
    """The `$skiptoken` that goes on after a key."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def key_of(query: Mapping[str, str]) -> str:
    """The key to go on after, empty for the first page; raises ArmError 400 `InvalidSkipToken`."""
    given = query.get("$skiptoken")
    if not given:
        return ""
    try:
        key = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid("The $skiptoken is not one of ours. Start the list again.", target="$skiptoken", code="InvalidSkipToken") from error
    if not key or any(ord(character) < 32 for character in key):
        raise invalid("The $skiptoken is not one of ours. Start the list again.", target="$skiptoken", code="InvalidSkipToken")
    return key


def filter_of(query: Mapping[str, str]) -> dict[str, str]:
    """`$filter` as field (lower case) to value: `eq` clauses joined by `and`; raises ArmError 400 `InvalidFilter` for anything else."""
    given = query.get("$filter")
    if not given:
        return {}
    clauses: dict[str, str] = {}
    for clause in re.split(r"\s+and\s+", given, flags=re.IGNORECASE):
        match = _CLAUSE.match(clause)
        if match is None:
            raise invalid(
                f"The $filter clause '{clause[:100]}' is not understood. Use resourceGroup, resourceType, name, location, "
                "tagName or tagValue with eq, joined by and.",
                target="$filter",
                code="InvalidFilter",
            )
        clauses[match.group(1).lower()] = match.group(2).replace("''", "'")
    if "tagvalue" in clauses and "tagname" not in clauses:
        raise invalid("tagValue needs tagName in the same $filter.", target="$filter", code="InvalidFilter")
    return clauses
