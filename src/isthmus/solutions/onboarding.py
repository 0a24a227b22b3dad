"""Onboarding (`Microsoft.HybridCompute.Onboard`): EC2 instances become machines without a secret ever being put on them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection

from isthmus.arm.errors import ArmError, unavailable
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import Cell, Gap, Listed, Scanner, ScanTarget, Shell
from isthmus.engine import Engine, Lookup, lookup
from isthmus.engine.engine import Removal
from isthmus.machines import Machines
from isthmus.solutions import subject
from isthmus.solutions.contract import ALL_REGIONS, PERIOD, PERIODIC_SYNC, REGION_LIST, Setting, SolutionType
from isthmus.solutions.loop import Loop
from isthmus.solutions.onboard import observing, report, rows
from isthmus.solutions.onboard.commands import failure_of_error
from isthmus.solutions.onboard.registering import ACTOR
from isthmus.solutions.onboard.report import inventory_items
from isthmus.solutions.onboard.ticks import TICK, Ticks
from isthmus.solutions.subject import Subject
from isthmus.work import Arguments, Job, Timetable

TYPE = "Microsoft.HybridCompute.Onboard"
SYNC = "onboarding.sync"

_PROXY = re.compile(r"http://[A-Za-z0-9.-]{1,253}:[0-9]{1,5}")
_STALE = 5_000
_DAY = 86_400_000


def _check_proxy(value: str) -> None:
    if value and not _PROXY.fullmatch(value):
        raise ValueError(f"'{value[:64]}' is not a proxy. Write http://server:port, or leave it empty.")


def _check_filter(value: str) -> None:
    observing.filter_of(value)


SOLUTION = SolutionType(
    id=TYPE,
    description="Onboard your EC2 instances as Azure Arc machines to leverage key management services.",
    settings=(
        PERIODIC_SYNC,
        PERIOD,
        Setting(
            name="proxyServer",
            display="Proxy Server",
            kind="string",
            description="Proxy for the agents: http://server:port. Empty means none.",
            default="",
            check=_check_proxy,
        ),
        REGION_LIST,
        Setting(
            name="arcOnboardEc2FilterTag",
            display="EC2 Filter Tag",
            kind="array",
            description="Onboard only instances with this tag, key:value, compared without case. Empty means every instance.",
            default="",
            check=_check_filter,
        ),
        ALL_REGIONS,
    ),
    locations=("canadacentral", "eastus", "westcentralus", "westeurope"),
    sync_job=SYNC,
)


@dataclass(frozen=True, kw_only=True)
class Onboarding:
    """Jobs and timetables of this solution. `ca` is the PEM of the CA under which machines find `machines.public_url`; `started` is when
    this process did, epoch milliseconds."""

    engine: Engine
    lookup: Lookup
    scanner: Scanner
    shell: Shell
    loop: Loop
    machines: Machines
    ca: str = ""
    started: int = 0
    keep_event_days: float = 30.0

    @property
    def ticks(self) -> Ticks:
        """The executor of ticks."""
        return Ticks(
            engine=self.engine,
            lookup=self.lookup,
            shell=self.shell,
            loop=self.loop,
            machines=self.machines,
            ca=self.ca,
            started=self.started,
        )

    def jobs(self) -> tuple[Job, ...]:
        """The sync, which discovers, and the tick, which onboards. Queues: `scans` and `ticks`, both partitioned."""
        return (
            Job(name=SYNC, queue="scans", run=self.sync, failed=self.failed, attempts=4, interval_seconds=5),
            Job(name=TICK, queue="ticks", run=self.ticks.tick, failed=self.tick_failed, attempts=3, interval_seconds=2),
        )

    @property
    def removals(self) -> Mapping[str, Removal]:
        """What ends with machines and with solution configurations, by lower-cased type."""
        return {"microsoft.hybridcompute/machines": self.machines.forget, subject.CONFIGURATIONS.lower(): rows.forget}

    def timetables(self) -> tuple[Timetable, ...]:
        """Each minute what time does to machines; four times a minute the ticks of rows whose time has passed."""
        return (
            Timetable(name="machines", cron="20 * * * * *", run=self.mark_silent),
            Timetable(name="onboarding", cron="*/15 * * * * *", run=self.resume),
        )

    def mark_silent(self, _planned: datetime) -> None:
        """Let machines fall silent and windows close, and wake the instances of those that changed."""
        changed = self.machines.mark_silent()
        if changed:
            with self.engine.store.begin() as connection:
                rows.wake(connection, changed, self.engine.now())

    def resume(self, _planned: datetime) -> None:
        """Order a tick wherever a row's time passed without one."""
        now = self.engine.now()
        with self.engine.store.read() as connection:
            due = rows.stale_places(connection, now - _STALE)
        for solution, _account, region in due:
            found = subject.load(self.lookup, solution)
            if found is not None:
                with self.engine.store.begin() as connection:
                    self.ticks.order(connection, found, region, due=now + 1)

    def sync(self, arguments: Arguments) -> Mapping[str, Any] | None:
        """Discover: arguments `solution`, `scan`, and optionally `operation` (a person asked: retry what waits) and `confirm`."""
        found = subject.load(self.lookup, arguments["solution"])
        if found is None:
            self._finish(arguments, error=_gone(arguments["solution"]))
            return None
        log = structlog.get_logger().bind(solution=str(found.solution.id), scan=arguments["scan"])
        try:
            self.loop.run(self.scanner.check(found.target))
        except PermissionError as error:
            subject.report(self.engine, str(found.solution.id), ACTOR, subject.PENDING, str(error))
            waiting = ArmError("AuthorizationPending", str(error), status=409, target=str(found.connector.id))
            self._finish(arguments, error=waiting)
            log.info("onboarding_waits_for_authorization")
            return {"status": subject.PENDING}
        except ConnectionError as error:
            raise unavailable(str(error)) from error
        ends = self._discover(found, arguments)
        if ends is None:
            self._finish(arguments, error=_gone(arguments["solution"]))
            return None
        status, text = report.say(self.engine, str(found.solution.id), synced=True)
        result = {"scan": arguments["scan"], "status": status, "details": text, "regions": len(ends)}
        self._finish(arguments, result=result)
        log.info("onboarding_discovered", **result)
        return {**result, "details": text[:2000]}

    def failed(self, arguments: Arguments, error: ArmError) -> None:
        """Discovery could not be finished: said on the solution and to whoever waits."""
        subject.report(self.engine, arguments["solution"], ACTOR, subject.FAILED, error.message)
        self._finish(arguments, error=error)

    def tick_failed(self, arguments: Arguments, error: ArmError) -> None:
        """A region could not be worked on: said on the solution until a later tick succeeds; the timetable orders one."""
        text = f"Onboarding in {arguments['region']} failed and is tried again: {error.message}"
        subject.report(self.engine, arguments["solution"], ACTOR, subject.FAILED, text)

    def _discover(self, found: Subject, arguments: Arguments) -> list[Listed | Gap] | None:
        """Look at every region at once, store what was seen, order the ticks; None when the solution is gone."""
        wanted = observing.regions_wanted(found.settings)
        ends, looks = self.loop.run(self._look(found.target, wanted))
        key, now = found.solution.id.key, self.engine.now()
        for region, (instances, nodes) in looks.items():
            with self.engine.store.begin() as connection:
                if not lookup.keep(connection, key):
                    return None
                known = rows.of_region(connection, key, region)
                rows.observe(connection, observing.observed_rows(found, region, instances, nodes, known, now))
        with self.engine.store.begin() as connection:
            if not lookup.keep(connection, key):
                return None
            present = rows.regions_of(connection, key)
            for region in sorted(present - {end.cell.region for end in ends}):
                rows.observe(connection, observing.unselected(rows.of_region(connection, key, region), now))
            report.close_regions(connection, key, arguments["scan"], ends, now)
            rows.delete_old(connection, key, int(now - self.keep_event_days * _DAY))
            for region in sorted(present - {end.cell.region for end in ends if isinstance(end, Gap)}):
                self._order(connection, found, region, arguments)
        return ends

    def _order(self, connection: Connection, found: Subject, region: str, arguments: Arguments) -> None:
        asked: dict[str, Any] = {"solution": str(found.solution.id), "account": found.target.account, "region": region, "scan": True}
        asked["slot"] = self.engine.now() // 1000
        if arguments.get("operation"):
            asked["retry"] = True
        if arguments.get("confirm"):
            asked["release"] = True
        self.ticks.enqueue(connection, found, asked, arguments["scan"])

    async def _look(self, target: ScanTarget, wanted: Collection[str] | None) -> tuple[list[Listed | Gap], dict[str, Any]]:
        """Every selected region: what it holds, or why that cannot be read. One region's failure is not another's."""
        looks: dict[str, Any] = {}
        ends: list[Listed | Gap] = []

        async def look(region: str) -> None:
            cell = Cell(account=target.account, region=region, type="ec2Instances")
            try:
                looks[region] = await observing.look(self.shell, target, region)
                ends.append(Listed(cell=cell, rows=len(looks[region][0])))
            except (AwsError, AwsTransportError, PermissionError) as error:
                denied = failure_of_error(error).code in ("ACCESS_DENIED", "DOCUMENT_UNUSABLE")
                ends.append(Gap(cell=cell, outcome="denied" if denied else "error", reason=str(error)[:500]))

        await asyncio.gather(*(look(region) for region in await self.shell.regions(target, wanted)))
        return sorted(ends, key=lambda end: end.cell.region), looks

    def _finish(self, arguments: Arguments, *, result: Mapping[str, Any] | None = None, error: ArmError | None = None) -> None:
        if arguments.get("operation"):
            self.engine.finish(arguments["operation"], result=result, error=error)


def _gone(solution: str) -> ArmError:
    return ArmError(
        "SolutionConfigurationNotFound", f"'{solution}' or its connector was deleted in the meantime.", status=404, target=solution
    )


__all__ = ["SOLUTION", "SYNC", "TICK", "TYPE", "Onboarding", "inventory_items"]
