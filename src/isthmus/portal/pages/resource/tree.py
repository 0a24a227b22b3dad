"""JSON as a tree that people read: nothing is left out, what is long or nested is folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from isthmus.portal.words import plural

LONG = 160
"""Characters from which on a text is folded."""
_DEEPEST = 24
_OPEN_DEPTH = 1
_OPEN_MEMBERS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One member: a value, a long text behind its beginning (`is_long`), or `nodes` below it. `note` says what kind or how much."""

    name: str
    value: str = ""
    note: str = ""
    nodes: tuple[Node, ...] = ()
    is_long: bool = False
    is_open: bool = False

    @property
    def beginning(self) -> str:
        """What stands for a long text."""
        return self.value[:80].rstrip() + " …"


def tree_of(members: Mapping[str, Any], depth: int = 0) -> tuple[Node, ...]:
    """The members of an object, in the order in which they come."""
    return tuple(_node(str(name), value, depth) for name, value in members.items())


def _node(name: str, value: Any, depth: int) -> Node:
    if isinstance(value, Mapping | list | tuple):
        return _nested(name, value, depth)
    if isinstance(value, str):
        if not value:
            return Node(name=name, note="empty text")
        is_long = len(value) > LONG or "\n" in value
        return Node(name=name, value=value, note=plural(len(value), "character") if is_long else "", is_long=is_long)
    return Node(name=name, value="null" if value is None else orjson.dumps(value).decode(), note="" if value is not None else "no value")


def _nested(name: str, value: Mapping[str, Any] | Sequence[Any], depth: int) -> Node:
    what = "member" if isinstance(value, Mapping) else "item"
    if not value:
        return Node(name=name, note="no members" if what == "member" else "no items")
    if depth >= _DEEPEST:
        text = json_text(value)
        return Node(name=name, value=text, note=f"{plural(len(value), what)}, as JSON", is_long=True)
    members = value if isinstance(value, Mapping) else {str(place): item for place, item in enumerate(value, start=1)}
    return Node(
        name=name,
        note=plural(len(value), what),
        nodes=tree_of(members, depth + 1),
        is_open=depth < _OPEN_DEPTH and len(value) <= _OPEN_MEMBERS,
    )


def json_text(value: Any) -> str:
    """A value as JSON to read."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def short_text(value: Any) -> str | None:
    """A value on one line: a text as it is, anything else as JSON; None for none."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()
