"""Reading a body strictly: what JSON readers disagree about, or no directory has a reason to send, is refused before it is looked at."""

from __future__ import annotations

import json
from typing import Any

from scim2_models import InvalidSyntaxException, InvalidValueException

MAX_DEPTH = 16
_MAX_NUMBER = 2**53
"""Beyond it JSON readers disagree (RFC 8259 6)."""
MAX_ITEMS = 10_000
"""Values of one list, and so members that one request names."""


def read(content: bytes) -> dict[str, Any]:
    """A body as an object. Raises InvalidSyntaxException for what is not one, or names an attribute twice (case does not tell names apart,
    RFC 7643 2.1); InvalidValueException for nesting, lists and characters beyond what is stored."""
    try:
        value = json.loads(content.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidSyntaxException(detail="The body is not JSON.") from error
    if not isinstance(value, dict):
        raise InvalidSyntaxException(detail="The body must be a JSON object.")
    _check(value, 1)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise InvalidSyntaxException(detail="The body names an attribute twice.")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int | float) and not abs(value) < _MAX_NUMBER:
        raise InvalidValueException(detail="A number is too large.")
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise InvalidValueException(detail=f"The body is nested deeper than {MAX_DEPTH} levels.")
        if len(value) > MAX_ITEMS:
            raise InvalidValueException(detail=f"A list holds more than {MAX_ITEMS} values. Send them in several requests.")
        for name in value if isinstance(value, dict) else ():
            _check_text(name)
        for child in value.values() if isinstance(value, dict) else value:
            _check(child, depth + 1)


def _check_text(text: str) -> None:
    """Databases take neither NUL nor half of a surrogate pair."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidValueException(detail="A text holds a character that cannot be stored.")
