"""Readers: from a parsed body to plain values, by the plan of its shape.

A reader is a closure over the readers of its members, made once per shape. Members that the model does not know are dropped, nulls too;
timestamps stay text (JSON's epoch numbers become ISO 8601 text), blobs stay base64 text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import unquote

import orjson

Reader = Callable[[Any], Any]
Rows = Sequence[Sequence[Any]]


def iso(value: Any) -> str:
    """Epoch seconds as ISO 8601 text in UTC, with as many digits as they carry (up to microseconds); text is passed on."""
    if isinstance(value, str):
        return value
    moment = datetime.fromtimestamp(value, UTC)
    digits = "seconds" if not moment.microsecond else "milliseconds" if moment.microsecond % 1000 == 0 else "microseconds"
    return moment.isoformat(timespec=digits)[:-6] + "Z"


def policy(text: str) -> Any:
    """A policy document, which IAM answers as URL-encoded JSON."""
    return orjson.loads(unquote(text)) if text else {}


def json_reader(rows: Rows, made: dict[Any, Any]) -> Callable[[str | int], Reader]:
    """Readers of JSON bodies for references into `rows`; `made` holds what was made so far."""

    def refer(ref: str | int) -> Reader | None:
        if isinstance(ref, str):
            return iso if ref[0] == "t" else policy if ref == "p" else None
        if ref not in made:
            made[ref] = lambda value: made[ref](value)  # a recursive shape finds itself here until its reader is made
            made[ref] = make(rows[ref])
        return cast("Reader | None", made[ref])

    def make(row: Sequence[Any]) -> Reader | None:
        if row[0] == "S":
            return _json_structure({wire: _named(wire, entry, refer) for wire, entry in row[1].items()})
        inner = refer(row[1])
        if inner is None:
            return None
        if row[0] in "LF":
            return lambda value: [None if item is None else inner(item) for item in value]
        return lambda value: {key: None if item is None else inner(item) for key, item in value.items()}

    return lambda ref: refer(ref) or _same


def _named(wire: str, entry: Any, refer: Callable[[str | int], Reader | None]) -> tuple[str, Reader | None]:
    name, ref = entry if isinstance(entry, list) else (wire, entry)
    return name, refer(ref)


def _same(value: Any) -> Any:
    return value


def _json_structure(members: Mapping[str, tuple[str, Reader | None]]) -> Reader:
    find = members.get

    def read(value: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for wire, item in value.items():
            member = find(wire)
            if member is not None and item is not None:
                name, inner = member
                found[name] = item if inner is None else inner(item)
        return found

    return read


def xml_reader(rows: Rows, made: dict[Any, Any]) -> Callable[[str | int], Reader]:
    """Readers of XML elements for references into `rows`."""

    def refer(ref: str | int) -> Reader:
        if isinstance(ref, str):
            return _XML_SCALARS.get(ref[0], _text)
        if ref not in made:
            made[ref] = lambda node: made[ref](node)
            made[ref] = make(rows[ref])
        return cast(Reader, made[ref])

    def make(row: Sequence[Any]) -> Reader:
        if row[0] == "S":
            return structure(row)
        inner = refer(row[1])
        if row[0] in "LF":
            return _texts if inner is _text else lambda node: [inner(child) for child in node]
        if row[0] == "G":  # one element of a flattened map is one entry
            return lambda node: _pairs((node,), row[2], row[3], inner)
        return lambda node: _pairs(node, row[2], row[3], inner)

    def structure(row: Sequence[Any]) -> Reader:
        single: dict[str, tuple[str, Reader | None]] = {}
        repeated: dict[str, tuple[str, Reader, bool]] = {}
        for wire, entry in row[1].items():
            name, ref = entry if isinstance(entry, list) else (wire, entry)
            kind = rows[ref][0] if isinstance(ref, int) else ""
            if kind in ("F", "G"):
                repeated[wire] = name, refer(rows[ref][1] if kind == "F" else ref), kind == "G"
            else:
                inner = refer(ref)
                single[wire] = name, None if inner is _text else inner
        read = _xml_structure(single, repeated)
        if len(row) < 3:
            return read
        attributes = {wire.rpartition(":")[2]: entry[0] for wire, entry in row[2].items()}
        return lambda node: {**read(node), **_attributes(node, attributes)}

    return refer


def _xml_structure(single: Mapping[str, tuple[str, Reader | None]], repeated: Mapping[str, tuple[str, Reader, bool]]) -> Reader:
    find = single.get

    def read(node: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for child in node:
            member = find(child.tag)
            if member is not None:
                name, inner = member
                found[name] = (child.text or "") if inner is None else inner(child)
            else:
                rare(found, child)
        return found

    def rare(found: dict[str, Any], child: Any) -> None:
        """Elements of flattened lists and maps, and members in a namespace of their own."""
        tag = child.tag.rpartition("}")[2]
        if tag in repeated:
            name, inner, is_entry = repeated[tag]
            if is_entry:
                found.setdefault(name, {}).update(inner(child))
            else:
                found.setdefault(name, []).append(inner(child))
        elif tag in single:
            name, reader = single[tag]
            found[name] = (child.text or "") if reader is None else reader(child)

    return read


def _attributes(node: Any, names: Mapping[str, str]) -> dict[str, str]:
    pairs = ((key.rpartition("}")[2], value) for key, value in node.attrib.items())
    return {names[key]: value for key, value in pairs if key in names}


def _pairs(entries: Iterable[Any], key_name: str, value_name: str, inner: Reader) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in entries:
        key, value = "", None
        for child in entry:
            tag = child.tag.rpartition("}")[2]
            if tag == key_name:
                key = child.text or ""
            elif tag == value_name:
                value = inner(child)
        found[key] = value
    return found


def _text(node: Any) -> str:
    return node.text or ""


def _texts(node: Any) -> list[str]:
    return [child.text or "" for child in node]


_XML_SCALARS: Mapping[str, Reader] = {
    "b": lambda node: node.text == "true",
    "i": lambda node: int(node.text),
    "f": lambda node: float(node.text),
    "p": lambda node: policy(node.text or ""),
}
