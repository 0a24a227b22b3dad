"""Reading request members and cutting lists into pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from isthmus_lab.ssm.errors import SsmError, invalid

Row = TypeVar("Row")


def number(request: Mapping[str, Any], name: str, *, least: int, most: int, default: int) -> int:
    """An integer member within its bounds; ValidationException otherwise."""
    value = request.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise invalid(f"Value '{value}' at '{name[:1].lower() + name[1:]}' failed to satisfy constraint: between {least} and {most}")
    return value


def text(request: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A string member; ValidationException when it is required and missing, or is not a string."""
    value = request.get(name, default)
    if not isinstance(value, str):
        raise invalid(f"Value at '{name[:1].lower() + name[1:]}' failed to satisfy constraint: Member must not be null")
    return value


def texts(request: Mapping[str, Any], name: str) -> list[str]:
    """A list of strings, empty when the member is missing."""
    value = request.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid(f"Value at '{name[:1].lower() + name[1:]}' must be a list of strings")
    return value


def page(rows: Sequence[Row], request: Mapping[str, Any], *, least: int, most: int, default: int) -> tuple[list[Row], dict[str, str]]:
    """One page of the rows, and `NextToken` when there are more. Tokens are opaque; a foreign one is InvalidNextToken."""
    size = number(request, "MaxResults", least=least, most=most, default=default)
    start = _offset(str(request["NextToken"])) if request.get("NextToken") else 0
    if start > len(rows):
        raise SsmError("InvalidNextToken", "The specified token is not valid.")
    end = start + size
    more = {"NextToken": base64.urlsafe_b64encode(f"isthmus:{end}".encode()).decode()} if end < len(rows) else {}
    return list(rows[start:end]), more


def _offset(token: str) -> int:
    try:
        name, _, value = base64.urlsafe_b64decode(token).decode().partition(":")
        if name == "isthmus":
            return int(value)
    except (binascii.Error, ValueError):
        pass
    raise SsmError("InvalidNextToken", "The specified token is not valid.")
