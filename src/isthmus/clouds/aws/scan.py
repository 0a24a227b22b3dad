"""Scanning an account: every selected type in every region, a page at a time, each cell ending in exactly one Listed or Gap.

Selection: regions that are named but not enabled in the account, or unknown to AWS, are gaps. When no region is named, the enabled ones are
meant, and a closed region is none of them: it has no cells, and a log line names it.
Calls: one STS session, one list of regions, each list once (a parent's list is shared by its child types, and made without yielding
anything when only they are selected), details in the largest batches, one sweep of the tagging API per region that has rows needing it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from isthmus.clouds.aws.catalog import HOME, TAGGING, TYPES, AwsType, selected
from isthmus.clouds.aws.gate import Gates
from isthmus.clouds.aws.listing import FAILED, Listing, Row, Start, TagIndex, each, starts_of
from isthmus.clouds.aws.names import role_for
from isthmus.clouds.aws.outcomes import Failure, judge
from isthmus.clouds.aws.own_role import read_role
from isthmus.clouds.aws.permissions import test_permissions
from isthmus.clouds.aws.regions import BY_DEFAULT, ENABLED, opt_in_status
from isthmus.clouds.aws.session import HOMES, Sessions
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import Cell, DeployedRole, Gap, Listed, Reading, ScanTarget, Selection, Verdict

log = structlog.get_logger(__name__)

AT_ONCE: Final = 48
"""Cells that one scan works on at the same time."""
AHEAD: Final = 32
"""Pages that may wait for the reader of a scan."""


class AwsScanner:
    """Reads AWS accounts. One per process and event loop, shared by all scans."""

    def __init__(self, sessions: Sessions, *, types: Mapping[str, AwsType] = TYPES) -> None:
        self._sessions = sessions
        self._types = types

    async def scan(self, target: ScanTarget, selection: Selection, done: Collection[Cell] = ()) -> AsyncGenerator[Reading, None]:
        """Every cell of the selection except those in `done`: its items, then exactly one Listed or Gap for it. Ends early cleanly when
        its reader stops."""
        types = [entry for entry in selected(selection.services) if entry.arm in self._types]
        skip = set(done)
        places, closed = await self._places(target, types, selection, skip)
        cells = []
        for entry in types:
            for region in ("",) if entry.is_global else places:
                cell = Cell(account=target.account, region=region, type=entry.arm)
                if cell in skip:
                    continue
                if (failure := closed.get(region) or closed.get("*")) is not None:
                    yield gap(cell, failure)
                else:
                    cells.append(cell)
        if cells:
            async with aclosing(_Run(self._sessions, target, cells, self._types).readings()) as readings:
                async for reading in readings:
                    yield reading

    async def check(self, target: ScanTarget) -> None:
        """Assume the target's role; PermissionError with a remedy when the account does not trust us, ConnectionError without AWS."""
        with _trust(target):
            await self._sessions.check(target)

    async def test(self, target: ScanTarget, selection: Selection) -> Sequence[Verdict]:
        """A verdict on every action that the target's solution needs; raises what `check` raises."""
        with _trust(target):
            return await test_permissions(self._sessions, target, selection)

    async def role(self, target: ScanTarget) -> DeployedRole:
        """The target's role as it stands in the account; raises what `check` raises, and Unreadable."""
        with _trust(target):
            return await read_role(self._sessions, target)

    async def _places(
        self, target: ScanTarget, types: Sequence[AwsType], selection: Selection, skip: Collection[Cell]
    ) -> tuple[Sequence[str], dict[str, Failure]]:
        """The regions to scan, and the failures of those that cannot be ("*": of all)."""
        wanted = None if selection.regions is None else sorted(set(selection.regions))
        default = BY_DEFAULT[target.partition] if wanted is None else wanted
        regional = [entry for entry in types if not entry.is_global]
        pending = [Cell(account=target.account, region="", type=entry.arm) for entry in types if entry.is_global]
        pending += [Cell(account=target.account, region=region, type=entry.arm) for entry in regional for region in wanted or ()]
        if all(cell in skip for cell in pending) and not (regional and wanted is None):
            return default, {}
        try:
            await self._sessions.credentials(target)
        except (AwsError, AwsTransportError) as error:
            return default, {"*": judge(error, region_answers=False)}
        if not regional or wanted == []:
            return (), {}
        try:
            status = await opt_in_status(self._sessions, target)
        except (AwsError, AwsTransportError) as error:
            log.warning("aws.regions.unknown", account=target.account, error=str(error))
            return default, {}
        shut = sorted(region for region, state in status.items() if state not in ENABLED)
        if wanted is None:
            log.info("aws.regions", account=target.account, closed=shut)
            return sorted(set(status) - set(shut)), {}
        return wanted, {
            region: _closed(region, target, known=region in status) for region in wanted if region in shut or region not in status
        }


@contextmanager
def _trust(target: ScanTarget) -> Iterator[None]:
    """A role that cannot be assumed, in the words of the contract."""
    try:
        yield
    except AwsTransportError as error:
        raise ConnectionError(
            f"AWS STS could not be reached for account {target.account}: {error}. Check this server's network, name resolution and"
            " AWS_ENDPOINT_URL; it is tried again by itself."
        ) from error
    except AwsError as error:
        role = role_for(target.solution, target.guid)
        raise PermissionError(
            f"AWS account {target.account} does not let us assume the role {role}: {error}. Create or update the CloudFormation stack"
            " from this connector's authentication template in that account, wait until it is complete, and try again."
        ) from error


