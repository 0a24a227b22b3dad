"""Instances of a whole subscription as people browse them: filtered, ordered, counted in the database, with their machines beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, RowMapping, and_, func, or_, select, union

from isthmus.solutions import places
from isthmus.solutions.subject import CONFIGURATIONS
from isthmus.store.tables import instance_events, instances, projections, registrations, resources

MOST_EVENTS = 200
"""Events of an instance that are told, the newest."""

_CHUNK = 400
_solution = resources.alias("solution")
_machine = resources.alias("machine")
_PROJECTION = f"/providers/{places.AWS_CONNECTOR}/ec2Instances/default".lower()
_NAME = func.coalesce(projections.c.name, instances.c.instance_id)

ORDERS: Mapping[str, ColumnElement[Any]] = MappingProxyType(
    {
        "id": instances.c.key,
        "name": _NAME,
        "state": instances.c.state,
        "code": instances.c.code,
        "account": instances.c.account,
        "region": instances.c.region,
        "since": instances.c.since,
        "nextRetry": instances.c.next_at,
    }
)
"""What a list can be ordered by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which instances. Empty fields do not filter; `states` None means all, `connector` is a key, `name` a part of id, ARN or AWS name.

    `changed_after` (epoch milliseconds) leaves those whose onboarding or whose machine has changed since.
    """

    subscription: str
    states: Collection[str] | None = None
    code: str = ""
    account: str = ""
    region: str = ""
    connector: str = ""
    name: str = ""
    changed_after: int | None = None
    key: str = ""

    def clauses(self) -> list[ColumnElement[bool]]:
        """As SQL over `_narrow`, with a name over `_named`."""
        found = [*_of(self.subscription, self.connector)]
        equal = ((instances.c.code, self.code), (instances.c.account, self.account), (instances.c.region, self.region))
        found += [column == value for column, value in (*equal, (instances.c.key, self.key)) if value]
        if self.states is not None:
            found.append(instances.c.state.in_(sorted(self.states)))
        if self.name:
            part = self.name.lower()
            words = and_(projections.c.words.isnot(None), projections.c.words.contains(part, autoescape=True))
            found.append(or_(instances.c.instance_id.contains(part, autoescape=True), words))
        if self.changed_after is not None:
            found.append(instances.c.key.in_(_changed(self.changed_after)))
        return found


def page(connection: Connection, wanted: Wanted, *, order: str, descends: bool, skip: int, top: int) -> Sequence[RowMapping]:
    """Rows of `instances` with what is known of solution, machine and registration; see `_columns`.

    Which rows is asked first, of narrow rows: sorting those with everything beside them costs several times as much.
    """
    column = ORDERS[order]
    by = (column.desc(), instances.c.key.desc()) if descends else (column, instances.c.key)
    source = _named(wanted.subscription) if wanted.name or order == "name" else _narrow()
    chosen = select(instances.c.key).select_from(source).where(*wanted.clauses()).order_by(*by).offset(skip).limit(top)
    keys = list(connection.execute(chosen).scalars())
    query = select(*_columns()).select_from(_joined(wanted.subscription))
    found: dict[str, RowMapping] = {}
    for start in range(0, len(keys), _CHUNK):
        part = query.where(instances.c.key.in_(keys[start : start + _CHUNK]))
        found.update((row["key"], row) for row in connection.execute(part).mappings())
    return [found[key] for key in keys if key in found]


def count(connection: Connection, wanted: Wanted) -> int:
    """How many there are."""
    source = _named(wanted.subscription) if wanted.name else _narrow()
    return int(connection.execute(select(func.count()).select_from(source).where(*wanted.clauses())).scalar() or 0)


def counts(connection: Connection, subscription: str, connector: str) -> dict[tuple[str, str], int]:
    """How many are in each state and code, of a subscription or of one connector (its key)."""
    columns = (instances.c.state, instances.c.code)
    query = select(*columns, func.count()).select_from(_narrow()).where(*_of(subscription, connector)).group_by(*columns)
    return {(state, code): int(number) for state, code, number in connection.execute(query)}


def events(connection: Connection, key: str) -> Sequence[RowMapping]:
    """What happened to an instance, newest first, at most `MOST_EVENTS`."""
    mine = select(instance_events).where(instance_events.c.instance_key == key)
    newest = mine.order_by(instance_events.c.at.desc(), instance_events.c.id.desc()).limit(MOST_EVENTS)
    return connection.execute(newest).mappings().all()


def _of(subscription: str, connector: str) -> tuple[ColumnElement[bool], ...]:
    mine = (_solution.c.type == CONFIGURATIONS.lower(), _solution.c.subscription == subscription.lower())
    return (*mine, _solution.c.parent == connector) if connector else mine


def _narrow() -> FromClause:
    return instances.join(_solution, instances.c.solution == _solution.c.key)


def _named(subscription: str) -> FromClause:
    """With what people call an instance in AWS, where inventory knows it."""
    of_type = (projections.c.subscription == subscription.lower(), projections.c.type == "ec2Instances")
    return _narrow().outerjoin(projections, and_(projections.c.key == instances.c.machine + _PROJECTION, *of_type))


def _joined(subscription: str) -> FromClause:
    return (
        _named(subscription)
        .outerjoin(_machine, instances.c.machine == _machine.c.key)
        .outerjoin(registrations, instances.c.machine == registrations.c.resource)
    )


def _columns() -> tuple[ColumnElement[Any], ...]:
    """Every column of instances, and: solution_id, machine_id, machine_document, aws_name, last_heartbeat, enrolled_at."""
    return (
        *instances.c,
        _solution.c.id.label("solution_id"),
        _machine.c.id.label("machine_id"),
        _machine.c.document.label("machine_document"),
        projections.c.name.label("aws_name"),
        registrations.c.last_heartbeat,
        registrations.c.enrolled_at,
    )


def _changed(after: int) -> Any:
    """Keys of what has changed, each half by an index of its own."""
    moved = select(instances.c.key).where(instances.c.since > after)
    machines = and_(resources.c.type == places.MACHINES.lower(), resources.c.changed_at > after)
    spoke = select(instances.c.key).join(resources, resources.c.key == instances.c.machine).where(machines)
    return union(moved, spoke)
