"""The compiled plans, loaded when first asked for: services, operations and the shapes of their answers.

Plans are written by `python -m isthmus.clouds.aws.wire.compile` from AWS' own service models; nothing here knows a single operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jmespath
import orjson

from isthmus.clouds.aws.wire.read import Reader, json_reader, xml_reader
from isthmus.clouds.aws.wire.shapes import EnumTree, Shape, enum_tree
from isthmus.clouds.aws.wire.write import Draft, Writer, writer

_FOLDER = Path(__file__).parent / "plans"
Protocol = Literal["json", "rest-json", "rest-xml", "query", "ec2"]


class Service:
    """One service of AWS: how it is spoken to, and its operations."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.name: str = document["service"]
        self.protocol: Protocol = document["protocol"]
        self.signs: str = document["signs"]
        self.env: str = document["env"]
        self.actions: str = document["actions"]
        self.is_s3: bool = document.get("s3", False)
        self.endpoints: Mapping[str, Any] = document["endpoints"]
        self.document = document
        shared: dict[Any, Any] = {}  # readers of shapes, shared by the operations
        self._reader = json_reader(document["outputs"], shared) if "json" in self.protocol else xml_reader(document["outputs"], shared)

    @property
    def speaks_json(self) -> bool:
        """Whether bodies are JSON; XML otherwise."""
        return "json" in self.protocol

    def reader(self, ref: str | int) -> Reader:
        """What turns a parsed body of the referred shape into plain values."""
        return self._reader(ref)

    def regions(self, partition: str = "aws") -> tuple[str, ...]:
        """Where the models know the service to exist; empty when they do not say. New regions are missing until the next compile."""
        return tuple(self.endpoints[partition]["regions"])


class Paging(NamedTuple):
    """How a list is followed. `unless` names parameters that the service refuses together with `limit`."""

    tokens: tuple[str, ...]
    following: tuple[Callable[[Mapping[str, Any]], Any], ...]
    more: Callable[[Mapping[str, Any]], Any] | None
    limit: str | None
    size: int
    unless: frozenset[str]
    rows: tuple[str, ...]


class Operation:
    """One operation: writes requests, reads answers."""

    __slots__ = ("_row", "body", "name", "out_at", "paging", "payload", "service", "wrapper", "write")

    def __init__(self, service: Service, name: str, row: Mapping[str, Any]) -> None:
        self.service = service
        self.name = f"{service.name}:{name}"
        self._row = row
        self.write: Writer = writer(service.document, name)
        self.wrapper: str | None = row.get("wrapper")
        self.out_at: tuple[tuple[str, str, str, Any], ...] = tuple((member, *place) for member, place in row.get("outAt", {}).items())
        payload = row.get("outPayload")
        self.payload: tuple[str, str | int] | None = (payload[0], payload[1]) if payload else None
        self.body: Reader | None = None
        if payload and payload[1] not in ("s", "x"):
            self.body = service.reader(payload[1])
        elif not payload and "out" in row:
            self.body = service.reader(row["out"])
        self.paging = _paging(row["page"]) if "page" in row else None

    def takes(self, member: str) -> str:
        """The plan's code of a scalar parameter (`s`, `i`, …); empty for one that is unknown or no scalar."""
        place = self._row.get("at", {}).get(member)
        if place is not None:
            ref = place[2]
        else:
            entry = self.service.document["inputs"][self._row["in"]][1].get(member, "")
            ref = entry[1] if isinstance(entry, list) else entry
        return ref if isinstance(ref, str) else ""

    @property
    def action(self) -> str:
        """The IAM action of the operation by AWS' usual rule; the catalog knows the exceptions."""
        return f"{self.service.actions}:{self.name.partition(':')[2]}"

    @property
    def output(self) -> Shape:
        """The shape of an answer. Members that travel in headers are left out."""
        rows = self.service.document["outputs"]
        if self.payload:
            return Shape("structure", {self.payload[0]: Shape.of(self.payload[1], rows)}, None)
        return Shape.of(self._row["out"], rows) if "out" in self._row else Shape("structure", {}, None)


def _paging(row: Mapping[str, Any]) -> Paging:
    return Paging(
        tokens=tuple(row["in"]),
        following=tuple(_path(text) for text in row["out"]),
        more=_path(row["more"]) if "more" in row else None,
        limit=row.get("limit"),
        size=row.get("size", 0),
        unless=frozenset(row.get("unless", ())),
        rows=tuple(row["rows"]),
    )


def _path(text: str) -> Callable[[Mapping[str, Any]], Any]:
    if text.isidentifier():
        return lambda page: page.get(text)
    found: Callable[[Mapping[str, Any]], Any] = jmespath.compile(text).search
    return found


@cache
def service(name: str) -> Service:
    """A service by botocore's name; raises ValueError when no plan was compiled for it."""
    file = _FOLDER / f"{name}.json"
    if not name.replace("-", "").isalnum() or not file.is_file():
        raise ValueError(f"no plan for the AWS service {name!r}: add its operations to wire/compile/operations.py and run `make models`")
    return Service(orjson.loads(file.read_bytes()))


@cache
def operation(name: str) -> Operation:
    """An operation, named `service:Operation`; raises ValueError when it was not compiled."""
    prefix, _, short = name.partition(":")
    found = service(prefix)
    row = found.document["operations"].get(short)
    if row is None:
        raise ValueError(f"no plan for {name}: add it to wire/compile/operations.py and run `make models`")
    return Operation(found, short, row)


@cache
def names() -> tuple[str, ...]:
    """Every compiled operation."""
    files = sorted(_FOLDER.glob("*.json"))
    return tuple(f"{file.stem}:{short}" for file in files for short in orjson.loads(file.read_bytes())["operations"])


def shape(name: str) -> Shape:
    """The shape of an operation's answer."""
    return operation(name).output


@cache
def enums(name: str) -> EnumTree:
    """Where an operation's answer holds enums.

    Nested dicts by member, True at an enum; lists are transparent, `*` stands for the keys of a map.
    """
    return enum_tree(operation(name).output)


__all__ = ["Draft", "Operation", "Paging", "Service", "enums", "names", "operation", "service", "shape"]
