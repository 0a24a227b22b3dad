"""The connectors of a subscription with their solution configurations, and the numbers of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from isthmus.arm.ids import stored
from isthmus.solutions import inventory, ledger
from isthmus.solutions.onboard.statuses import by_word
from isthmus.solutions.subject import CONFIGURATIONS, CONNECTORS
from isthmus.store.tables import instances, operations, projections, resources, scopes


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


def connected(connection: Connection, subscription: str) -> list[Connected]:
    """Every connector of a subscription, in the order of their keys: one query."""
    kinds = (CONNECTORS.lower(), CONFIGURATIONS.lower())
    wanted = (resources.c.type.in_(kinds), resources.c.subscription == subscription.lower())
    names = ("key", "id", "type", "name", "parent", "location", "created_at", "changed_at", "document")
    columns = [resources.c[name] for name in names]
    found = connection.execute(select(*columns).where(*wanted).order_by(resources.c.key)).all()
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


def figures(connection: Connection, subscription: str) -> Figures:
    """The numbers of every connector of a subscription: three aggregates."""
    gaps = select(scopes.c.solution, func.count()).where(*troubled(subscription)).group_by(scopes.c.solution)
    return Figures(
        resources=_by_account(connection, subscription),
        gaps=_pairs(connection, gaps),
        machines=_machines(connection, subscription),
    )


def troubled(subscription: str) -> tuple[ColumnElement[bool], ...]:
    """Scopes of a subscription that could not be listed."""
    return scopes.c.outcome.in_(ledger.TROUBLED), *within(scopes.c.solution, subscription)


def within(column: Any, subscription: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Keys of resources that lie in a subscription; `0` is what follows the slash at the end of their common beginning."""
    start = f"/subscriptions/{subscription.lower()}"
    return column >= f"{start}/", column < f"{start}0"


def _by_account(connection: Connection, subscription: str) -> dict[str, int]:
    mine = projections.c.subscription == subscription.lower()
    return _pairs(connection, select(projections.c.account, func.count()).where(mine).group_by(projections.c.account))


def _machines(connection: Connection, subscription: str) -> dict[str, dict[str, int]]:
    columns = (instances.c.solution, instances.c.state)
    query = select(*columns, func.count()).where(instances.c.solution.in_(solutions_of(subscription))).group_by(*columns)
    by_state: dict[str, dict[tuple[str, str], int]] = {}
    for solution, state, number in connection.execute(query):
        by_state.setdefault(solution, {})[state, ""] = int(number)
    return {solution: by_word(states) for solution, states in by_state.items()}


def solutions_of(subscription: str) -> Select[Any]:
    """The keys of the solution configurations of a subscription, for use in another query."""
    wanted = (resources.c.type == CONFIGURATIONS.lower(), resources.c.subscription == subscription.lower())
    return select(resources.c.key).where(*wanted)


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


def summary(connection: Connection, subscription: str) -> Summary:
    """The numbers of a subscription."""
    mine = (resources.c.type == CONNECTORS.lower(), resources.c.subscription == subscription.lower())
    accounts = select(func.count(), func.count(resources.c.unique_key.distinct())).where(*mine)
    heads, distinct = connection.execute(accounts).one()
    under_way = (operations.c.ended_at.is_(None), operations.c.subscription == subscription.lower())
    held = select(func.count()).select_from(projections).where(projections.c.subscription == subscription.lower())
    machines: dict[str, int] = {}
    for words in _machines(connection, subscription).values():
        machines = {word: machines.get(word, 0) + number for word, number in words.items()}
    return Summary(
        connectors=int(heads),
        accounts=int(distinct),
        resources=_number(connection, held),
        types=_number(connection, _types(subscription)),
        gaps=_number(connection, select(func.count()).select_from(scopes).where(*troubled(subscription))),
        machines={word: number for word, number in machines.items() if word != "gone"},
        running=_number(connection, select(func.count()).select_from(operations).where(*under_way)),
    )


def _types(subscription: str) -> Select[Any]:
    """How many types have projections: from each to the next by the index, since counting all rows for a few dozen types is slow."""
    mine = projections.c.subscription == subscription.lower()
    kinds = select(func.min(projections.c.type).label("type")).where(mine).cte("kinds", recursive=True)
    following = select(func.min(projections.c.type)).where(mine, projections.c.type > kinds.c.type).scalar_subquery()
    kinds = kinds.union_all(select(following).where(kinds.c.type.isnot(None)))
    return select(func.count(kinds.c.type))


def _number(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(query).scalar() or 0)


def _pairs(connection: Connection, query: Select[Any]) -> dict[str, int]:
    found: Sequence[Any] = connection.execute(query).all()
    return {key: int(number) for key, number in found}
