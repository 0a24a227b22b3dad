"""Readings become projections: new and changed items are put, ended cells go to the ledger, nothing unchanged is written."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, group_id
from isthmus.arm.types import Actor
from isthmus.clouds.aws.catalog import TYPES
from isthmus.clouds.contract import Cell, Gap, Item, Listed, Reading
from isthmus.engine import Engine, lookup
from isthmus.engine.rows import from_row
from isthmus.solutions import ledger, places
from isthmus.solutions.subject import Subject
from isthmus.store import dialect
from isthmus.store.tables import resources

_CHUNK = 400
ACTOR = Actor(id="isthmus:inventory", kind="Application", name="Isthmus inventory")


class SolutionGone(Exception):
    """The solution or its connector was deleted while the scan ran."""


@dataclass(slots=True)
class _OpenCell:
    """A cell that has begun: digests of its stored rows by key, and the keys seen so far."""

    known: Mapping[str, str]
    seen: set[str] = field(default_factory=set)


class Projector:
    """Stores one scan's readings. Feed it batches in order; each batch is one transaction."""

    def __init__(self, engine: Engine, subject: Subject, scan: str) -> None:
        self._engine = engine
        self._subject = subject
        self._scan = scan
        self._cells: dict[Cell, _OpenCell] = {}
        self._subscription = subject.connector.id.subscription
        self.written = 0

    def store(self, readings: Iterable[Reading]) -> None:
        """Write what a batch brings; raises SolutionGone when nobody wants it any more."""
        with self._engine.store.begin() as connection:
            if not lookup.keep(connection, self._subject.solution.id.key):
                raise SolutionGone
            readings = list(readings)
            self._open(connection, readings)
            changed: dict[str, tuple[ResourceId, Item, str]] = {}
            ends: list[tuple[Listed | Gap, list[str]]] = []
            for reading in readings:
                if isinstance(reading, Item):
                    changed |= self._changed(reading)
                else:
                    ends.append((reading, self._end(reading)))
            # The audit lock comes last: whoever holds it waits for nobody.
            puts = self._projections(connection, changed)
            ledger.close(connection, self._subject.solution.id.key, self._scan, ends, self._engine.now())
            if puts:
                change = Change(puts=(*self._hosts(connection, puts), *puts), detail={"scan": self._scan})
                self._engine.apply_within(connection, change, ACTOR, "inventory/project", str(self._subject.solution.id))
                self.written += len(puts)

    def _open(self, connection: Connection, readings: Sequence[Reading]) -> None:
        """Load what is stored of the cells that begin here. Most cells are empty, so one query asks for many."""
        cells = {reading.cell for reading in readings} - self._cells.keys()
        by_source = {places.source_of(cell.account, cell.region, cell.type): cell for cell in cells}
        stored: dict[str, dict[str, str]] = {source: {} for source in by_source}
        sources = list(by_source)
        for start in range(0, len(sources), _CHUNK):
            chosen = resources.c.source.in_(sources[start : start + _CHUNK])
            for row in connection.execute(select(resources.c.source, resources.c.key, resources.c.digest).where(chosen)):
                stored[row.source][row.key] = row.digest or ""
        self._cells.update((cell, _OpenCell(known=stored[source])) for source, cell in by_source.items())

    def _changed(self, item: Item) -> dict[str, tuple[ResourceId, Item, str]]:
        """An item by the key of its projection, unless the stored one says the same; terminated instances count as gone."""
        if item.cell.type == "ec2Instances" and _state_of(item) == "terminated":
            return {}
        cell = self._cells[item.cell]
        id = places.projection_id(item, self._subscription)
        digest = hashlib.sha256(f"{item.digest}|{self._subject.connector.id}".encode()).hexdigest()
        cell.seen.add(id.key)
        return {} if cell.known.get(id.key) == digest else {id.key: (id, item, digest)}

    def _projections(self, connection: Connection, changed: Mapping[str, tuple[ResourceId, Item, str]]) -> list[Resource]:
        """What to put. The rows are held first, so that tags that somebody writes at this moment are read after or written after us."""
        hosts = {id.scope.key for id, _, _ in changed.values() if id.scope is not None and id.scope.namespace != "Microsoft.Resources"}
        held = hold(connection, {*changed, *hosts})
        return [self._resource(id, item, digest, held.get(key)) for key, (id, item, digest) in changed.items()]

    def _resource(self, id: ResourceId, item: Item, digest: str, old: Resource | None) -> Resource:
        stands_alone = places.hosted_on(item, self._subscription) is None
        stored = old.properties["awsProperties"] if old and item.partial else {}
        properties: dict[str, Any] = {
            "arn": item.arn,
            "awsAccountId": item.cell.account,
            "awsProperties": {**stored, **item.properties},
            "awsRegion": item.region,
            "awsSourceSchema": TYPES[item.cell.type].cfn or TYPES[item.cell.type].list,
            "awsTags": dict(item.tags),
            "publicCloudConnectorsResourceId": str(self._subject.connector.id),
            "publicCloudResourceName": item.name,
            "provisioningState": "Succeeded",
        }
        return Resource(
            id=id,
            location=places.location_of(item.region, self._subject.connector.location) if stands_alone else "",
            tags=old.tags if old else {},
            properties=properties,
            source=places.source_of(item.cell.account, item.cell.region, item.cell.type),
            digest=digest,
        )

    def _end(self, end: Listed | Gap) -> list[str]:
        """Keys that a complete cell listed no more; a gap claims nothing."""
        cell = self._cells.pop(end.cell)
        return [] if isinstance(end, Gap) else sorted(set(cell.known) - cell.seen)

    def _hosts(self, connection: Connection, puts: Iterable[Resource]) -> list[Resource]:
        """The group of the account, and the bare machines and clusters that projections extend, where they do not exist yet."""
        connector = self._subject.connector
        group = group_id(self._subscription, places.group_name(self._subject.target.account))
        made: list[Resource] = []
        if lookup.find(connection, group.key) is None:
            state = {"provisioningState": "Succeeded"}
            made.append(Resource(id=group, location=connector.location, tags=dict(connector.tags), properties=state))
        wanted = {host.key: (host, put) for put in puts if (host := put.id.scope) is not None and host.namespace != "Microsoft.Resources"}
        if not wanted:
            return made
        present = _present(connection, wanted)
        missing = sorted(set(wanted) - present)
        for key in missing:
            # A row that is not there cannot be held; its name can, which is what everybody takes who puts it.
            dialect.lock_name(connection, key)
        present |= _present(connection, missing)
        for key, (host, put) in wanted.items():
            if key not in present:
                location = places.location_of(put.properties["awsRegion"], connector.location)
                made.append(bare_host(host, location))
        return made


