"""Trails of the accounts to which people have access: read each minute, region by region, from where the last reading ended.

Events come late by some minutes, so that every reading goes back a quarter of an hour; what is known already is left out by its id.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import select

from isthmus.access.trail import BATCH, Taken, ingest
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import invalid
from isthmus.audit.events import Event, UnreadableEvent, parse, read_event
from isthmus.clouds.aws.trail import NoTrailFile, open_file
from isthmus.clouds.contract import ScanTarget, TrailCloud, TrailFileCloud
from isthmus.engine import Engine, Lookup
from isthmus.solutions.access import TYPE
from isthmus.solutions.loop import Loop
from isthmus.solutions.subject import CONFIGURATIONS, target_of
from isthmus.solutions.trail_files import TrailFiles
from isthmus.store import dialect
from isthmus.store.tables import trail_marks
from isthmus.work import Arguments, Job, Timetable

READ: Final = "access.trail"
OVERLAP: Final = 900_000
FIRST: Final = 3_600_000
"""How far back the first reading of a region goes (ms)."""
WINDOW: Final = 3_600_000
"""The longest time that is read at once, so that what was read stays read when the next breaks."""
_SOON = 20_000
_log = structlog.get_logger("isthmus.trail")


@dataclass(frozen=True, kw_only=True)
class Trails:
    """The job that reads the trail of one connector's account, and its timetable."""

    engine: Engine
    lookup: Lookup
    cloud: TrailCloud
    loop: Loop
    issuer_url: str
    files: TrailFileCloud | None = None

    def job(self) -> Job:
        """Argument `connector`. A reading that breaks is made up for by the next."""
        return Job(name=READ, queue="trails", run=self.read, attempts=1)

    def timetable(self) -> Timetable:
        """Each minute, every connector with this solution."""
        return Timetable(name="trails", cron="10 * * * * *", run=self.order)

    def order(self, planned: datetime) -> None:
        """One job for each account; those of one account take turns."""
        slot = int(planned.timestamp()) // 60
        configured = self.lookup.all(types=[CONFIGURATIONS])
        connectors = {one.id.parent for one in configured if one.properties.get("solutionType") == TYPE}
        with self.engine.store.begin() as connection:
            for id in sorted(str(one) for one in connectors if one is not None):
                self.engine.jobs.enqueue(connection, READ, f"{READ}:{id.lower()}:{slot}", {"connector": id}, partition=id.lower())

    def read(self, arguments: Arguments) -> Mapping[str, Any] | None:
        """Read every region; how many events were new. Regions that cannot be read say why in their mark and are tried again."""
        connector = self.lookup.find(arguments["connector"])
        if connector is None:
            return None
        target = target_of(connector, TYPE)
        regions = list(self.loop.run(self.cloud.regions(target)))
        taken = [self.read_region(target, region) for region in regions]
        taken.append(take_in(self.engine, (), self.issuer_url))
        files = self._read_files(target, regions, connector, taken)
        return {**{name: sum(getattr(one, name) for one in taken) for name in ("new", "joined", "changed")}, **files}

    def _read_files(self, target: ScanTarget, regions: list[str], connector: Resource, taken: list[Taken]) -> Mapping[str, Any]:
        """Read the files of the trail, where one is named; what came of them joins `taken`."""
        found = self.lookup.all(types=[CONFIGURATIONS], parent=connector.id.key)
        settings: Mapping[str, str] = next(
            (one.properties["solutionSettings"] for one in found if one.properties["solutionType"] == TYPE), {}
        )
        if self.files is None or not settings.get("trailBucket"):
            return {}

        def take(events: list[Event]) -> Taken:
            taken.append(take_in(self.engine, events, self.issuer_url))
            return taken[-1]

        return {"files": dict(TrailFiles(engine=self.engine, cloud=self.files, loop=self.loop, take=take).read(target, regions, settings))}

    def read_region(self, target: ScanTarget, region: str) -> Taken:
        """Read one region up to now, window after window."""
        now = self.engine.now()
        mine = (trail_marks.c.account == target.account, trail_marks.c.region == region)
        with self.engine.store.read() as connection:
            mark = connection.execute(select(trail_marks).where(*mine)).first()
        if mark is not None and 0 <= now - mark.read_at < _SOON:
            return Taken()
        reached = min(mark.until, now) if mark is not None else now - FIRST
        total = Taken()
        try:
            while reached < now:
                until = min(reached + WINDOW, now)
                total = self._read(target, region, reached - OVERLAP, until, total)
                reached = until
                self._mark(target, region, reached, "")
        except (PermissionError, ConnectionError) as error:
            _log.warning("trail_not_read", account=target.account, region=region, reason=str(error))
            self._mark(target, region, reached, str(error))
        return total

    def take_file(self, content: bytes) -> Taken:
        """Take in a log file of a trail (gzip). ArmError 400 `InvalidTrailFile`: nothing of it was kept."""
        try:
            events = [read_event(one) for one in open_file(content)]
        except (NoTrailFile, UnreadableEvent) as error:
            raise invalid(f"This is no log file of CloudTrail: {error}", target="file", code="InvalidTrailFile") from error
        return take_in(self.engine, events, self.issuer_url)

    def _read(self, target: ScanTarget, region: str, since: int, until: int, total: Taken) -> Taken:
        texts = self.cloud.events(target, region, since / 1000, until / 1000)
        for batch in self.loop.batches(texts, limit=BATCH):
            total = _sum(total, take_in(self.engine, _readable(batch, target), self.issuer_url))
        return total

    def _mark(self, target: ScanTarget, region: str, until: int, detail: str) -> None:
        row = {"account": target.account, "region": region, "until": until, "read_at": self.engine.now(), "detail": detail[:1000]}
        with self.engine.store.begin() as connection:
            dialect.upsert(connection, trail_marks, [row])


def take_in(engine: Engine, events: Iterable[Event], issuer: str) -> Taken:
    """Take in any number of events, in transactions of a bounded size. Without events, what was joined by nothing is looked at again."""
    total, waiting = Taken(), iter(events)
    batch = list(itertools.islice(waiting, BATCH))
    while True:
        with engine.store.begin() as connection:
            total = _sum(total, ingest(connection, batch, issuer))
        batch = list(itertools.islice(waiting, BATCH))
        if not batch:
            return total


def _sum(one: Taken, other: Taken) -> Taken:
    return Taken(new=one.new + other.new, joined=one.joined + other.joined, changed=one.changed + other.changed)


def _readable(texts: Iterable[str], target: ScanTarget) -> Iterable[Event]:
    """What cannot be read is said and left out: it must not keep all that follows from being read."""
    for text in texts:
        try:
            event = read_event(parse(text))
        except UnreadableEvent as error:
            _log.warning("trail_event_unreadable", account=target.account, reason=str(error))
            continue
        if event.account == target.account:
            yield event
        else:
            _log.warning("trail_event_of_another_account", account=target.account)
