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
from isthmus.clouds.contract import Scanner, Verdict
from isthmus.engine import Engine, Lookup, Removal
from isthmus.solutions.contract import SolutionType
from isthmus.solutions.loop import Loop
from isthmus.solutions.subject import CONFIGURATIONS, FAILED, PENDING, target_of
from isthmus.solutions.templates import selection
from isthmus.store import dialect
from isthmus.store.tables import ordered_syncs
from isthmus.work import Arguments, Job, Timetable

TEST = "connector.test-permissions"
CONNECTED, DISCONNECTED = "Connected", "Disconnected"
ACTOR = Actor(id="isthmus:timetable", kind="Application", name="Isthmus timetable")
_HOUR = 3_600_000
_EAGER = 3_600_000
_SLOW_SLOT = 600_000
_LONGEST_DETAILS = 1000
_LONGEST_MESSAGE = 300
_DEPLOY = "Create or update the CloudFormation stack from this connector's present authentication template"


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
        target, wanted = target_of(connector, kind), selection(kind, solution.properties["solutionSettings"])
        try:
            verdicts = self.loop.run(self.scanner.test(target, wanted))
        except PermissionError as error:
            return entry(kind, DISCONNECTED, str(error), f"{_DEPLOY} in account {target.account}, wait for its end, and test again.")
        except ConnectionError as error:
            return entry(kind, DISCONNECTED, str(error), "Check this server's network, name resolution and AWS_ENDPOINT_URL; test again.")
        return entry(kind, CONNECTED, *_summary(verdicts), verdicts)

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


def entry(kind: str, status: str, details: str, remedy: str, verdicts: Sequence[Verdict] = ()) -> dict[str, Any]:
    """One entry of what testing permissions answers. Long texts are cut: the result is one row of the store."""
    return {
        "solutionType": kind,
        "status": status,
        "statusDetails": details[:_LONGEST_DETAILS],
        "remedy": remedy[:_LONGEST_DETAILS],
        "actions": [
            {"action": verdict.action, "allowed": verdict.allowed, "message": verdict.message[:_LONGEST_MESSAGE]} for verdict in verdicts
        ],
    }


def _summary(verdicts: Sequence[Verdict]) -> tuple[str, str]:
    """What the verdicts say together, and what to do about it."""
    denied = [verdict for verdict in verdicts if verdict.allowed is False]
    unknown = [verdict.action for verdict in verdicts if verdict.allowed is None]
    details, remedy = [], []
    if denied:
        details.append(f"{len(denied)} of {len(verdicts)} actions are not allowed: {_named([one.action for one in denied])}.")
        if any("organization" not in one.message for one in denied):
            remedy.append(f"{_DEPLOY}, so that the role allows what this solution does now.")
        if any("organization" in one.message for one in denied):
            remedy.append("Ask who administers the organization to let its policies allow the actions that they forbid.")
    if unknown:
        details.append(f"{len(unknown)} actions could not be tested: {_named(unknown)}.")
        remedy += [] if denied else [f"{_DEPLOY}: its roles may ask IAM's simulator about themselves."]
    return " ".join(details), " ".join(remedy)


def _named(actions: Sequence[str]) -> str:
    rest = f" and {len(actions) - 5} more" if len(actions) > 5 else ""
    return ", ".join(actions[:5]) + rest


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
