"""Listing one type in one region: its pages, the details of its rows, their tags, and what its child types need of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeVar

from jmespath.exceptions import JMESPathError

from isthmus.clouds.aws.catalog import PARENT, TAGGING, AwsType, Detail, path
from isthmus.clouds.aws.gate import Gates
from isthmus.clouds.aws.outcomes import Blocked, Failure
from isthmus.clouds.aws.session import HOMES
from isthmus.clouds.aws.shape import Projector, flatten_tags
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.aws.wire.models import operation as find_operation
from isthmus.clouds.aws.wire.paging import Cursor
from isthmus.clouds.contract import Cell, Item

FAILED: Final = (AwsError, AwsTransportError, Blocked)
FAN: Final = 8
"""Calls that one cell keeps in flight at most."""
HOPELESS: Final = 3
"""Denials of one detail, without a success, after which a listing stops asking for it."""

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """One list to follow: the parameters its parent gives, what the parent shows, and the region that answers."""

    region: str
    params: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)


@cache
def projector(entry: AwsType, partition: str) -> Projector:
    """The projector of a type."""
    return Projector(entry, partition, HOMES[partition])


def starts_of(child: AwsType, rows: Iterable[Row], region: str, home: str) -> list[Start]:
    """What a child type needs of its parent's rows; nothing else of them is kept."""
    parent = child.parent
    if parent is None:
        return []
    found = []
    for row in rows:
        params = path(parent.params)(row) if parent.params else {}
        shown = path(parent.shows)(row) if parent.shows else {}
        place = (path(parent.region)(row) or home) if parent.region else region
        found.append(Start(region=place, params=params, shown=params | shown))
    return found


async def each(tasks: Iterable[T], work: Callable[[T], Awaitable[None]], limit: int = FAN) -> None:
    """Do the work for every task, `limit` at a time. An exception ends the rest."""
    waiting = iter(tasks)

    async def drain() -> None:
        for task in waiting:
            await work(task)

    async with asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(drain())


class TagIndex:
    """Tags from the tagging API: one sweep per region for all types that need it, made when the first row asks."""

    def __init__(self, gates: Gates, names: Mapping[str, Collection[str]]) -> None:
        self._gates = gates
        self._names = names
        self._swept: dict[str, asyncio.Task[dict[str, dict[str, str]]]] = {}

    async def of(self, region: str) -> Mapping[str, Mapping[str, str]]:
        """Tags by ARN; raises what a call raises, for every caller."""
        if region not in self._swept:
            self._swept[region] = asyncio.ensure_future(self._sweep(region))
        return await asyncio.shield(self._swept[region])

    async def _sweep(self, region: str) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        params = {"ResourceTypeFilters": sorted(self._names[region])}
        async for page in follow(self._gates, "resourcegroupstaggingapi:GetResources", params, region):
            for row in page.get("ResourceTagMappingList") or ():
                found[row["ResourceARN"]] = flatten_tags(row.get("Tags"))
        return found

    async def close(self) -> None:
        """End sweeps that nobody waits for any more."""
        for task in self._swept.values():
            task.cancel()
        await asyncio.gather(*self._swept.values(), return_exceptions=True)


async def follow(gates: Gates, operation: str, params: Mapping[str, Any], region: str) -> AsyncIterator[Row]:
    """Every page of a list."""
    cursor = Cursor(find_operation(operation), params, region=region)
    while cursor.params is not None:
        page = await gates.call(operation, cursor.params, region=region)
        cursor.advance(page)
        yield page


