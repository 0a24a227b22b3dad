"""From a row as AWS answers it to the item that Isthmus stores: properties in camelCase, tags flattened, secrets gone.

Names are spelt as Azure publishes them: the leading capitals of a member in lower case (`VpcId` → `vpcId`, `DBInstanceClass` →
`dbInstanceClass`, `CACertificateIdentifier` → `caCertificateIdentifier`). Keys of maps and of free-form documents are data and stay.
In SDK shape every enum reads `{"value": …}`. `awsProperties` of a type in CloudFormation shape holds what its entry keeps and renames.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

import orjson

from isthmus.clouds.aws.catalog import AwsType, path
from isthmus.clouds.aws.catalog.paths import follow, row_shape
from isthmus.clouds.aws.catalog.types import PARENT
from isthmus.clouds.aws.wire.shapes import Shape
from isthmus.clouds.contract import Cell, Item

Caster = Callable[[Any], Any]
_CAPITALS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]+")
_PLACE = re.compile(r"\{([^}]+)\}")


class Verbatim(dict[str, Any]):
    """A free-form document inside a row, whose keys are data."""


@cache
def camel(name: str) -> str:
    """A member's name in camelCase: its leading capitals in lower case, all but the one that starts the next word."""
    found = _CAPITALS.match(name)
    return found.group().lower() + name[found.end() :] if found else name


def flatten_tags(value: Any) -> dict[str, str]:
    """Any of AWS's forms of tags as one map: a map, or a list of {Key, Value}, {key, value} or {TagKey, TagValue}."""
    if isinstance(value, dict):
        return {str(key): str(text or "") for key, text in value.items()}
    found = {}
    for tag in value or ():
        key = tag.get("Key", tag.get("key", tag.get("TagKey")))
        if key is not None:
            found[key] = tag.get("Value", tag.get("value", tag.get("TagValue"))) or ""
    return found


def drop(value: Any, dotted: str) -> None:
    """Remove a member, by a dotted path with `[]` for lists, in place. A path that leads nowhere is no error."""
    head, _, rest = dotted.partition(".")
    name = head.removesuffix("[]")
    if not isinstance(value, dict) or name not in value:
        return
    if not rest:
        del value[name]
        return
    inner = value[name]
    for each in inner if head.endswith("[]") and isinstance(inner, list) else (inner,):
        drop(each, rest)


def decode(value: Any, dotted: str) -> None:
    """Turn a member that holds free-form JSON, as text or URL-encoded text, into a document, in place. Other text stays as it is."""
    head, _, rest = dotted.partition(".")
    name = head.removesuffix("[]")
    if not isinstance(value, dict) or value.get(name) is None:
        return
    inner = value[name]
    if rest:
        for each in inner if isinstance(inner, list) else (inner,):
            decode(each, rest)
        return
    if isinstance(inner, str):
        try:
            inner = orjson.loads(inner if inner.lstrip().startswith("{") else unquote(inner))
        except orjson.JSONDecodeError:
            return
    if isinstance(inner, dict):
        value[name] = Verbatim(inner)


