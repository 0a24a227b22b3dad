"""The connectors of a subscription with their solution configurations, and the numbers of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from isthmus.arm.envelope import Resource
from isthmus.engine.rows import from_row
from isthmus.solutions import inventory, ledger
from isthmus.solutions.onboard.statuses import by_word
from isthmus.solutions.subject import CONFIGURATIONS, CONNECTORS
from isthmus.store.tables import instances, operations, projections, resources, scopes


@dataclass(frozen=True, kw_only=True, slots=True)
class Connected:
    """One connector and its solution configurations, in the order of their keys."""

    connector: Resource
    solutions: tuple[Resource, ...]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.connector.id.name

    @property
    def account(self) -> str:
        """The AWS account."""
        return str(self.connector.properties["awsCloudProfile"]["accountId"])

    @property
    def last_scan(self) -> str | None:
        """When its inventory was last read to the end, as ARM writes instants; None before the first time."""
        found = (one.properties.get("lastSyncTime") for one in self.solutions if one.properties["solutionType"] == inventory.TYPE)
        return next(found, None)


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
    found = connection.execute(select(resources).where(*wanted).order_by(resources.c.key)).all()
    below: dict[str, list[Resource]] = {}
    for row in found:
        if row.type == CONFIGURATIONS.lower():
            below.setdefault(row.parent, []).append(from_row(row))
    heads = [row for row in found if row.type == CONNECTORS.lower()]
    return [Connected(connector=from_row(row), solutions=tuple(below.get(row.key, ()))) for row in heads]


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
