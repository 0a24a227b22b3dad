"""Shapes of the models as compact, interned plans.

A reference is a short text for a scalar, or the index of a row in a table. Rows are
    input   ["S", {member: ref | [wire name, ref]}, [required members]]   structure
            ["L", ref, wire name of an element | null, is flattened]       list
            ["M", ref of keys, ref of values, key name, value name, is flattened]  map
    output  ["S", {wire name: ref | [member, ref]}, {attribute: [member, ref]}?]  structure; flattened members carry a row of their own
            ["L", ref] and ["F", ref]                                      list, flattened list
            ["M", ref, key name, value name] and ["G", …]                  map, flattened map
Scalars: s text, e enum, i integer, f float, b boolean, x blob, d document, p policy document (URL-encoded JSON), t timestamp; a timestamp
with a format of its own is `t:<format>`.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

Ref = str | int
_SCALARS = {
    "string": "s",
    "character": "s",
    "integer": "i",
    "long": "i",
    "float": "f",
    "double": "f",
    "boolean": "b",
    "blob": "x",
    "timestamp": "t",
}
LOCATIONS = frozenset({"uri", "querystring", "header", "headers", "statusCode"})


class Table:
    """Rows of one service and one direction. Equal shapes become one row, recursive ones refer to themselves."""

    def __init__(self, *, protocol: str, direction: str) -> None:
        self.protocol = protocol
        self.direction = direction
        self.rows: list[list[Any]] = []
        self._known: dict[str, int] = {}

    def refer(self, shape: Shape) -> Ref:
        """The reference of a shape; writes its row where it has none yet."""
        scalar = self._scalar(shape)
        if scalar is not None:
            return scalar
        traits = {k: v for k, v in shape.serialization.items() if k not in ("name", "queryName", "location", "resultWrapper", "payload")}
        key = json.dumps([shape.name, traits], sort_keys=True, default=str)
        if key in self._known:
            return self._known[key]
        index = self._known[key] = len(self.rows)
        self.rows.append([])
        self.rows[index] = self._row(shape)
        return index

    def structure(self, shape: Shape, *, leave_out: frozenset[str]) -> Ref:
        """Like `refer` for the body of a request or answer whose other members travel elsewhere."""
        if not leave_out:
            return self.refer(shape)
        assert isinstance(shape, StructureShape)
        self.rows.append(self._members(shape, leave_out))
        return len(self.rows) - 1

    def wire_name(self, member: str, shape: Shape) -> str:
        """What a member is called on the wire, which depends on protocol and direction."""
        traits = shape.serialization
        if self.protocol == "ec2" and self.direction == "input":
            if "queryName" in traits:
                return str(traits["queryName"])
            name = str(traits.get("name", member))
            return name[0].upper() + name[1:] if "name" in traits else name
        if "xml" in self.kind and isinstance(shape, ListShape) and traits.get("flattened"):
            inner = shape.member.serialization.get("name")
            if inner is not None and (self.direction == "output" or self.protocol == "query"):
                return str(inner)
        return str(traits.get("name", member))

    @property
    def kind(self) -> str:
        """`json` or `xml`: the family of body that the protocol speaks in this direction."""
        return "json" if "json" in self.protocol else "xml"

    def _scalar(self, shape: Shape) -> str | None:
        if getattr(shape, "is_document_type", False):
            return "d"
        if shape.type_name not in _SCALARS:
            return None
        if shape.name == "policyDocumentType":
            return "p"
        if getattr(shape, "enum", None):
            return "e"
        code = _SCALARS[shape.type_name]
        form = shape.serialization.get("timestampFormat")
        return f"{code}:{form}" if code == "t" and form else code

    def _row(self, shape: Shape) -> list[Any]:
        flattened = bool(shape.serialization.get("flattened"))
        if isinstance(shape, ListShape):
            ref = self.refer(shape.member)
            if self.direction == "output":
                return ["F" if flattened and self.kind == "xml" else "L", ref]
            return ["L", ref, *self._element(shape, flattened=flattened)]
        if isinstance(shape, MapShape):
            names = [shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")]
            if self.direction == "output":
                return ["G" if flattened and self.kind == "xml" else "M", self.refer(shape.value), *names]
            return ["M", self.refer(shape.key), self.refer(shape.value), *names, flattened]
        assert isinstance(shape, StructureShape), shape
        return self._members(shape, frozenset())

    def _element(self, shape: ListShape, *, flattened: bool) -> list[Any]:
        if self.kind == "json":
            return []
        if self.protocol == "ec2" or flattened:
            return [None, True]
        return [shape.member.serialization.get("name", "member"), False]

    def _members(self, shape: StructureShape, leave_out: frozenset[str]) -> list[Any]:
        members: dict[str, Any] = {}
        attributes: dict[str, Any] = {}
        for name, member in shape.members.items():
            if name in leave_out:
                continue
            wire, ref = self.wire_name(name, member), self.refer(member)
            if member.serialization.get("xmlAttribute"):
                attributes[wire] = [name, ref]
            elif self.direction == "input":
                members[name] = ref if wire == name else [wire, ref]
            else:
                members[wire] = ref if wire == name else [name, ref]
        if self.direction == "input":
            required = [name for name in shape.required_members if name not in leave_out]
            return ["S", members, required] if required else ["S", members]
        return ["S", members, attributes] if attributes else ["S", members]