def digest(properties: Mapping[str, Any], volatile: tuple[str, ...], *more: Any) -> str:
    """A hash over properties without volatile members, and over whatever else matters. Equal: nothing worth storing changed."""
    stable: Any = properties
    if volatile:
        stable = orjson.loads(orjson.dumps(properties))
        for dotted in volatile:
            drop(stable, dotted)
    return hashlib.blake2b(orjson.dumps([stable, *more], option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


class Projector:
    """Turns rows of one type into items. Made once per type and partition."""

    def __init__(self, entry: AwsType, partition: str, home: str) -> None:
        self._entry = entry
        self._home = home
        self._partition = partition
        shape = row_shape(entry)
        self._members = {name: (camel(name), caster(member, entry.cfn is None)) for name, member in shape.members.items() if name != PARENT}
        self._keep = tuple((name, *self._members.get(name, (camel(name), _loose))) for name in entry.keep.split())
        self._renamed = tuple((name, path(source), _of_path(source, shape, entry.cfn is None)) for name, source in entry.renamed.items())
        self._id = path(entry.id)
        self._name = path(entry.name) if entry.name else None
        self._region = path(entry.region) if entry.region else None
        self._arn = _template(entry.arn)

    def clean(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row without secrets, its documents decoded and its oddities evened out. Must come before anything else sees it."""
        for dotted in self._entry.secret:
            drop(row, dotted)
        for dotted in self._entry.documents:
            decode(row, dotted)
        return self._entry.adapt(row) if self._entry.adapt else row

    def id(self, row: Mapping[str, Any]) -> str:
        """The row's id within its cell; empty when AWS answered a row without one."""
        return str(self._id(row) or "")

    def arn(self, row: Mapping[str, Any], cell: Cell) -> str:
        """The row's ARN; empty when it cannot be told from the list alone."""
        return self._arn(row, {"partition": self._partition, "region": cell.region, "account": cell.account})

    def item(self, cell: Cell, row: Mapping[str, Any], tags: Mapping[str, str], *, partial: bool = False) -> Item:
        """The item of a clean row."""
        properties = self._properties(row)
        if "tags" in properties or " tags " in f" {self._entry.keep.lower()} ":
            properties["tags"] = _tag_list(properties.get("tags"), tags)
        identity, arn = self.id(row), self.arn(row, cell)
        name = str((self._name(row) if self._name else None) or identity)
        region = str(self._region(row) or self._home) if self._region else cell.region
        return Item(
            cell=cell,
            id=identity,
            arn=arn,
            name=name,
            region=region,
            tags=tags,
            properties=properties,
            digest=digest(properties, self._entry.volatile, arn, name, region, tags),
            partial=partial,
        )

    def _properties(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._keep or self._renamed:
            for name, final, cast in self._keep:
                if (value := row.get(name)) is not None:
                    found[final] = cast(value) if cast else value
            for final, read, cast in self._renamed:
                if (value := read(row)) is not None:
                    found[final] = cast(value) if cast else value
            return found
        for name, value in row.items():
            if value is not None and name != PARENT:
                final, cast = self._members.get(name) or (camel(name), _loose)
                found[final] = cast(value) if cast else value
        return found


def _tag_list(present: Any, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tags inside properties are always a list of {key, value}, whatever form AWS answered."""
    if isinstance(present, list) and all("key" in tag for tag in present):
        return present
    return [{"key": key, "value": value} for key, value in tags.items()]


def _template(text: str) -> Callable[[Mapping[str, Any], Mapping[str, str]], str]:
    if not text.startswith("arn:"):
        read = path(text)
        return lambda row, _context: str(read(row) or "")
    parts = _PLACE.split(text)
    pieces = [_choice(part) if index % 2 else _constant(part) for index, part in enumerate(parts)]
    return lambda row, context: "".join(piece(row, context) for piece in pieces)


def _constant(text: str) -> Callable[[Mapping[str, Any], Mapping[str, str]], str]:
    return lambda _row, _context: text


def _choice(text: str) -> Callable[[Mapping[str, Any], Mapping[str, str]], str]:
    options = [part.strip() for part in text.split("||")]

    def choose(row: Mapping[str, Any], context: Mapping[str, str]) -> str:
        for option in options:
            found = context[option] if option in context else path(option)(row)
            if found:
                return str(found)
        return ""

    return choose


def caster(shape: Shape, wrap_enums: bool) -> Caster | None:
    """What turns a value of this shape into its stored form; None when it is stored as it is. Made lazily, since shapes may recur."""
    if shape.kind == "enum":
        return _value if wrap_enums else None
    if shape.kind in ("document", "policy"):
        return None
    if shape.kind in ("list", "map") and shape.item is not None:
        inner = caster(shape.item, wrap_enums)
        if inner is None:
            return None
        cast = inner
        if shape.kind == "list":
            return lambda value: [cast(each) for each in value]
        return lambda value: {key: cast(each) for key, each in value.items()}
    return _structure(shape, wrap_enums) if shape.kind == "structure" else None


def _of_path(source: str, row: Shape, wrap_enums: bool) -> Caster | None:
    try:
        return caster(follow(source, row), wrap_enums)
    except LookupError:  # a member that `adapt` or an attribute map brings, unknown to the models
        return _loose


def _structure(shape: Shape, wrap_enums: bool) -> Caster:
    known: dict[str, tuple[str, Caster | None]] = {}
    members: dict[str, Shape] = {}

    def learn(name: str) -> tuple[str, Caster | None]:
        if not members:
            members.update(shape.members)
        member = members.get(name)
        known[name] = found = (camel(name), caster(member, wrap_enums) if member else _loose)
        return found

    def cast(value: Any) -> Any:
        if isinstance(value, Verbatim) or not isinstance(value, dict):
            return value
        found = {}
        for name, each in value.items():
            if each is not None:
                final, inner = known.get(name) or learn(name)
                found[final] = inner(each) if inner else each
        return found

    return cast


def _value(value: Any) -> dict[str, Any]:
    return {"value": value}


def _loose(value: Any) -> Any:
    """For values whose shape is not known: every key is taken for a member's name."""
    if isinstance(value, dict) and not isinstance(value, Verbatim):
        return {camel(name): _loose(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_loose(each) for each in value]
    return value
