"""What a connector does as a whole: test its permissions, and find the solutions that are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from isthmus.arm.change import Change, JobOrder
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.clouds.contract import Scanner
from isthmus.engine import Engine, Lookup, Removal
from isthmus.solutions.contract import SolutionType
from isthmus.solutions.loop import Loop
from isthmus.solutions.subject import CONFIGURATIONS, FAILED, PENDING, target_of
from isthmus.store import dialect
from isthmus.store.tables import ordered_syncs
from isthmus.work import Arguments, Job, Timetable

TEST = "connector.test-permissions"
ACTOR = Actor(id="isthmus:timetable", kind="Application", name="Isthmus timetable")
_HOUR = 3_600_000
_EAGER = 3_600_000
_SLOW_SLOT = 600_000


@dataclass(frozen=True, kw_only=True)
class Connectors:
    """Jobs and timetable over all connectors."""

    engine: Engine
    lookup: Lookup
    scanner: Scanner
    loop: Loop
    solutions: Mapping[str, SolutionType]

    def test_job(self) -> Job:
        """The job behind `testPermissions`: arguments `connector` (id) and `operation`."""
        return Job(name=TEST, queue="requests", run=self._test, failed=self._test_failed, attempts=2)

    def timetable(self) -> Timetable:
        """Twice a minute: start whatever is due."""
        return Timetable(name="solutions", cron="*/30 * * * * *", run=self.start_due)

    def _test(self, arguments: Arguments) -> None:
        connector = self.lookup.find(arguments["connector"])
        if connector is None:
            gone = ArmError("ResourceNotFound", f"'{arguments['connector']}' was deleted in the meantime.", status=404)
            self.engine.finish(arguments["operation"], error=gone)
            return
        configured = self.lookup.all(types=[CONFIGURATIONS], parent=connector.id.key)
        results = [self._try(connector, solution) for solution in configured]
        self.engine.finish(arguments["operation"], result={"solutionTypes": results})

    def _try(self, connector: Resource, solution: Resource) -> dict[str, Any]:
        kind = solution.properties["solutionType"]
        try:
            self.loop.run(self.scanner.check(target_of(connector, kind)))
        except (PermissionError, ConnectionError) as error:
            return {"solutionType": kind, "status": "Disconnected", "statusDetails": str(error)}
        return {"solutionType": kind, "status": "Connected", "statusDetails": ""}

    def _test_failed(self, arguments: Arguments, error: ArmError) -> None:
        self.engine.finish(arguments["operation"], error=error)

    def start_due(self, _planned: datetime) -> None:
        """Order a sync for every solution whose period is over, or whose account had not trusted us yet."""
        now = self.engine.now()
        for solution in self.lookup.all(types=[CONFIGURATIONS]):
            slot = due_slot(solution, now)
            if slot is None:
                continue
            order = sync_order(solution, self.solutions[solution.properties["solutionType"]].sync_job, slot)
            with self.engine.store.begin() as connection:
                if _remember(connection, solution.id.key, order.id):
                    self.engine.apply_within(connection, Change(jobs=(order,)), ACTOR, "solutions/due", str(solution.id))

    @property
    def removals(self) -> Mapping[str, Removal]:
        """What ends with solution configurations: what was ordered for them last."""
        return {CONFIGURATIONS.lower(): _forget}


def _remember(connection: Connection, solution: str, job: str) -> bool:
    """Note the job as the last one ordered for a solution; False when it was already, and then there is nothing to order or to record."""
    last = select(ordered_syncs.c.job).where(ordered_syncs.c.solution == solution)
    if connection.execute(last.with_for_update()).scalar() == job:
        return False
    dialect.upsert(connection, ordered_syncs, [{"solution": solution, "job": job}])
    return True


def _forget(connection: Connection, keys: Sequence[str]) -> None:
    connection.execute(ordered_syncs.delete().where(ordered_syncs.c.solution.in_(keys)))


def due_slot(solution: Resource, now: int) -> str | None:
    """The slot of a sync that is due at `now` (epoch milliseconds), None when nothing is.

    A solution that waits for authorization is tried twice a minute for its first hour, then every ten minutes, like one that failed.
    """
    properties = solution.properties
    system = solution.system
    made = system.created_at if system else now
    if properties["status"] == PENDING:
        length = 30_000 if now - made < _EAGER else _SLOW_SLOT
        return f"{now // length * length}"
    if properties["status"] == FAILED:
        return f"{now // _SLOW_SLOT * _SLOW_SLOT}"
    settings = properties["solutionSettings"]
    if settings.get("periodicSync") != "true":
        return None
    period = int(settings["periodicSyncTime"]) * _HOUR
    slot = made + (now - made) // period * period
    last = properties.get("lastSyncTime")
    synced = int(datetime.fromisoformat(last).timestamp() * 1000) if last else made
    return f"{slot}" if slot > synced else None


def sync_order(solution: Resource, job: str, slot: str, *, operation: str = "", confirm: bool = False) -> JobOrder:
    """The order of one sync; its id carries the slot, and syncs of one solution run one after another."""
    scan = f"{solution.properties['solutionId']}:{slot}"
    arguments: dict[str, Any] = {"solution": str(solution.id), "scan": scan}
    if operation:
        arguments["operation"] = operation
    if confirm:
        arguments["confirm"] = True
    return JobOrder(job=job, id=f"{job}:{scan}", arguments=arguments, partition=solution.properties["solutionId"])
