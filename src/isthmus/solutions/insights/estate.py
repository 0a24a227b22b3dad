"""The connectors of a subscription with their solution configurations, and the numbers of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Select, String, bindparam, func, select

from isthmus.arm.ids import stored
from isthmus.solutions import inventory, ledger
from isthmus.solutions.onboard.statuses import by_word
from isthmus.solutions.subject import CONFIGURATIONS, CONNECTORS
from isthmus.store.tables import instances, operations, projections, resources, scopes

# Queries are written once, when the program is read, and say "this subscription" by these: building one takes as long as running it.
MINE = bindparam("subscription", type_=String)
_FIRST = bindparam("first", type_=String)
_PAST = bindparam("past", type_=String)


def values(subscription: str) -> dict[str, str]:
    """What the parameters of queries over a subscription stand for; `0` is what follows the slash at the end of their keys' beginning."""
    mine = subscription.lower()
    return {"subscription": mine, "first": f"/subscriptions/{mine}/", "past": f"/subscriptions/{mine}0"}


def within(column: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Keys of resources that lie in the subscription."""
    return column >= _FIRST, column < _PAST


SOLUTIONS = select(resources.c.key).where(resources.c.type == CONFIGURATIONS.lower(), resources.c.subscription == MINE)
"""The keys of the solution configurations of the subscription, for use in another query."""
TROUBLED = (scopes.c.outcome.in_(ledger.TROUBLED), *within(scopes.c.solution))
"""Scopes of the subscription that could not be listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """A solution configuration, as far as one looks at many; times in epoch milliseconds, `last_sync` as ARM writes instants."""

    id: str
    key: str
    name: str
    type: str
    status: str
    details: str
    last_sync: str | None
    created_at: int
    changed_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Connected:
    """One connector and its solution configurations, in the order of their keys."""

    id: str
    key: str
    name: str
    group: str
    location: str
    account: str
    guid: str
    state: str
    is_organization: bool
    changed_at: int
    solutions: tuple[Solution, ...]

    @property
    def last_scan(self) -> str | None:
        """When its inventory was last read to the end; None before the first time."""
        return next((one.last_sync for one in self.solutions if one.type == inventory.TYPE), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Numbers by connector: `resources` by account, `gaps` and `machines` (by status word) by the key of the solution configuration."""

    resources: Mapping[str, int]
    gaps: Mapping[str, int]
    machines: Mapping[str, Mapping[str, int]]


_CONNECTED = (
    select(*(resources.c[name] for name in ("key", "id", "type", "name", "parent", "location", "created_at", "changed_at", "document")))
    .where(resources.c.type.in_((CONNECTORS.lower(), CONFIGURATIONS.lower())), resources.c.subscription == MINE)
    .order_by(resources.c.key)
)


def connected(connection: Connection, subscription: str) -> list[Connected]:
    """Every connector of a subscription, in the order of their keys: one query."""
    found = connection.execute(_CONNECTED, values(subscription)).all()
    below: dict[str, list[Solution]] = {}
    for row in found:
        if row.type == CONFIGURATIONS.lower():
            below.setdefault(row.parent, []).append(_solution(row))
    return [_connected(row, below.get(row.key, ())) for row in found if row.type == CONNECTORS.lower()]


def _solution(row: Row[Any]) -> Solution:
    told = orjson.loads(row.document)["properties"]
    return Solution(
        id=row.id,
        key=row.key,
        name=row.name,
        type=told["solutionType"],
        status=told.get("status", ""),
        details=told.get("statusDetails", ""),
        last_sync=told.get("lastSyncTime"),
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def _connected(row: Row[Any], solutions: Sequence[Solution]) -> Connected:
    told = orjson.loads(row.document)["properties"]
    profile = told["awsCloudProfile"]
    return Connected(
        id=row.id,
        key=row.key,
        name=row.name,
        group=stored(row.id).group,
        location=row.location,
        account=profile["accountId"],
        guid=told["connectorPrimaryIdentifier"],
        state=told.get("provisioningState", "Succeeded"),
        is_organization=profile.get("isOrganizationalAccount", False),
        changed_at=row.changed_at,
        solutions=tuple(solutions),
    )


_GAPS = select(scopes.c.solution, func.count()).where(*TROUBLED).group_by(scopes.c.solution)
_BY_ACCOUNT = select(projections.c.account, func.count()).where(projections.c.subscription == MINE).group_by(projections.c.account)
_MACHINES = (
    select(instances.c.solution, instances.c.state, func.count())
    .where(instances.c.solution.in_(SOLUTIONS))
    .group_by(instances.c.solution, instances.c.state)
)


def figures(connection: Connection, subscription: str) -> Figures:
    """The numbers of every connector of a subscription: three aggregates."""
    of = values(subscription)
    return Figures(resources=_pairs(connection, _BY_ACCOUNT, of), gaps=_pairs(connection, _GAPS, of), machines=_machines(connection, of))


def _machines(connection: Connection, of: Mapping[str, str]) -> dict[str, dict[str, int]]:
    by_state: dict[str, dict[tuple[str, str], int]] = {}
    for solution, state, number in connection.execute(_MACHINES, of):
        by_state.setdefault(solution, {})[state, ""] = int(number)
    return {solution: by_word(states) for solution, states in by_state.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A subscription in numbers. `machines` by status word, those that are gone left out."""

    connectors: int
    accounts: int
    resources: int
    types: int
    gaps: int
    machines: Mapping[str, int]
    running: int


def _types() -> Select[Any]:
    """How many types have projections: from each to the next by the index, since counting all rows for a few dozen types is slow."""
    mine = projections.c.subscription == MINE
    kinds = select(func.min(projections.c.type).label("type")).where(mine).cte("kinds", recursive=True)
    following = select(func.min(projections.c.type)).where(mine, projections.c.type > kinds.c.type).scalar_subquery()
    kinds = kinds.union_all(select(following).where(kinds.c.type.isnot(None)))
    return select(func.count(kinds.c.type))


_HEADS = select(func.count(), func.count(resources.c.unique_key.distinct())).where(
    resources.c.type == CONNECTORS.lower(), resources.c.subscription == MINE
)
_HELD = select(func.count()).select_from(projections).where(projections.c.subscription == MINE)
_TYPES = _types()
_ALL_GAPS = select(func.count()).select_from(scopes).where(*TROUBLED)
_RUNNING = select(func.count()).select_from(operations).where(operations.c.ended_at.is_(None), operations.c.subscription == MINE)


def summary(connection: Connection, subscription: str) -> Summary:
    """The numbers of a subscription."""
    of = values(subscription)
    heads, distinct = connection.execute(_HEADS, of).one()
    resources, types, gaps, running = (int(connection.execute(query, of).scalar() or 0) for query in (_HELD, _TYPES, _ALL_GAPS, _RUNNING))
    machines: dict[str, int] = {}
    for words in _machines(connection, of).values():
        machines = {word: machines.get(word, 0) + number for word, number in words.items()}
    return Summary(
        connectors=int(heads),
        accounts=int(distinct),
        resources=resources,
        types=types,
        gaps=gaps,
        machines={word: number for word, number in machines.items() if word != "gone"},
        running=running,
    )


def _pairs(connection: Connection, query: Select[Any], of: Mapping[str, str]) -> dict[str, int]:
    found: Sequence[Any] = connection.execute(query, of).all()
    return {key: int(number) for key, number in found}
