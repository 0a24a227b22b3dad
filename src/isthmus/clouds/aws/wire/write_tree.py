"""Writers of bodies that are trees: JSON values, and the little XML that REST-XML requests carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from isthmus.clouds.aws.wire.write_values import blob, elements, members, stamp, text_of

Rows = Sequence[Sequence[Any]]
Tree = Callable[[Any], Any]
Xml = Callable[[list[str], str, Any], None]


def json_writer(rows: Rows) -> Callable[[str | int], Tree]:
    """What turns parameters of a referred shape into JSON values."""
    made: dict[int, Tree] = {}

    def refer(ref: str | int) -> Tree | None:
        if isinstance(ref, str):
            form = ref[2:] or "unixtimestamp"
            return (lambda value: stamp(value, form)) if ref[0] == "t" else blob if ref == "x" else None
        if ref not in made:
            made[ref] = lambda value: made[ref](value)
            made[ref] = make(rows[ref])
        return made[ref]

    def make(row: Sequence[Any]) -> Tree:
        if row[0] == "S":
            written = {name: (wire, refer(ref)) for name, wire, ref in members(row)}
            return _structure(written, row[2] if len(row) > 2 else ())
        inner = refer(row[1] if row[0] == "L" else row[2])
        if row[0] == "L":
            return elements if inner is None else lambda value: [inner(item) for item in elements(value)]
        return dict if inner is None else lambda value: {key: inner(item) for key, item in value.items()}

    return lambda ref: refer(ref) or (lambda value: value)


def _structure(written: Mapping[str, tuple[str, Tree | None]], required: Sequence[str]) -> Tree:
    def write(value: Any) -> dict[str, Any]:
        for name in required:
            if value.get(name) is None:
                raise ValueError(f"the parameter {name} is missing")
        found: dict[str, Any] = {}
        for name, item in value.items():
            if name not in written:
                raise ValueError(f"unknown parameter {name}")
            if item is not None:
                wire, inner = written[name]
                found[wire] = item if inner is None else inner(item)
        return found

    return write


def xml_writer(rows: Rows, ref: int, root: str, namespace: str | None) -> Callable[[Any], bytes]:
    """What writes a body's document with the given root element."""
    made: dict[int, Xml] = {}

    def refer(inner: str | int) -> Xml:
        if isinstance(inner, str):
            text = text_of(inner, "iso8601")
            return lambda out, tag, value: out.append(f"<{tag}>{escape(text(value))}</{tag}>")
        if inner not in made:
            made[inner] = lambda out, tag, value: made[inner](out, tag, value)
            made[inner] = make(rows[inner])
        return made[inner]

    def make(row: Sequence[Any]) -> Xml:
        if row[0] == "S":
            return _xml_structure({name: (wire, refer(ref)) for name, wire, ref in members(row)})
        if row[0] == "L":
            return _xml_list(refer(row[1]), row[2])
        raise ValueError("maps in XML bodies are not written: no operation of the plans takes one")

    write = refer(ref)

    def document(value: Any) -> bytes:
        out: list[str] = []
        write(out, root, value)
        if namespace:
            out[0] = f"<{root} xmlns={quoteattr(namespace)}>"
        return "".join(out).encode()

    return document


def _xml_structure(written: Mapping[str, tuple[str, Xml]]) -> Xml:
    def write(out: list[str], tag: str, value: Any) -> None:
        out.append(f"<{tag}>")
        for name, item in value.items():
            if name not in written:
                raise ValueError(f"unknown parameter {name}")
            if item is not None:
                wire, inner = written[name]
                inner(out, wire, item)
        out.append(f"</{tag}>")

    return write


def _xml_list(inner: Xml, element: str | None) -> Xml:
    def write(out: list[str], tag: str, value: Any) -> None:
        if element is not None:
            out.append(f"<{tag}>")
        for item in elements(value):
            inner(out, element or tag, item)
        if element is not None:
            out.append(f"</{tag}>")

    return write
