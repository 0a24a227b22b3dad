"""The index over projections: a narrow row for each, and what its properties name, written in the transaction of the projection."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, bindparam, delete, func, select

from isthmus.arm.envelope import Resource
from isthmus.clouds.aws.catalog import TYPES
from isthmus.engine import Arrival, Engine, Removal
from isthmus.engine.rows import from_row
from isthmus.solutions.places import AWS_CONNECTOR
from isthmus.solutions.references import id_of, named_by
from isthmus.store import dialect
from isthmus.store.tables import installation, projections, resource_references, resources

_CHUNK = 400
_MARK = "projections"
_COMPLETE = "complete:1"
"""What the installation's facts say at the end; a key to go on after before it. The number counts up when rows are made another way."""
_SPELT = {f"{AWS_CONNECTOR}/{name}".lower(): name for name in TYPES}
_NEWEST = select(func.max(projections.c.id))
_STALE = delete(resource_references).where(
    resource_references.c.resource == bindparam("number"), resource_references.c.target == bindparam("named")
)
BETWEEN = "\x1f"
"""Stands between name and value of a tag, where no text of people's can stand."""


@dataclass(frozen=True, kw_only=True)
class Stock:
    """Keeps the index. It follows every write of a projection, so that nobody sees one without the other."""

    engine: Engine

    @property
    def arrivals(self) -> Mapping[str, Arrival]:
        """What follows a projection that is put."""
        return dict.fromkeys(_SPELT, follow)

    @property
    def removals(self) -> Mapping[str, Removal]:
        """What ends with a projection."""
        return dict.fromkeys(_SPELT, forget)

    def catch_up(self) -> int:
        """Index projections of a database that is older than the index, once; how many they were. Safe to break off and to repeat.

        Batches are transactions of their own, so that a start does not hold other processes up.
        """
        count = 0
        while True:
            with self.engine.store.begin() as connection:
                dialect.lock_name(connection, "projections-index")
                after = connection.execute(select(installation.c.value).where(installation.c.name == _MARK)).scalar() or ""
                if after == _COMPLETE:
                    break
                found = _next(connection, after if after.startswith("/") else "")
                follow(connection, found)
                count += len(found)
                mark = found[-1].id.key if len(found) == _CHUNK else _COMPLETE
                dialect.upsert(connection, installation, [{"name": _MARK, "value": mark}])
        if count:
            structlog.get_logger().info("projections_indexed", count=count)
        return count


def follow(connection: Connection, came: Sequence[Resource]) -> None:
    """Index projections as they are now. References are written only where they differ."""
    for start in range(0, len(came), _CHUNK):
        part = came[start : start + _CHUNK]
        rows = [_row(resource) for resource in part]
        newest = connection.execute(_NEWEST).scalar() or 0
        dialect.upsert(connection, projections, rows, on=("key",))
        numbers = _numbers(connection, [row["key"] for row in rows])
        # What was put with us waits for us or has ended before us, so a number beyond the newest one is of a row that we made.
        known = [number for number in numbers.values() if number <= newest]
        wanted = [
            (numbers[row["key"]], target)
            for row, resource in zip(rows, part, strict=True)
            for target in named_by(resource.properties.get("awsProperties"), row["aws_id"])
        ]
        _refer(connection, known, wanted)


def forget(connection: Connection, keys: Sequence[str]) -> None:
    """Take projections out of the index."""
    for start in range(0, len(keys), _CHUNK):
        part = keys[start : start + _CHUNK]
        gone = list(_numbers(connection, part).values())
        connection.execute(delete(resource_references).where(resource_references.c.resource.in_(gone)))
        connection.execute(delete(projections).where(projections.c.id.in_(gone)))


def _row(resource: Resource) -> dict[str, Any]:
    properties, id = resource.properties, resource.id
    arn, name = str(properties.get("arn") or ""), str(properties.get("publicCloudResourceName") or id.name)
    assert resource.system is not None
    return {
        "key": id.key,
        "subscription": id.subscription.lower(),
        "resource_group": id.group.lower(),
        "account": str(properties.get("awsAccountId") or "")[:12],
        "region": str(properties.get("awsRegion") or "")[:32],
        "type": _SPELT[id.type.lower()],
        "name": _plain(name)[:256],
        "aws_id": id_of(arn, id.name),
        "changed_at": resource.system.changed_at,
        "words": _plain(f"{name}\n{arn or id.name}".lower()),
        "tags": _plain(_tags(resource)),
    }


def _tags(resource: Resource) -> str:
    """Every tag as a line `name<unit separator>value`, with an end of line before and behind each."""
    both = (*dict(resource.properties.get("awsTags") or {}).items(), *resource.tags.items())
    return "".join(f"\n{name}{BETWEEN}{value}" for name, value in both).lower() + "\n" if both else ""


def _plain(text: str) -> str:
    """Text that every database takes."""
    return text.replace("\0", "") if "\0" in text else text


def _numbers(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    if not keys:
        return {}
    found = connection.execute(select(projections.c.key, projections.c.id).where(projections.c.key.in_(keys)))
    return {row.key: row.id for row in found}


def _refer(connection: Connection, known: Sequence[int], wanted: Sequence[tuple[int, str]]) -> None:
    """Make the references of projections what is wanted; only those in `known` can have some already."""
    table = resource_references
    fresh = wanted
    if known:
        found = connection.execute(select(table.c.resource, table.c.target).where(table.c.resource.in_(known)))
        stored = {(row.resource, row.target) for row in found}
        stale = stored.difference(wanted)
        fresh = [pair for pair in wanted if pair not in stored]
        if stale:
            connection.execute(_STALE, [{"number": number, "named": target} for number, target in sorted(stale)])
    dialect.insert_many(connection, table, fresh)


def _next(connection: Connection, after: str) -> list[Resource]:
    """Projections behind a key, held until the transaction ends: one that is being deleted is not indexed after its end."""
    wanted = (resources.c.type.in_(list(_SPELT)), resources.c.key > after)
    found = select(resources).where(*wanted).order_by(resources.c.key).limit(_CHUNK)
    return [from_row(row) for row in connection.execute(found.with_for_update(read=True))]
