"""Shapes of answers, for those who derive something from them: what is an enum, what is a map, which members exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Kind = Literal["structure", "list", "map", "text", "enum", "integer", "float", "boolean", "blob", "timestamp", "document", "policy"]
EnumTree = Mapping[str, Any] | Literal[True]

_KINDS: Mapping[str, Kind] = {
    "s": "text",
    "e": "enum",
    "i": "integer",
    "f": "float",
    "b": "boolean",
    "x": "blob",
    "t": "timestamp",
    "d": "document",
    "p": "policy",
}


class Shape:
    """A shape of an answer. `members` are those of a structure; `item` is what a list or a map holds (keys of maps are text).

    Recursive shapes unfold as they are walked, so do not walk one without an end in sight.
    """

    __slots__ = ("_item", "_members", "_rows", "kind")

    def __init__(self, kind: Kind, members: Mapping[str, Any] | None, item: Any, rows: Sequence[Any] = ()) -> None:
        self.kind = kind
        self._members = members or {}
        self._item = item
        self._rows = rows

    @classmethod
    def of(cls, ref: str | int, rows: Sequence[Any]) -> Shape:
        """The shape that a plan's reference stands for."""
        if isinstance(ref, str):
            return cls(_KINDS[ref[0]], None, None)
        row = rows[ref]
        if row[0] == "S":
            members = {(entry[0] if isinstance(entry, list) else wire): _last(entry) for wire, entry in row[1].items()}
            members.update(dict((row[2] if len(row) > 2 else {}).values()))
            return cls("structure", members, None, rows)
        return cls("list" if row[0] in "LF" else "map", None, row[1], rows)

    @property
    def members(self) -> dict[str, Shape]:
        """Members of a structure by name; empty for everything else."""
        return {name: self._resolve(ref) for name, ref in self._members.items()}

    @property
    def item(self) -> Shape | None:
        """What a list or map holds; None for everything else."""
        return None if self._item is None else self._resolve(self._item)

    def _resolve(self, ref: Any) -> Shape:
        return ref if isinstance(ref, Shape) else Shape.of(ref, self._rows)


def _last(entry: Any) -> Any:
    return entry[1] if isinstance(entry, list) else entry


def enum_tree(root: Shape) -> EnumTree:
    """Where enums are, with lists transparent and `*` for the values of maps. Recursion is cut where a shape contains itself."""
    return _enums(root, ()) or {}


def _enums(shape: Shape, above: tuple[Any, ...]) -> EnumTree | None:
    if shape.kind == "enum":
        return True
    if shape.kind == "list" and shape.item is not None:
        return _enums(shape.item, above)
    if shape.kind == "map" and shape.item is not None:
        inside = _enums(shape.item, above)
        return None if inside is None else {"*": inside}
    # Members of equal rows are one mapping only within one unfolding, so recursion is recognised by the members' content.
    identity = tuple(shape._members.items()) if shape.kind == "structure" else ()
    if not identity or identity in above:
        return None
    found = {name: tree for name, member in shape.members.items() if (tree := _enums(member, (*above, identity))) is not None}
    return found or None
