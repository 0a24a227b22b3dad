"""Looking through projections: a window of an ordered, filtered list; how many there are; what values the filters could take.

Everything is answered from the index (see `stock`), whose orders hold what the plain filters look at. Text is searched by reading the whole
table once. Nothing runs without an end: what takes too long is broken off and said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, func, or_, select

from isthmus.arm.errors import invalid
from isthmus.solutions.stock import BETWEEN
from isthmus.store import Store, dialect
from isthmus.store.tables import projections, resources

_P = projections.c
_REST = ("resource_group", "id")
ORDERS: Mapping[str, tuple[str, ...]] = {
    "type": ("type", "account", "region", "name", *_REST),
    "name": ("name", "type", "account", "region", *_REST),
    "region": ("region", "account", "type", "name", *_REST),
    "account": ("account", "region", "type", "name", *_REST),
    "changedAt": ("changed_at", "id"),
}
"""What a list can be ordered by, with what decides between equals. Each is an index."""
SAMPLE = 20_000
"""Rows that facets look at when there is no time for all."""
_ALL = 2**31
MOST_VALUES = 10_000
"""Values of one facet, those with the most rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What a list is narrowed to; empty (None for the region, whose empty name is that of global resources) narrows nothing.

    `name` is part of a name, id or ARN. `tag` is a tag's name, or name and value joined by a colon. Both are without regard to case.
    """

    subscription: str
    group: str = ""
    account: str = ""
    region: str | None = None
    type: str = ""
    name: str = ""
    tag: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facets:
    """How many rows there are, and how many with each account, region and type, the most frequent first.

    Figures that are not `is_complete` are of a part of the rows, since there was no time for all; or some values were left out.
    """

    total: int
    accounts: Sequence[tuple[str, int]]
    regions: Sequence[tuple[str, int]]
    types: Sequence[tuple[str, int]]
    is_complete: bool


@dataclass(frozen=True, kw_only=True)
class Browser:
    """Reads the index. Limits are in seconds."""

    store: Store
    list_seconds: float = 5.0
    count_seconds: float = 1.0
    facet_seconds: float = 1.0

    def window(self, wanted: Filters, *, order: str, descends: bool, skip: int, top: int) -> tuple[list[Row[Any]], bool]:
        """Rows of the index with `resource_id` and `document` of their resources, and whether more follow.

        Raises ArmError 400 `FilterTooBroad` when the time does not suffice.
        """
        columns = [_P[name].desc() if descends else _P[name] for name in ORDERS[order]]
        with self.store.read() as connection:
            try:
                with dialect.limit_time(connection, self.list_seconds):
                    found = select(_P.id).where(*_clauses(connection, wanted)).order_by(*columns).limit(top + 1).offset(skip)
                    numbers = list(connection.execute(found).scalars())
            except dialect.TimeIsUp:
                what = f"The list takes longer than {self.list_seconds:g} seconds. Narrow it by account, region or type."
                raise invalid(what, target="name", code="FilterTooBroad") from None
            return rows_of(connection, numbers[:top]), len(numbers) > top

    def count(self, wanted: Filters) -> int | None:
        """How many rows there are; None when counting them takes too long."""
        with self.store.read() as connection:
            try:
                with dialect.limit_time(connection, self.count_seconds):
                    found = select(func.count()).select_from(projections).where(*_clauses(connection, wanted))
                    return int(connection.execute(found).scalar() or 0)
            except dialect.TimeIsUp:
                return None

    def facets(self, wanted: Filters) -> Facets:
        """Values of account, region and type among the rows that match all filters; of some rows when there is no time for all."""
        for most in (_ALL, SAMPLE):
            with self.store.read() as connection:
                try:
                    with dialect.limit_time(connection, self.facet_seconds):
                        return _facets(connection, wanted, most)
                except dialect.TimeIsUp:
                    continue
        return Facets(total=0, accounts=(), regions=(), types=(), is_complete=False)


def rows_of(connection: Connection, numbers: Sequence[int]) -> list[Row[Any]]:
    """Rows of the index by number, in that order, with `resource_id` and `document`; those that are gone by now are left out."""
    columns = (projections, resources.c.id.label("resource_id"), resources.c.document)
    found = select(*columns).join(resources, resources.c.key == _P.key).where(_P.id.in_(numbers))
    by_number = {row.id: row for row in connection.execute(found)}
    return [by_number[number] for number in numbers if number in by_number]


def _facets(connection: Connection, wanted: Filters, most: int) -> Facets:
    chosen = _clauses(connection, wanted)
    is_narrow = bool(wanted.account or wanted.type or wanted.region is not None)
    if most < _ALL or wanted.name or wanted.tag:
        # The limit also keeps the order of the groups from choosing how rows are read.
        part = select(_P.account, _P.region, _P.type).where(*chosen).limit(most).subquery()
        counted = _cells(connection, select(part.c.account, part.c.region, part.c.type, func.count()).group_by(*part.c))
    elif is_narrow:
        cells = (_P.account, _P.region, _P.type)
        counted = _cells(connection, select(*cells, func.count()).where(*chosen).group_by(*cells))
    else:
        counted = [_grouped(connection, column, chosen) for column in (_P.account, _P.region, _P.type)]
    total = sum(counted[0].values())
    ranked = [sorted(one.items(), key=lambda pair: (-pair[1], pair[0])) for one in counted]
    return Facets(
        total=total,
        accounts=ranked[0][:MOST_VALUES],
        regions=ranked[1][:MOST_VALUES],
        types=ranked[2][:MOST_VALUES],
        is_complete=total < most and all(len(one) <= MOST_VALUES for one in ranked),
    )


def _grouped(connection: Connection, column: Column[str], chosen: Iterable[ColumnElement[bool]]) -> Counter[str]:
    found = connection.execute(select(column, func.count()).where(*chosen).group_by(column))
    return Counter({str(value): int(number) for value, number in found})


def _cells(connection: Connection, found: Select[*tuple[Any, ...]]) -> list[Counter[str]]:
    """The three facets from how many rows each account, region and type have together."""
    counted: list[Counter[str]] = [Counter(), Counter(), Counter()]
    for *values, number in connection.execute(found):
        for counter, value in zip(counted, values, strict=True):
            counter[value] += number
    return counted


def _clauses(connection: Connection, wanted: Filters) -> list[ColumnElement[bool]]:
    reads_all = bool(wanted.name or wanted.tag) and not (wanted.account or wanted.type or wanted.region is not None)
    place = dialect.unindexed(connection, _P.subscription) if reads_all else _P.subscription
    clauses: list[ColumnElement[bool]] = [place == wanted.subscription.lower()]
    if wanted.group:
        clauses.append(_P.resource_group == wanted.group.lower())
    if wanted.account:
        clauses.append(_P.account == wanted.account)
    if wanted.region is not None:
        clauses.append(_P.region == wanted.region)
    if wanted.type:
        clauses.append(_P.type == wanted.type)
    if wanted.name:
        clauses.append(dialect.contains(connection, _P.words, wanted.name.lower()))
    if wanted.tag:
        clauses.append(or_(*(dialect.contains(connection, _P.tags, line) for line in _lines(wanted.tag.lower()))))
    return clauses


def _lines(tag: str) -> list[str]:
    """What a tag's line can hold: names of AWS have colons of their own, so each colon may be the one before the value."""
    parts = tag.split(":")
    pairs = [(":".join(parts[:place]), ":".join(parts[place:])) for place in range(1, len(parts))]
    return [f"\n{tag}{BETWEEN}", *(f"\n{name}{BETWEEN}{value}\n" for name, value in pairs if name)]
