"""Single values as requests want them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any


def stamp(value: Any, form: str) -> str | int | float:
    """An instant in one of the models' formats: `iso8601`, `unixtimestamp` or `rfc822`."""
    moment = _moment(value)
    if form == "iso8601":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if moment.microsecond else "%Y-%m-%dT%H:%M:%SZ")
    if form == "rfc822":
        return format_datetime(moment, usegmt=True)
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    else:
        moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def blob(value: Any) -> str:
    """Bytes, or text in UTF-8, as base64 text."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode("ascii")


def plain(value: Any) -> str:
    """A scalar as text."""
    return value if isinstance(value, str) else str(value)


def boolean(value: Any) -> str:
    """`true` or `false`."""
    return "true" if value else "false"


def text_of(ref: str, timestamps: str) -> Callable[[Any], str]:
    """How a scalar of a plan is written where everything is text; `timestamps` is the protocol's own format."""
    if ref[0] == "t":
        form = ref[2:] or timestamps
        return lambda value: str(stamp(value, form))
    return {"x": blob, "b": boolean}.get(ref[0], plain)


def elements(value: Any) -> list[Any] | tuple[Any, ...]:
    """A list, checked: a text in its place would be taken apart silently."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"a list is wanted, not {type(value).__name__}")
    return value


def members(row: Sequence[Any]) -> Iterator[tuple[str, str, str | int]]:
    """Name, wire name and reference of each member of a structure's row."""
    for name, entry in row[1].items():
        yield (name, entry[0], entry[1]) if isinstance(entry, list) else (name, name, entry)