class Listing:
    """One type in one region of one scan.

    `failure` is the first failure of a child's list (a list without a parent raises instead); `shortfalls` say which details are missing.
    """

    def __init__(self, entry: AwsType, *, gates: Gates, tags: TagIndex, partition: str, region: str) -> None:
        self.entry = entry
        self.failure: Failure | None = None
        self.shortfalls: dict[str, None] = {}
        self._gates = gates
        self._tags = tags
        self._region = region
        self._home = HOMES[partition]
        self._projector = projector(entry, partition)
        self._sweeps: dict[str, dict[Any, Row]] = {}
        self._denials: dict[str, int] = {}
        self._complete: set[str] = set()

    async def read(self, starts: Sequence[Start], take: Callable[[list[Row], Start], Awaitable[None]]) -> None:
        """Hand over every page's rows as they come. A parent that vanished meanwhile has no rows."""
        if self.entry.parent is None:
            await self._follow(starts[0], take)
            return

        async def one(start: Start) -> None:
            try:
                await self._follow(start, take)
            except FAILED as error:
                self.failure = self.failure or self._gates.judge(error)

        await each(starts, one)

    async def _follow(self, start: Start, take: Callable[[list[Row], Start], Awaitable[None]]) -> None:
        if not self.entry.list:
            await take(self._rows(start.shown, start), start)
            return
        try:
            async for page in follow(self._gates, self.entry.list, {**self.entry.params, **start.params}, start.region):
                await take(self._rows(page, start), start)
        except AwsError as error:
            if error.code not in self.entry.none:
                raise

    def _rows(self, page: Mapping[str, Any], start: Start) -> list[Row]:
        found = path(self.entry.items)(page)
        if found is None:
            return []
        rows = [dict(row) for row in (found if isinstance(found, list) else [found])]
        if self.entry.parent:
            for row in rows:
                row[PARENT] = start.shown
        return rows

    async def items(self, cell: Cell, rows: list[Row], start: Start) -> list[Item]:
        """The items of a page's rows, completed by details and tags. A failed detail or tag costs the item nothing but that."""
        partial: set[int] = set()
        for detail in self.entry.details:
            partial |= await self._detail(detail, rows, start)
        cleaned = [self._projector.clean(row) for row in rows]
        found = []
        by_arn = await self._tagged() if self.entry.tags == TAGGING and cleaned else {}
        read = path(self.entry.tags) if self.entry.tags and self.entry.tags != TAGGING else None
        for index, row in enumerate(cleaned):
            tags = flatten_tags(read(row)) if read else dict((by_arn or {}).get(self._projector.arn(row, cell), {}))
            item = self._projector.item(cell, row, tags, partial=index in partial or by_arn is None)
            if not item.id:
                raise ValueError(f"{self.entry.list} answered a row without {self.entry.id}")
            found.append(item)
        return found

    async def _tagged(self) -> Mapping[str, Mapping[str, str]] | None:
        try:
            return await self._tags.of(self._region)
        except FAILED as error:
            self._fall_short(error)
            return None

    async def _detail(self, detail: Detail, rows: list[Row], start: Start) -> set[int]:
        """Complete the rows; the indices of those that could not be."""
        partial: set[int] = set()
        if detail.batch == 0:
            return partial if await self._sweep(detail, rows, start) else set(range(len(rows)))

        async def one(chunk: range) -> None:
            if not await self._ask(detail, [rows[index] for index in chunk], start):
                partial.update(chunk)

        await each([range(at, min(at + detail.batch, len(rows))) for at in range(0, len(rows), detail.batch)], one)
        return partial

    async def _ask(self, detail: Detail, rows: list[Row], start: Start) -> bool:
        if self._denials.get(detail.operation, 0) >= HOPELESS and detail.operation not in self._complete:
            return False
        params = path(detail.params)(rows[0] if detail.batch == 1 else rows)
        region = (path(detail.region)(rows[0]) or self._home) if detail.region else start.region
        try:
            answer = path(detail.items)(await self._gates.call(detail.operation, params, region=region))
        except AwsError as error:
            return error.code in detail.none or self._fall_short(error)
        except (AwsTransportError, Blocked, JMESPathError) as error:
            return self._fall_short(error)
        self._complete.add(detail.operation)
        if detail.batch == 1:
            lay(rows[0], answer, detail.into)
        elif detail.key:
            pair(rows, answer or [], detail)
        return True

    async def _sweep(self, detail: Detail, rows: list[Row], start: Start) -> bool:
        """Sweep once for all pages of this listing. A denial is remembered: it would only repeat itself."""
        if self._denials.get(detail.operation):
            return False
        if detail.operation not in self._sweeps:
            table: dict[Any, Row] = {}
            params = path(detail.params)({}) if detail.params else {}
            try:
                async for page in follow(self._gates, detail.operation, params, start.region):
                    for found in path(detail.items)(page) or ():
                        table[path(detail.key[1])(found) if detail.key else None] = found
            except FAILED as error:
                self._denials[detail.operation] = 1
                return self._fall_short(error)
            self._sweeps[detail.operation] = table
        for row in rows:
            lay(row, self._sweeps[detail.operation].get(path(detail.key[0])(row) if detail.key else None), detail.into)
        return True

    def _fall_short(self, error: Exception) -> bool:
        failure = self._gates.judge(error) if isinstance(error, FAILED) else Failure(outcome="error", reason=str(error))
        if isinstance(error, AwsError) and failure.outcome in ("denied", "scp"):
            self._denials[error.operation] = self._denials.get(error.operation, 0) + 1
        if len(self.shortfalls) < HOPELESS:
            self.shortfalls[failure.reason] = None
        return False


def lay(row: Row, found: Any, into: str) -> None:
    """Lay what a detail answered over a row, or put it into one member of it."""
    if found is None:
        return
    if into:
        row[into] = found
    else:
        row.update({name: value for name, value in found.items() if value is not None})


def pair(rows: Sequence[Row], found: Iterable[Row], detail: Detail) -> None:
    """Lay each answered object over its row. A row without one vanished meanwhile and keeps what the list said."""
    if detail.key is None:
        return
    ours, theirs = path(detail.key[0]), path(detail.key[1])
    by_key = {theirs(each): each for each in found}
    for row in rows:
        lay(row, by_key.get(ours(row)), detail.into)
