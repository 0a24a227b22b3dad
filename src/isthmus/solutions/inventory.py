"""Inventory (`Microsoft.AssetManagement`): resources of the account as projections in `aws_<accountId>`."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, update

from isthmus.arm.errors import ArmError, unavailable
from isthmus.clouds.aws.catalog import SERVICE_TITLES, service_keys
from isthmus.clouds.contract import Scanner, Selection
from isthmus.engine import Engine, Lookup, Removal
from isthmus.solutions import deletions, ledger, subject
from isthmus.solutions.contract import ALL_REGIONS, PERIOD, PERIODIC_SYNC, REGION_LIST, Setting, SolutionType, words
from isthmus.solutions.loop import Loop
from isthmus.solutions.projection import ACTOR, Projector, SolutionGone
from isthmus.solutions.subject import Subject
from isthmus.store import dialect
from isthmus.store.tables import scans, scopes
from isthmus.work import Arguments, Job

Observe = Callable[[str, float, Mapping[str, int]], None]
"""Told of an ended scan: its status, the seconds from start to end, its scopes by outcome."""

TYPE = "Microsoft.AssetManagement"
SYNC = "inventory.sync"

_SERVICES = service_keys()

SOLUTION = SolutionType(
    id=TYPE,
    description="See resources from different clouds in a single inventory view.",
    settings=(
        Setting(
            name="cloudProviderServiceTypes",
            display="Cloud Provider Service Types",
            kind="array",
            description="AWS services to read.",
            allowed=_SERVICES,
            titles=SERVICE_TITLES,
            default=", ".join(_SERVICES),
        ),
        PERIODIC_SYNC,
        PERIOD,
        Setting(
            name="awsGlobalReadOnly",
            display="Aws Global Read Only",
            kind="boolean",
            description="Give the inventory role AWS's managed read-only policy instead of the actions of the selected services alone.",
            allowed=("true", "false"),
            default="true",
        ),
        REGION_LIST,
        ALL_REGIONS,
        Setting(
            name="scanAllAWSServices",
            display="Scan all supported AWS services",
            kind="boolean",
            description="Every service that the catalog knows, unless cloudProviderServiceTypes names some.",
            allowed=("true", "false"),
            default="true",
        ),
    ),
    locations=("canadacentral", "eastus", "westcentralus", "westeurope"),
    sync_job=SYNC,
)


def selection(settings: Mapping[str, str]) -> Selection:
    """What the settings select. A list that differs from its default wins over `scanAll…`, which is true unless somebody says otherwise."""
    return Selection(
        services=_narrowed(settings, "cloudProviderServiceTypes", "scanAllAWSServices"),
        regions=_narrowed(settings, "cloudProviderRegions", "scanAllAWSRegions"),
    )


def _narrowed(settings: Mapping[str, str], name: str, everything: str) -> Collection[str] | None:
    setting = SOLUTION.setting(name)
    assert setting is not None
    chosen = tuple(word.lower() for word in words(settings[name]))
    return None if settings[everything] == "true" and chosen == words(setting.default) else chosen


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The sync of this solution. One job per (solution, slot); its ledger of scopes is the checkpoint of a repeated step."""

    engine: Engine
    lookup: Lookup
    scanner: Scanner
    loop: Loop
    observe: Observe = lambda _status, _seconds, _outcomes: None

    def job(self) -> Job:
        """The durable job: arguments `solution` (id), `scan` (id), and optionally `operation` and `confirm` (accept a mass deletion)."""
        return Job(name=SYNC, queue="scans", run=self.sync, failed=self.failed, attempts=4, interval_seconds=5)

    @property
    def removals(self) -> Mapping[str, Removal]:
        """What ends with solution configurations: their ledger and their scans."""
        return {subject.CONFIGURATIONS.lower(): _forget}

    def sync(self, arguments: Arguments) -> Mapping[str, Any] | None:
        """Check that the account trusts us, scan it, settle deletions, say how it went."""
        found = subject.load(self.lookup, arguments["solution"])
        if found is None:
            self._finish(arguments, error=_gone(arguments["solution"]))
            return None
        log = structlog.get_logger().bind(solution=str(found.solution.id), scan=arguments["scan"])
        try:
            self.loop.run(self.scanner.check(found.target))
        except PermissionError as error:
            self._pending(found, arguments, str(error))
            log.info("scan_waits_for_authorization")
            return {"status": subject.PENDING}
        except ConnectionError as error:
            raise unavailable(str(error)) from error
        self._begin(found, arguments["scan"])
        try:
            self._scan(found, arguments["scan"])
            confirmed = bool(arguments.get("confirm"))
            frozen = deletions.settle(self.engine, found, arguments["scan"], confirmed=confirmed)
            deletions.leave_out(self.engine, found, arguments["scan"], selection(found.settings), confirmed=confirmed)
        except SolutionGone:
            self._finish(arguments, error=_gone(arguments["solution"]))
            return None
        summary = self._end(found, arguments, frozen)
        log.info("scan_ended", **summary)
        return summary

    def failed(self, arguments: Arguments, error: ArmError) -> None:
        """The scan could not be finished: said on the solution, in the scan's row and to whoever waits."""
        subject.report(self.engine, arguments["solution"], ACTOR, subject.FAILED, error.message)
        with self.engine.store.begin() as connection:
            row = {"status": subject.FAILED, "ended_at": self.engine.now(), "summary": json.dumps({"error": error.body()})}
            connection.execute(update(scans).where(scans.c.id == arguments["scan"]).values(**row))
        self._finish(arguments, error=error)

    def _scan(self, found: Subject, scan: str) -> None:
        with self.engine.store.read() as connection:
            done = ledger.done_cells(connection, found.solution.id.key, scan)
        projector = Projector(self.engine, found, scan)
        for batch in self.loop.batches(self.scanner.scan(found.target, selection(found.settings), done)):
            projector.store(batch)

    def _begin(self, found: Subject, scan: str) -> None:
        """Say that the scan runs. One that is run again after it had failed runs since it first began."""
        row = {"id": scan, "solution": found.solution.id.key, "account": found.target.account}
        state = {"status": subject.IN_PROGRESS, "ended_at": None, "summary": "{}"}
        with self.engine.store.begin() as connection:
            dialect.upsert(connection, scans, [{**row, **state, "started_at": self.engine.now()}], keep=("started_at",))
        subject.report(self.engine, str(found.solution.id), ACTOR, subject.IN_PROGRESS, "The account is being scanned.")

    def _pending(self, found: Subject, arguments: Arguments, reason: str) -> None:
        subject.report(self.engine, str(found.solution.id), ACTOR, subject.PENDING, reason)
        self._finish(arguments, error=ArmError("AuthorizationPending", reason, status=409, target=str(found.connector.id)))

    def _end(self, found: Subject, arguments: Arguments, frozen: Mapping[str, int]) -> Mapping[str, Any]:
        scan = arguments["scan"]
        with self.engine.store.begin() as connection:
            outcomes = ledger.summary(connection, found.solution.id.key, scan)
            count = ledger.known(connection, f"{found.target.account}/")
            status = subject.WITH_GAPS if frozen or _troubled(outcomes) else subject.COMPLETED
            result = {"scan": scan, "status": status, "projections": count, "outcomes": dict(outcomes), "frozen": dict(frozen)}
            ended = {"status": status, "ended_at": self.engine.now(), "summary": json.dumps(result)}
            started = connection.execute(update(scans).where(scans.c.id == scan).values(**ended).returning(scans.c.started_at)).scalar_one()
        self.observe(status, (self.engine.now() - started) / 1000, outcomes)
        subject.report(self.engine, str(found.solution.id), ACTOR, status, _sentence(outcomes, count, frozen), synced=True)
        self._finish(arguments, result=result)
        return result

    def _finish(self, arguments: Arguments, *, result: Mapping[str, Any] | None = None, error: ArmError | None = None) -> None:
        if arguments.get("operation"):
            self.engine.finish(arguments["operation"], result=result, error=error)


