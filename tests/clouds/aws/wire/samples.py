"""Deterministic sample parameters and answers, made from botocore's models alone: nothing here knows our plans."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

ODD = "a b/ü&+~*='\"<é>%:"
INSTANT = "2024-05-06T07:08:09Z"
EPOCH = 1714979289.25
NAMED = {"AccountId": "123456789012", "Bucket": "demo-bucket", "Name": "demo-point"}
DEPTH = 7


def params(model: OperationModel, *, full: bool) -> dict[str, Any]:
    """Required parameters alone, or every parameter there is."""
    shape = model.input_shape
    if not isinstance(shape, StructureShape):
        return {}
    return _structure(shape, full=full, above=())


def _structure(shape: StructureShape, *, full: bool, above: tuple[str, ...]) -> dict[str, Any]:
    wanted = shape.members if full and above.count(shape.name) < 1 else {name: shape.members[name] for name in shape.required_members}
    if getattr(shape, "is_tagged_union", False):
        wanted = dict(list(shape.members.items())[:1])
    return {name: _param(member, name, full=full, above=(*above, shape.name)) for name, member in wanted.items()}


def _param(shape: Shape, name: str, *, full: bool, above: tuple[str, ...]) -> Any:
    if isinstance(shape, StructureShape):
        return {} if shape.is_document_type else _structure(shape, full=full, above=above)
    if isinstance(shape, ListShape):
        return [_param(shape.member, name, full=full, above=above) for _ in range(2)]
    if isinstance(shape, MapShape):
        return {_param(shape.key, "key", full=full, above=above): _param(shape.value, "value", full=full, above=above)}
    low = int(shape.metadata.get("min", 0))
    if shape.type_name == "string":
        return NAMED.get(name) or (shape.enum[0] if shape.enum else ODD.ljust(low, "x"))
    scalars = {"boolean": True, "timestamp": INSTANT, "blob": b"\x00\xffblob", "float": 1.5, "double": 2.25}
    return scalars.get(shape.type_name, max(low, 7))


def answer(shape: Shape, *, sparse: bool, above: tuple[str, ...] = ()) -> Any:
    """A value of an output shape as the wire would carry it, before encoding. Sparse: everything that may be empty is."""
    if isinstance(shape, StructureShape):
        if shape.is_document_type:
            return {"any": ["thing", 1, None]}
        if above.count(shape.name) > 1 or len(above) > DEPTH or (sparse and len(above) > 1):
            return {}
        members = shape.members
        if getattr(shape, "is_tagged_union", False):
            members = dict(list(members.items())[:1])
        return {name: answer(member, sparse=sparse, above=(*above, shape.name)) for name, member in members.items()}
    if isinstance(shape, ListShape):
        return (
            []
            if sparse and above.count("list")
            else [answer(shape.member, sparse=sparse, above=(*above, "list")) for _ in range(1 if sparse else 2)]
        )
    if isinstance(shape, MapShape):
        value = answer(shape.value, sparse=sparse, above=above)
        if sparse:
            return {}
        if getattr(shape.key, "enum", None):
            return dict.fromkeys(shape.key.enum[:2], value)
        return {"Key one": value, "key:2": value}
    if shape.name == "policyDocumentType":
        return quote(json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "ä b"}]}))
    if shape.type_name == "string":
        return "" if sparse else shape.enum[-1] if shape.enum else f"{ODD}{len(above)}"
    scalars = {"boolean": not sparse, "timestamp": None, "blob": b"\x00\x01\xfe", "float": 0.5, "double": -2.25}
    return scalars.get(shape.type_name, 42 + len(above))


def as_json(shape: Shape, value: Any) -> Any:
    """A value as a JSON protocol writes it, with members and nulls that no model knows."""
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        found = {shape.members[name].serialization.get("name", name): as_json(shape.members[name], item) for name, item in value.items()}
        return found if getattr(shape, "is_tagged_union", False) else {**found, "notInTheModel": {"x": 1}}
    if isinstance(shape, ListShape):
        return [as_json(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        return {key: as_json(shape.value, item) for key, item in value.items()}
    if shape.type_name == "timestamp":
        return INSTANT if shape.serialization.get("timestampFormat") == "iso8601" else EPOCH
    return base64.b64encode(value).decode() if shape.type_name == "blob" else value


def as_xml(shape: Shape, value: Any, tag: str) -> str:
    """A value as an XML protocol writes it, under an element of the given name."""
    flattened = shape.serialization.get("flattened")
    if isinstance(shape, StructureShape):
        attributes, inside = "", ""
        for name, item in value.items():
            member = shape.members[name]
            wire = member.serialization.get("name", name)
            if member.serialization.get("xmlAttribute"):
                prefix, _, _ = wire.partition(":")
                attributes += f' xmlns:{prefix}="http://www.w3.org/2001/XMLSchema-instance" {wire}={quoteattr(item)}'
                continue
            if isinstance(member, ListShape) and member.serialization.get("flattened"):
                wire = member.member.serialization.get("name", wire)
            inside += as_xml(member, item, wire)
        return f"<{tag}{attributes}>{inside}<notInTheModel>x</notInTheModel></{tag}>"
    if isinstance(shape, ListShape):
        if flattened:
            return "".join(as_xml(shape.member, item, tag) for item in value)
        element = shape.member.serialization.get("name", "member")
        return f"<{tag}>{''.join(as_xml(shape.member, item, element) for item in value)}</{tag}>"
    if isinstance(shape, MapShape):
        names = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
        entries = [as_xml(shape.key, key, names[0]) + as_xml(shape.value, item, names[1]) for key, item in value.items()]
        if flattened:
            return "".join(f"<{tag}>{entry}</{tag}>" for entry in entries)
        return f"<{tag}>{''.join(f'<entry>{entry}</entry>' for entry in entries)}</{tag}>"
    return f"<{tag}>{escape(_xml_scalar(shape, value))}</{tag}>"


def _xml_scalar(shape: Shape, value: Any) -> str:
    if shape.type_name == "timestamp":
        return INSTANT
    if shape.type_name == "boolean":
        return "true" if value else "false"
    return base64.b64encode(value).decode() if shape.type_name == "blob" else str(value)


def http_answer(model: OperationModel, protocol: str, *, sparse: bool) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an answer to an operation."""
    shape = model.output_shape
    if not isinstance(shape, StructureShape):
        return (b"", {}) if "json" in protocol or protocol.startswith("rest") else (f"<{model.name}Response/>".encode(), {})
    value = answer(shape, sparse=sparse)
    headers = {}
    for name in list(value):
        member = shape.members[name]
        if member.serialization.get("location") == "header":
            text = value.pop(name)
            headers[member.serialization["name"].lower()] = _header(member, text)
    payload = shape.serialization.get("payload")
    if payload and shape.members[payload].type_name in ("string", "blob"):
        return b'{"raw": "body"}', headers
    root = shape.members[payload] if payload else shape
    content = value[payload] if payload else value
    if "json" in protocol:
        return json.dumps(as_json(root, content)).encode(), headers
    return _xml_document(model, protocol, root, content), headers


def _header(shape: Shape, value: Any) -> str:
    if shape.type_name == "timestamp":
        return "Mon, 06 May 2024 07:08:09 GMT"
    return str(value).lower() if shape.type_name == "boolean" else "plain" if shape.type_name == "string" else str(value)


def _xml_document(model: OperationModel, protocol: str, root: Shape, content: Mapping[str, Any]) -> bytes:
    wrapper = model.output_shape.serialization.get("resultWrapper")
    if wrapper:
        inside = as_xml(root, content, wrapper) + "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>"
        text = f'<{model.name}Response xmlns="https://x.amazonaws.com/doc/">{inside}</{model.name}Response>'
    else:
        name = root.serialization.get("name", f"{model.name}Response")
        text = as_xml(root, content, name).replace(f"<{name}", f'<{name} xmlns="http://x.amazonaws.com/doc/2016-11-15/"', 1)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- a comment -->{text}'.encode()
