"""Reading a body strictly: what JSON readers disagree about, or no directory has a reason to send, is refused before it is looked at."""

from __future__ import annotations

import json
import re
from typing import Any

from scim2_models import InvalidSyntaxException, InvalidValueException

MAX_DEPTH = 16
_MAX_NUMBER = 2**53
"""Beyond it JSON readers disagree (RFC 8259 6)."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
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
    if not is_storable(text):
        raise InvalidValueException(detail="A text holds a character that cannot be stored.")


def is_storable(text: str) -> bool:
    """Whether a database takes it: no NUL and no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def quotes_storable(expression: str) -> bool:
    """Whether all texts of a filter or path are storable. It quotes them as JSON does, so the characters may be hidden by escapes."""
    return is_storable(expression) and all(map(is_storable, map(_unquoted, _QUOTED.findall(expression))))


def _unquoted(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted  # the reader of the expression refuses it
