"""A connector goes, and with it what was chosen: the projections of its account, its machines, both or neither.

One transaction per batch, each beginning with what there is, so that a repeated job goes on where the last one stood: first the solution
configurations, then what is to be deleted, at last the connector, and the account's group where nothing is left in it. Until then the
connector is being deleted and its account is taken, so that nothing new comes in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError, conflict
from isthmus.arm.ids import ResourceId, group_id, parse_resource, stored
from isthmus.arm.types import Actor
from isthmus.engine import Engine
from isthmus.engine.rows import from_row
from isthmus.solutions import ledger, places
from isthmus.solutions.subject import CONFIGURATIONS
from isthmus.store import dialect
from isthmus.store.tables import resources
from isthmus.work import Arguments, Job

REMOVE = "connector.remove"
ACTOR = Actor(id="isthmus:removal", kind="Application", name="Isthmus removal")
DELETING = "Deleting"
FAILED = "Failed"
_CHUNK = 400
_MACHINES = 100
"""Machines that are deleted at once: each is locked by name, since its agent may speak at any moment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaving:
    """Which connector goes and what goes with it. `guid` tells it from one that is made anew under its id."""

    connector: ResourceId
    account: str
    guid: str
    operation: str
    resources: bool
    machines: bool

    @property
    def group(self) -> ResourceId:
        """The resource group of the account."""
        return group_id(self.connector.subscription, places.group_name(self.account))

    def arguments(self) -> dict[str, Any]:
        """As the job's arguments."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "connector"} | {"connector": str(self.connector)}


def _leaving(arguments: Arguments) -> Leaving:
    return Leaving(**{**arguments, "connector": parse_resource(arguments["connector"])})


@dataclass(frozen=True, kw_only=True)
class Removals:
    """The job behind `remove`; its arguments are those of `Leaving`."""

    engine: Engine

    def job(self) -> Job:
        """The durable job."""
        return Job(name=REMOVE, queue="requests", run=self.run, failed=self.failed)

    def run(self, arguments: Arguments) -> None:
        """Delete batch by batch, and end the operation with counts: `{solutions, resources, machines, groups, isComplete}`."""
        asked = _leaving(arguments)
        while not (told := self._step(asked))["isComplete"]:
            pass
        self.engine.finish(asked.operation, result=told)

    def failed(self, arguments: Arguments, error: ArmError) -> None:
        """Not everything could be deleted: said on the connector, which may be removed again, and to whoever waits."""
        asked = _leaving(arguments)

        def decide(old: Resource | None) -> Change:
            if old is None or old.properties.get("connectorPrimaryIdentifier") != asked.guid:
                return Change()
            return Change(puts=(replace(old, properties={**old.properties, "provisioningState": FAILED}),), detail={"code": error.code})

        self.engine.write(asked.connector, decide, ACTOR, "connector/remove")
        self.engine.finish(asked.operation, error=error)

    def _step(self, asked: Leaving) -> dict[str, Any]:
        """One batch in one transaction; what is deleted so far."""
        with self.engine.store.begin() as connection:
            told = {"solutions": 0, "resources": 0, "machines": 0, "groups": 0, "isComplete": False}
            told |= self.engine.progress_of(connection, asked.operation) or {}
            if told["isComplete"]:
                return told
            connector = self._hold(connection, asked)
            if solutions := _ids(connection, _in(asked.connector, CONFIGURATIONS), _CHUNK):
                told["solutions"] += len(solutions)
                self._delete(connection, asked, solutions)
            elif asked.machines and (machines := _machines(connection, asked)):
                told["machines"] += len(machines)
                told["resources"] += _projections_on(connection, machines)
                self._delete(connection, asked, machines)
            elif asked.resources and (found := _ids(connection, _projected(asked), _CHUNK)):
                told["resources"] += sum(1 for id in found if id.namespace == places.AWS_CONNECTOR)
                self._delete(connection, asked, found)
            else:
                self._delete(connection, asked, [connector] if connector is not None else [])
                told["groups"] += self._close_group(connection, asked)
                told["isComplete"] = True
            self.engine.note_progress(connection, asked.operation, told)
            return told

    def _hold(self, connection: Connection, asked: Leaving) -> ResourceId | None:
        """The connector, locked, or None when somebody has deleted it; ArmError 409 when another one has taken its account since."""
        unique = f"connector:{asked.account}"
        dialect.lock_name(connection, f"unique:{unique}")
        row = connection.execute(select(resources).where(resources.c.unique_key == unique).with_for_update()).first()
        if row is None:
            return None
        found = from_row(row)
        if found.properties["connectorPrimaryIdentifier"] != asked.guid:
            raise conflict(
                f"'{found.id}' has connected the account meanwhile. What was not deleted yet is its own now.",
                target=str(found.id),
                code="ConnectorReplaced",
            )
        return found.id

    def _close_group(self, connection: Connection, asked: Leaving) -> int:
        """Delete the account's group where something was to be deleted and nothing is left in it; how many groups that were."""
        group = asked.group
        held = connection.execute(select(resources.c.key).where(resources.c.key == group.key).with_for_update()).first()
        if held is None or not (asked.resources or asked.machines):
            return 0
        inside = (*_inside(asked), resources.c.key != group.key)
        if connection.execute(select(resources.c.key).where(*inside).limit(1)).first() is not None:
            return 0
        self._delete(connection, asked, [group])
        return 1

    def _delete(self, connection: Connection, asked: Leaving, ids: Sequence[ResourceId]) -> None:
        if ids:
            change = Change(deletes=tuple(ids), detail={"operation": asked.operation})
            self.engine.apply_within(connection, change, ACTOR, "connector/remove", str(asked.connector))


def _inside(asked: Leaving) -> tuple[ColumnElement[bool], ...]:
    """What lies in the account's group."""
    return resources.c.subscription == asked.group.subscription.lower(), resources.c.resource_group == asked.group.name.lower()


def _in(parent: ResourceId, kind: str) -> ColumnElement[bool]:
    return and_(resources.c.parent == parent.key, resources.c.type == kind.lower())


def _projected(asked: Leaving) -> ColumnElement[bool]:
    """Projections that stem from the account, and the clusters that were made for some of them."""
    stems = and_(*ledger.below(f"{asked.account}/"))
    return and_(*_inside(asked), or_(stems, resources.c.type == places.CLUSTERS.lower()))


def _ids(connection: Connection, wanted: ColumnElement[bool], limit: int) -> list[ResourceId]:
    found = connection.execute(select(resources.c.id).where(wanted).order_by(resources.c.key).limit(limit)).scalars()
    return [stored(id) for id in found]


def _machines(connection: Connection, asked: Leaving) -> list[ResourceId]:
    """Some machines of instances of the account, each kept from its agent and from the clock until the transaction ends."""
    wanted = and_(*_inside(asked), resources.c.type == places.MACHINES.lower(), resources.c.name.like("i-%"))
    found = _ids(connection, wanted, _MACHINES)
    for id in found:
        dialect.lock_name(connection, id.key)
    return found


def _projections_on(connection: Connection, machines: Sequence[ResourceId]) -> int:
    kinds = resources.c.type.like(f"{places.AWS_CONNECTOR.lower()}/%")
    wanted = (resources.c.parent.in_([id.key for id in machines]), kinds)
    return int(connection.execute(select(func.count()).select_from(resources).where(*wanted)).scalar() or 0)
