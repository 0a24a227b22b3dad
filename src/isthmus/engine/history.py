"""The history of resources: what an update changed, path by path, and that something was deleted.

Values come from stored documents, which hold no secrets. A create leaves no row: `systemData` of what exists tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import Connection, insert

from isthmus.arm.envelope import Resource
from isthmus.arm.types import Actor
from isthmus.store.tables import resource_changes

MOST_PATHS = 200
"""Paths that one update tells; what changed beyond them is only said to be more."""
MOST_VALUE = 4096
"""Bytes of a value as JSON; longer ones are told as the beginning of that text."""
_CHUNK = 400
_NOTHING = object()

Difference = tuple[str, Any, Any]
"""A JSON pointer (RFC 6901) below the resource, what was there and what is; None where there was or is nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Differences:
    """What an update changed; `is_complete` is False when there was more than can be told."""

    paths: tuple[Difference, ...]
    is_complete: bool = True


def differences(old: Resource, new: Resource) -> Differences:
    """Where tags, location, further members and properties differ. Who changed it, when, and its ETag are no difference."""
    found = list(islice(_resource(old, new), MOST_PATHS + 1))
    told = tuple((path, _fit(before), _fit(after)) for path, before, after in found[:MOST_PATHS])
    return Differences(paths=told, is_complete=len(found) <= MOST_PATHS)


def record_updates(connection: Connection, pairs: Sequence[tuple[Resource, Resource]], actor: Actor, new_guid: Callable[[], str]) -> None:
    """Record, for each pair of what was and what is, what differs. Nothing where nothing does."""
    rows = []
    for old, new in pairs:
        found = differences(old, new)
        if found.paths:
            assert new.system is not None
            rows.append(_row(new.id.key, new.system.changed_at, actor, "Update", found, new_guid()))
    _insert(connection, rows)


def record_deletes(connection: Connection, keys: Sequence[str], actor: Actor, now: int, new_guid: Callable[[], str]) -> None:
    """Record that these resources were deleted."""
    _insert(connection, [_row(key, now, actor, "Delete", Differences(paths=()), new_guid()) for key in keys])


def told(changes: str) -> Differences:
    """What a stored row tells."""
    document = orjson.loads(changes)
    return Differences(paths=tuple((path, before, after) for path, before, after in document["paths"]), is_complete=document["complete"])


def _row(key: str, at: int, actor: Actor, kind: str, found: Differences, id: str) -> dict[str, Any]:
    changes = orjson.dumps({"paths": found.paths, "complete": found.is_complete}).decode()
    return {"id": id, "resource": key, "at": at, "actor": actor.id[:256], "kind": kind, "changes": changes}


def _insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    for start in range(0, len(rows), _CHUNK):
        connection.execute(insert(resource_changes), rows[start : start + _CHUNK])


def _resource(old: Resource, new: Resource) -> Iterator[Difference]:
    if old.location != new.location:
        yield "/location", old.location, new.location
    yield from _walk("/tags", old.tags, new.tags)
    yield from _walk("", old.extra, new.extra)
    yield from _walk("/properties", old.properties, new.properties)


def _walk(path: str, old: Any, new: Any) -> Iterator[Difference]:
    """Down to where two values differ: members by name, lists of one length item by item, everything else as a whole."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            yield from _walk(f"{path}/{_escaped(name)}", old.get(name, _NOTHING), new.get(name, _NOTHING))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _walk(f"{path}/{place}", before, after)
    else:
        yield path, None if old is _NOTHING else old, None if new is _NOTHING else new


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name


def _fit(value: Any) -> Any:
    """The value, or the beginning of its JSON when that is long."""
    if value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) < MOST_VALUE // 4):
        return value
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    cut = text.encode()[:MOST_VALUE].decode(errors="ignore")
    return value if cut == text else f"{cut}…"