def _troubled(outcomes: Mapping[str, int]) -> bool:
    return any(outcomes.get(outcome) for outcome in ledger.TROUBLED)


def _sentence(outcomes: Mapping[str, int], count: int, frozen: Mapping[str, int]) -> str:
    gaps = ", ".join(
        f"{number} {outcome}" for outcome, number in sorted(outcomes.items()) if outcome not in ("complete", ledger.NOT_SELECTED)
    )
    text = f"{count} resources in {outcomes.get('complete', 0)} complete scopes."
    if gaps:
        text += f" Scopes that could not be listed: {gaps}; their resources are kept as they were."
    if left := outcomes.get(ledger.NOT_SELECTED):
        text += f" Scopes that were not looked at any more: {left}; their resources are kept, and each scope says how to remove them."
    if frozen:
        regions = ", ".join(f"{region} ({number})" for region, number in sorted(frozen.items()))
        text += (
            f" Deletions are frozen, because unusually much vanished at once: {regions}. If that is right, sync now with confirmDeletions."
        )
    return text


def _gone(solution: str) -> ArmError:
    return ArmError(
        "SolutionConfigurationNotFound", f"'{solution}' or its connector was deleted in the meantime.", status=404, target=solution
    )


def _forget(connection: Connection, keys: Collection[str]) -> None:
    for table in (scopes, scans):
        connection.execute(table.delete().where(table.c.solution.in_(keys)))
