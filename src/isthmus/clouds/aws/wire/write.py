"""Writers: from parameters to a request without host and signature, by the plan of the operation.

Parameters carry the names of the model. Unknown and missing ones raise ValueError; values are not checked further, AWS does that.
Timestamps may be ISO 8601 text, epoch seconds or aware datetimes; blobs bytes or text.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import orjson

from isthmus.clouds.aws.wire.write_flat import flat_writer
from isthmus.clouds.aws.wire.write_tree import json_writer, xml_writer
from isthmus.clouds.aws.wire.write_values import stamp

_LABEL = re.compile(r"[A-Za-z0-9-]+")


class Draft(NamedTuple):
    """A request before it knows its host. `path` is percent-encoded, `query` is not; header names are lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes
    prefix: str = ""  # labels before the host name
    bucket: str = ""


Writer = Callable[[Mapping[str, Any]], Draft]


def writer(document: Mapping[str, Any], name: str) -> Writer:
    """The writer of one operation of a service's plan."""
    row = document["operations"][name]
    protocol = document["protocol"]
    if protocol == "json":
        return _json(document, name, row)
    if protocol in ("query", "ec2"):
        return _query(document, name, row)
    return _rest(document, name, row)


def _json(document: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> Writer:
    fixed = {"content-type": f"application/x-amz-json-{document['json']}", "x-amz-target": f"{document['target']}.{name}"}
    if document.get("queryErrors"):
        fixed["x-amzn-query-mode"] = "true"  # answers errors by the names that the service's older protocol used
    convert = json_writer(document["inputs"])(row["in"]) if "in" in row else None
    prefixed = _prefix(row)

    def write(params: Mapping[str, Any]) -> Draft:
        body = orjson.dumps(convert(params)) if convert is not None else b"{}"
        return Draft("POST", "/", (), dict(fixed), body, prefixed(params))

    return write


def _query(document: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> Writer:
    fixed = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    opening = f"Action={name}&Version={document['version']}"
    pairs_of = flat_writer(document["inputs"])(row["in"]) if "in" in row else None

    def write(params: Mapping[str, Any]) -> Draft:
        pairs: list[tuple[str, str]] = []
        if pairs_of is not None:
            pairs_of(pairs, "", params)
        elif params:
            raise ValueError(f"{name} takes no parameters")
        body = "".join([opening, *(f"&{quote_plus(key)}={quote_plus(value)}" for key, value in pairs)])
        return Draft("POST", "/", (), dict(fixed), body.encode("ascii"))

    return write


def _rest(document: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> Writer:
    template, _, fixed_query = row["uri"].partition("?")
    always = tuple((key, value) for key, _, value in (part.partition("=") for part in fixed_query.split("&") if part))
    places: Mapping[str, Sequence[Any]] = row.get("at", {})
    bare = frozenset(row.get("bare", ()))
    must: Sequence[str] = row.get("must", ())
    method: str = row["method"]
    body_of = _body(document, row)
    accept = {"accept": "application/json"} if document["service"] == "apigateway" else {}
    prefixed = _prefix(row)
    by_host = document["service"] == "s3" and "{Bucket}" not in template
    is_checksummed = row.get("crc32", False)

    def write(params: Mapping[str, Any]) -> Draft:
        for member in must:
            if params.get(member) is None:
                raise ValueError(f"{name} needs the parameter {member}")
        query, headers, labels, rest = list(always), dict(accept), {}, {}
        for member, value in params.items():
            if value is None:
                continue
            place = places.get(member)
            if place is None:
                rest[member] = value
                continue
            text = value.rpartition("/")[2] if member in bare else value
            if place[0] == "uri":
                labels[place[1]] = _scalar(text, place[2])
            elif place[0] == "querystring":
                query.extend(_query_pairs(place[1], text, place[2]))
            else:
                headers[place[1].lower()] = " ".join(_scalar(text, "t:rfc822" if place[2] == "t" else place[2]).split())
        body = body_of(rest, headers)
        if is_checksummed:
            headers["x-amz-checksum-crc32"] = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode("ascii")
        path = _render(template, labels)
        return Draft(method, path or "/", tuple(query), headers, body, prefixed(params), labels.get("Bucket", "") if by_host else "")

    return write


def _body(document: Mapping[str, Any], row: Mapping[str, Any]) -> Callable[[Mapping[str, Any], dict[str, str]], bytes]:
    if not row.get("body"):

        def nothing(rest: Mapping[str, Any], _headers: dict[str, str]) -> bytes:
            if rest:
                raise ValueError(f"unknown parameters: {', '.join(sorted(rest))}")
            return b""

        return nothing
    if document["protocol"] == "rest-json":
        convert = json_writer(document["inputs"])(row["in"])

        def as_json(rest: Mapping[str, Any], headers: dict[str, str]) -> bytes:
            headers["content-type"] = "application/json"
            return orjson.dumps(convert(rest))

        return as_json
    tree = xml_writer(document["inputs"], row["in"], row["root"], row.get("xmlns"))
    return lambda rest, _headers: tree(rest) if rest else b""


def _prefix(row: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], str]:
    template = row.get("host")
    if template is None:
        return lambda _params: ""
    member = template.strip("{}.") if template.startswith("{") else ""

    def prefix(params: Mapping[str, Any]) -> str:
        if not member:
            return str(template)
        if not _LABEL.fullmatch(str(params[member])):
            raise ValueError(f"{member} cannot stand in a host name: {params[member]!r}")
        return f"{params[member]}."

    return prefix


def _render(template: str, labels: Mapping[str, str]) -> str:
    def put(match: re.Match[str]) -> str:
        label = match[1]
        greedy = label.endswith("+")
        value = labels[label.removesuffix("+")]
        if not value:
            raise ValueError(f"{label} stands in the path and cannot be empty")
        return quote(value, safe="/~" if greedy else "~")

    return re.sub(r"{(.*?)}", put, template)


def _query_pairs(key: str, value: Any, ref: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [(name, _scalar(item, "s")) for name, item in value.items()]
    if isinstance(value, list | tuple):
        return [(key, _scalar(item, ref)) for item in value]
    return [(key, _scalar(value, ref))]


def _scalar(value: Any, ref: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(ref, str) and ref[0] == "t":
        return str(stamp(value, ref[2:] or "iso8601"))
    if isinstance(value, list | tuple):
        return ",".join(_scalar(item, "s") for item in value)
    return str(value)
