"""Decide and apply: the one way in which anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Column, Connection, delete, insert, select, update

from isthmus.arm.change import Change, OperationOrder
from isthmus.arm.envelope import Resource, SystemData
from isthmus.arm.errors import ArmError, conflict, precondition_failed
from isthmus.arm.ids import RESOURCES, ResourceId, group_id
from isthmus.arm.types import Actor
from isthmus.audit import Record, append
from isthmus.engine import history, lookup
from isthmus.engine.rows import from_row, to_row
from isthmus.identity.roles import role_named
from isthmus.store import Store, dialect
from isthmus.store.tables import operations, resource_tags, resources
from isthmus.work import Jobs

_CHUNK = 400
_ENDED = ("Succeeded", "Failed", "Canceled")

Removal = Callable[[Connection, Sequence[str]], None]
Arrival = Callable[[Connection, Sequence[Resource]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """If-Match and If-None-Match as sent: an ETag without quotes, `*`, or empty when absent."""

    match: str = ""
    none_match: str = ""

    def check(self, old: Resource | None, target: str) -> None:
        """Raises ArmError 412 when the condition does not hold for what exists."""
        etag = None if old is None else old.etag
        missing = etag is None
        if self.match and (missing or self.match not in ("*", etag)):
            raise precondition_failed(target)
        if self.none_match and not missing and self.none_match in ("*", etag):
            raise precondition_failed(target)


class Engine:
    """All writes.

    `arrivals` and `removals` name, per lower-cased type, what else follows a put or ends with a deletion, in the same transaction.
    """

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        *,
        clock: Callable[[], float],
        new_guid: Callable[[], str],
        arrivals: Mapping[str, Arrival] | None = None,
        removals: Mapping[str, Removal] | None = None,
    ) -> None:
        self.store = store
        self.jobs = jobs
        self.clock = clock
        self.new_guid = new_guid
        self.arrivals = dict(arrivals or {})
        self.removals = dict(removals or {})

    def now(self) -> int:
        """Epoch milliseconds."""
        return int(self.clock() * 1000)

    def write(
        self, id: ResourceId, decide: Callable[[Resource | None], Change], actor: Actor, action: str, condition: Condition | None = None
    ) -> tuple[Resource | None, Resource | None]:
        """Read a resource, decide, apply: atomic against other writers of the same id. Answers what was and what is now.

        Raises whatever the decision raises, 412 for a condition that does not hold; then nothing changed. An empty change is no write.
        """
        with self.store.begin() as connection:
            dialect.lock_name(connection, id.key)
            old = lookup.find(connection, id.key)
            if condition is not None:
                condition.check(old, str(id))
            change = decide(old)
            if change == Change():
                return old, old
            self._apply(connection, change, actor, action, str(id))
            return old, lookup.find(connection, id.key)

    def apply(self, change: Change, actor: Actor, action: str, target: str) -> None:
        """Make a change true that depends on nothing read before."""
        with self.store.begin() as connection:
            self._apply(connection, change, actor, action, target)

    def apply_within(self, connection: Connection, change: Change, actor: Actor, action: str, target: str) -> None:
        """Like `apply`, as part of a transaction that also writes rows of its owner (ledger, instances, registrations)."""
        self._apply(connection, change, actor, action, target)

    def refuse(self, actor: Actor, action: str, target: str, error: ArmError) -> None:
        """Record a refusal."""
        record = Record(
            at=self.now(),
            actor=actor.id,
            action=action,
            target=target[:2048],
            outcome="refused",
            detail={"code": error.code, "status": error.status},
            correlation=actor.correlation,
        )
        with self.store.begin() as connection:
            append(connection, [record])

    def finish(self, operation: str, *, result: Mapping[str, Any] | None = None, error: ArmError | None = None) -> None:
        """End an operation, once: a later end changes nothing. Without an error it has succeeded."""
        with self.store.begin() as connection:
            connection.execute(
                update(operations)
                .where(operations.c.id == operation, operations.c.status.not_in(_ENDED))
                .values(
                    status="Failed" if error else "Succeeded",
                    ended_at=self.now(),
                    percent=100,
                    result=None if result is None else orjson.dumps(result).decode(),
                    error=None if error is None else orjson.dumps(error.body()).decode(),
                )
            )

    def note_progress(self, connection: Connection, operation: str, told: Mapping[str, Any]) -> None:
        """Say how far an operation is, in the transaction that brought it there; pollers see it, and a repeated job goes on from it."""
        going = (operations.c.id == operation, operations.c.status.not_in(_ENDED))
        connection.execute(update(operations).where(*going).values(status="Running", result=orjson.dumps(told).decode()))

    def progress_of(self, connection: Connection, operation: str) -> dict[str, Any] | None:
        """What was last said of an operation; None when that is nothing, or it is not known."""
        found = connection.execute(select(operations.c.result).where(operations.c.id == operation)).scalar()
        return None if found is None else dict(orjson.loads(found))

    def _apply(self, connection: Connection, change: Change, actor: Actor, action: str, target: str) -> None:
        if change.deletes:
            self._delete(connection, change.deletes, actor)
        self._put(connection, change.puts, actor)
        if change.operation is not None:
            self._open(connection, change.operation, actor)
        for order in change.jobs:
            self.jobs.enqueue(
                connection, order.job, order.id, order.arguments, delay_seconds=order.delay_seconds, partition=order.partition
            )
        record = Record(
            at=self.now(),
            actor=actor.id,
            action=action,
            target=target,
            outcome="accepted",
            detail={"puts": len(change.puts), "deletes": len(change.deletes), **change.detail},
            correlation=actor.correlation,
        )
        append(connection, [record])

    def _put(self, connection: Connection, puts: Sequence[Resource], actor: Actor) -> None:
        for start in range(0, len(puts), _CHUNK):
            part = puts[start : start + _CHUNK]
            keys = [resource.id.key for resource in part]
            known = {row.key: from_row(row) for row in connection.execute(select(resources).where(resources.c.key.in_(keys)))}
            _require_places(connection, part)
            _require_unique(connection, part)
            stamped = [self._stamp(resource, known.get(resource.id.key), actor) for resource in part]
            dialect.upsert(connection, resources, [to_row(resource, self.new_guid()) for resource in stamped], keep=("created_at", "id"))
            _retag(connection, stamped, known)
            pairs = [(known[resource.id.key], resource) for resource in stamped if resource.id.key in known]
            history.record_updates(connection, pairs, actor, self.new_guid)
            for arrival, came in self._arrived(stamped).items():
                arrival(connection, came)

    def _arrived(self, stamped: Sequence[Resource]) -> dict[Arrival, list[Resource]]:
        """What was put, by what follows it."""
        found: dict[Arrival, list[Resource]] = {}
        for resource in stamped:
            arrival = self.arrivals.get(resource.id.type.lower())
            if arrival is not None:
                found.setdefault(arrival, []).append(resource)
        return found

    def _stamp(self, resource: Resource, old: Resource | None, actor: Actor) -> Resource:
        now = self.now()
        made = None if old is None else old.system
        return replace(
            resource,
            system=SystemData(
                created_by=made.created_by if made else actor.id,
                created_by_kind=made.created_by_kind if made else actor.kind,
                created_at=made.created_at if made else now,
                changed_by=actor.id,
                changed_by_kind=actor.kind,
                changed_at=now,
            ),
        )

    def _delete(self, connection: Connection, ids: Sequence[ResourceId], actor: Actor) -> None:
        gone = _below(connection, [id.key for id in ids])
        by_kind: dict[str, list[str]] = {}
        for key, kind in gone.items():
            by_kind.setdefault(kind, []).append(key)
        for kind, removal in self.removals.items():
            if kind in by_kind:
                removal(connection, by_kind[kind])
        history.record_deletes(connection, list(gone), actor, self.now(), self.new_guid)
        keys = list(gone)
        for start in range(0, len(keys), _CHUNK):
            part = keys[start : start + _CHUNK]
            connection.execute(delete(resource_tags).where(resource_tags.c.resource.in_(part)))
            connection.execute(delete(resources).where(resources.c.key.in_(part)))

    def _open(self, connection: Connection, order: OperationOrder, actor: Actor) -> None:
        connection.execute(
            insert(operations).values(
                id=order.id,
                resource=str(order.resource),
                kind=order.kind,
                status="Succeeded" if order.done else "Accepted",
                started_at=self.now(),
                ended_at=self.now() if order.done else None,
                location=order.location,
                subscription=order.resource.subscription.lower(),
                caller=actor.id,
            )
        )


def _require_places(connection: Connection, puts: Sequence[Resource]) -> None:
    """What lies in a group needs that group, and one that is not on its way out; what lies in or extends a resource needs that resource.

    They are held until the transaction ends, so that neither goes away under what is being put.
    """
    here = {resource.id.key for resource in puts}
    groups = {group.key: group for r in puts if r.id.group and (group := group_id(r.id.subscription, r.id.group)).key != r.id.key}
    parents = {above.key: above for r in puts if (above := r.id.parent) is not None and above.namespace != RESOURCES}
    held = _hold(connection, sorted({*groups, *parents} - here))
    for key, group in groups.items():
        if key not in held and key not in here:
            raise ArmError("ResourceGroupNotFound", f"Resource group '{group.name}' could not be found. Create it first.", status=404)
        if key in held and held[key].properties.get("provisioningState") == "Deleting":
            raise conflict(f"Resource group '{group.name}' is being deleted. Wait for its end.", code="ResourceGroupBeingDeleted")
    for key, parent in parents.items():
        if key not in held and key not in here:
            raise ArmError("ParentResourceNotFound", f"'{parent}' was not found; what lies in it needs it.", status=404, target=str(parent))


def _hold(connection: Connection, keys: Sequence[str]) -> dict[str, Resource]:
    """Resources by key, kept from changing (not from being read) until the transaction ends."""
    found: dict[str, Resource] = {}
    for start in range(0, len(keys), _CHUNK):
        part = select(resources).where(resources.c.key.in_(keys[start : start + _CHUNK])).order_by(resources.c.key)
        found.update((row.key, from_row(row)) for row in connection.execute(part.with_for_update(read=True)))
    return found


def _require_unique(connection: Connection, puts: Sequence[Resource]) -> None:
    """What must be unique in the tenant is. Those who ask for the same take turns."""
    for unique, resource in sorted(((one.unique, one) for one in puts if one.unique is not None), key=lambda pair: pair[0]):
        dialect.lock_name(connection, f"unique:{unique}")
        others = (resources.c.unique_key == unique, resources.c.key != resource.id.key)
        taken = connection.execute(select(resources.c.id).where(*others)).scalar()
        if taken is not None:
            raise _duplicate(unique, resource, taken)


def _duplicate(unique: str, resource: Resource, taken: str) -> ArmError:
    """What there is already; a role is told as one, by whom, which and where."""
    if unique.startswith("assignment:"):
        given = resource.properties
        role = role_named(str(given["roleDefinitionId"]))
        told = f"{given['principalId']} has the role {role.name if role else given['roleDefinitionId']} at {given['scope']} already."
        return conflict(f"{told} Nothing was changed.", target=taken, code="RoleAssignmentExists")
    what = unique.rpartition(":")[2]
    return conflict(f"'{what}' is in use by '{taken}' already; delete that one first.", target=taken, code="DuplicateResource")


def _below(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """The given resources and everything that lies in or extends them: key to type. Each level is locked before the next is looked for."""
    found: dict[str, str] = {}
    edge = _locked(connection, resources.c.key, keys)
    while edge:
        found.update(edge)
        edge = {key: kind for key, kind in _locked(connection, resources.c.parent, list(edge)).items() if key not in found}
    return found


def _locked(connection: Connection, column: Column[Any], values: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(values), _CHUNK):
        part = select(resources.c.key, resources.c.type).where(column.in_(values[start : start + _CHUNK])).order_by(resources.c.key)
        found.update((row.key, row.type) for row in connection.execute(part.with_for_update()))
    return found


def _retag(connection: Connection, puts: Sequence[Resource], known: Mapping[str, Resource]) -> None:
    changed = [r for r in puts if dict(r.tags) != dict(known[r.id.key].tags if r.id.key in known else {})]
    if not changed:
        return
    connection.execute(delete(resource_tags).where(resource_tags.c.resource.in_([resource.id.key for resource in changed])))
    rows = [{"resource": r.id.key, "name": name.lower(), "value": value} for r in changed for name, value in r.tags.items()]
    if rows:
        connection.execute(insert(resource_tags), rows)