def hold(connection: Connection, keys: Collection[str]) -> dict[str, Resource]:
    """Resources by key, locked until the transaction ends. In the order of keys, which puts a host before what extends it."""
    found: dict[str, Resource] = {}
    ordered = sorted(keys)
    for start in range(0, len(ordered), _CHUNK):
        part = select(resources).where(resources.c.key.in_(ordered[start : start + _CHUNK])).order_by(resources.c.key)
        found.update((row.key, from_row(row)) for row in connection.execute(part.with_for_update()))
    return found


def _present(connection: Connection, keys: Collection[str]) -> set[str]:
    found: set[str] = set()
    ordered = sorted(keys)
    for start in range(0, len(ordered), _CHUNK):
        found |= set(connection.execute(select(resources.c.key).where(resources.c.key.in_(ordered[start : start + _CHUNK]))).scalars())
    return found


def bare_host(id: ResourceId, location: str) -> Resource:
    """A machine or cluster that inventory knows and no agent has joined."""
    if id.type == places.MACHINES:
        properties = {"provisioningState": "Succeeded", "cloudMetadata": {"provider": "AWS"}, "osType": ""}
        return Resource(id=id, location=location, properties=properties, extra={"kind": "AWS"})
    return Resource(id=id, location=location, properties={"provisioningState": "Succeeded"}, extra={"kind": "AWS"})


def _state_of(item: Item) -> str:
    state = item.properties.get("state")
    name = state.get("name") if isinstance(state, Mapping) else None
    return str(name.get("value")) if isinstance(name, Mapping) else str(name)