def gap(cell: Cell, failure: Failure) -> Gap:
    """The gap of a cell."""
    return Gap(cell=cell, outcome=failure.outcome, reason=failure.reason, action=failure.action)


def _closed(region: str, target: ScanTarget, *, known: bool) -> Failure:
    if not known:
        return Failure(outcome="unsupported", reason=f"AWS knows no region {region} for account {target.account}: correct the connector.")
    reason = f"Account {target.account} has not opted in to {region}: enable the region in AWS, or leave it out of the connector."
    return Failure(outcome="not-opted-in", reason=reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """A list to make: for a cell, or only for its child types."""

    entry: AwsType
    region: str
    cell: Cell | None


class _Run:
    """One scan under way."""

    def __init__(self, sessions: Sessions, target: ScanTarget, cells: Sequence[Cell], types: Mapping[str, AwsType]) -> None:
        self._target = target
        self._home = HOMES[target.partition]
        self._gates = Gates(sessions, target)
        self._jobs = _jobs(cells, types)
        self._tags = TagIndex(self._gates, self._tagged_types())
        self._children: dict[tuple[str, str], list[AwsType]] = defaultdict(list)
        for job in self._jobs:
            if job.entry.parent:
                self._children[job.entry.parent.type.arm, job.region].append(job.entry)
        self._starts: dict[tuple[str, str], list[Start]] = defaultdict(list)
        self._listed: dict[tuple[str, str], asyncio.Future[Failure | None]] = {}
        self._queue: asyncio.Queue[Sequence[Reading] | None] = asyncio.Queue(AHEAD)

    def _tagged_types(self) -> dict[str, set[str]]:
        names: dict[str, set[str]] = defaultdict(set)
        for job in self._jobs:
            if job.cell and job.entry.tags == TAGGING:
                names[self._answering(job)].add(job.entry.tagging)
        return names

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """All readings, in the order in which AWS answers."""
        loop = asyncio.get_running_loop()
        self._listed = {(job.entry.arm, job.region): loop.create_future() for job in self._jobs}
        supervisor = asyncio.ensure_future(self._supervise())
        try:
            while (batch := await self._queue.get()) is not None:
                for reading in batch:
                    yield reading
            await supervisor
        finally:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
            await self._tags.close()

    async def _supervise(self) -> None:
        try:
            await each(self._jobs, self._work, AT_ONCE)
        except Exception:
            await self._queue.put(None)  # the reader learns of it by awaiting this task
            raise
        await self._queue.put(None)

    async def _work(self, job: _Job) -> None:
        """One list. This is the border of a cell: whatever goes wrong in it stays in it."""
        try:
            end = await self._list(job)
        except FAILED as error:
            end = self._gates.judge(error)
        except Exception as error:  # a malformed answer or a mistake in one entry must not end the scan
            log.exception("aws.cell.failed", account=self._target.account, region=job.region, type=job.entry.arm)
            end = Failure(outcome="error", reason=f"{job.entry.arm} in {job.region or 'the account'}: {_root(error)!r}")
        self._listed[job.entry.arm, job.region].set_result(end if isinstance(end, Failure) else None)
        if job.cell:
            await self._queue.put(
                [gap(job.cell, end) if isinstance(end, Failure) else Listed(cell=job.cell, rows=end[0], shortfalls=end[1])]
            )

    async def _list(self, job: _Job) -> Failure | tuple[int, tuple[str, ...]]:
        """The number of items and what is missing of them, or why the list is not complete."""
        entry, region = job.entry, self._answering(job)
        starts = [Start(region=region)]
        if entry.parent:
            failure = await self._listed[entry.parent.type.arm, job.region]
            if failure:
                return failure
            starts = self._starts.pop((entry.arm, job.region), [])
        listing = Listing(entry, gates=self._gates, tags=self._tags, partition=self._target.partition, region=region)
        children = self._children[entry.arm, job.region]
        seen: set[str] = set()

        async def take(rows: list[Row], start: Start) -> None:
            for child in children:
                self._starts[child.arm, job.region] += starts_of(child, rows, region, self._home)
            if job.cell and rows:
                fresh = [item for item in await listing.items(job.cell, rows, start) if item.id not in seen]
                fresh = list({item.id: item for item in fresh}.values())
                seen.update(item.id for item in fresh)
                await self._queue.put(fresh)

        await listing.read(starts, take)
        return listing.failure or (len(seen), tuple(listing.shortfalls))

    def _answering(self, job: _Job) -> str:
        if job.region:
            return job.region
        return self._home if job.entry.answers_in == HOME else job.entry.answers_in


def _jobs(cells: Sequence[Cell], types: Mapping[str, AwsType]) -> list[_Job]:
    """A job per cell and per parent that no cell lists. Parents come before their children, so that no child waits for one that cannot
    start; EC2 comes first, since its answer tells whether a region can be reached."""
    found = {(cell.type, cell.region): _Job(entry=types[cell.type], region=cell.region, cell=cell) for cell in cells}
    for job in list(found.values()):
        above = job.entry.parent
        while above is not None:
            found.setdefault((above.type.arm, job.region), _Job(entry=above.type, region=job.region, cell=None))
            above = above.type.parent
    return sorted(found.values(), key=lambda job: (_depth(job.entry), job.entry.service != "ec2"))


def _depth(entry: AwsType) -> int:
    return 0 if entry.parent is None else 1 + _depth(entry.parent.type)


def _root(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
