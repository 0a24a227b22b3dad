"""Readings become projections: new and changed items are put, ended cells go to the ledger, nothing unchanged is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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
from isthmus.solutions import ledger, places
from isthmus.solutions.subject import Subject
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
        self._guid = subject.target.guid
        self.written = 0

    def store(self, readings: Iterable[Reading]) -> None:
        """Write what a batch brings; raises SolutionGone when nobody wants it any more."""
        with self._engine.store.begin() as connection:
            if lookup.find(connection, self._subject.solution.id.key) is None:
                raise SolutionGone
            readings = list(readings)
            self._open(connection, readings)
            puts: list[Resource] = []
            ends: list[tuple[Listed | Gap, list[str]]] = []
            for reading in readings:
                if isinstance(reading, Item):
                    puts.extend(self._project(connection, reading))
                else:
                    ends.append((reading, self._end(reading)))
            if puts:
                change = Change(puts=(*self._hosts(connection, puts), *puts), detail={"scan": self._scan})
                self._engine.apply_within(connection, change, ACTOR, "inventory/project", str(self._subject.solution.id))
                self.written += len(puts)
            ledger.close(connection, self._subject.solution.id.key, self._scan, ends, self._engine.now())

    def _open(self, connection: Connection, readings: Sequence[Reading]) -> None:
        """Load what is stored of the cells that begin here. Most cells are empty, so one query asks for many."""
        cells = {reading.cell for reading in readings} - self._cells.keys()
        by_source = {places.source_of(self._guid, cell.account, cell.region, cell.type): cell for cell in cells}
        stored: dict[str, dict[str, str]] = {source: {} for source in by_source}
        sources = list(by_source)
        for start in range(0, len(sources), _CHUNK):
            chosen = resources.c.source.in_(sources[start : start + _CHUNK])
            for row in connection.execute(select(resources.c.source, resources.c.key, resources.c.digest).where(chosen)):
                stored[row.source][row.key] = row.digest or ""
        self._cells.update((cell, _OpenCell(known=stored[source])) for source, cell in by_source.items())

    def _project(self, connection: Connection, item: Item) -> Iterable[Resource]:
        """The projection of an item, unless the stored one says the same; terminated instances count as gone."""
        if item.cell.type == "ec2Instances" and _state_of(item) == "terminated":
            return
        cell = self._cells[item.cell]
        id = places.projection_id(item, self._subscription)
        digest = hashlib.sha256(f"{item.digest}|{self._subject.connector.id}".encode()).hexdigest()
        cell.seen.add(id.key)
        if cell.known.get(id.key) != digest:
            yield self._resource(connection, id, item, digest, fresh=id.key not in cell.known)

    def _resource(self, connection: Connection, id: ResourceId, item: Item, digest: str, *, fresh: bool) -> Resource:
        stands_alone = places.hosted_on(item, self._subscription) is None
        old = None if fresh else lookup.find(connection, id.key)
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
            source=places.source_of(self._guid, item.cell.account, item.cell.region, item.cell.type),
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
        present = set(connection.execute(select(resources.c.key).where(resources.c.key.in_(wanted))).scalars())
        for key, (host, put) in wanted.items():
            if key not in present:
                location = places.location_of(put.properties["awsRegion"], connector.location)
                made.append(bare_host(host, location))
        return made


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
