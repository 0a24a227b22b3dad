"""Reading trails: from where the last reading ended, back over the overlap, region by region, whatever breaks."""

from __future__ import annotations

import gzip
import json
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from sqlalchemy import func, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import group_id, subscription_id
from isthmus.arm.types import Actor
from isthmus.clouds.contract import ScanTarget
from isthmus.engine import Engine, Lookup
from isthmus.solutions import subject
from isthmus.solutions.loop import Loop
from isthmus.solutions.trail import FIRST, OVERLAP, Trails
from isthmus.store import Store
from isthmus.store.tables import audit_records, trail_events, trail_marks
from tests.access.cloudtrail import ACCOUNT, BEGIN, ISSUER, OTHER, Session, called, entered, id_of
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

ALICE = Session(key="ASIAALICE", person=id_of("alice"), grant="G-1")
GROUP = group_id("00000000-0000-4000-8000-000000000000", "rg")
CONNECTOR = GROUP.extension(subject.CONNECTORS, "conn")
ADMIN = Actor(id="admin", kind="User")


@dataclass
class FakeTrails:
    """Trails in memory: what was told by when, which windows were asked for, and what is out of order."""

    told: dict[str, list[tuple[float, dict[str, Any]]]] = field(default_factory=dict)
    asked: list[tuple[str, float, float]] = field(default_factory=list)
    broken: dict[str, Exception] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)

    async def regions(self, target: ScanTarget) -> Sequence[str]:
        assert target.account == ACCOUNT
        return sorted(self.told)

    async def events(self, _target: ScanTarget, region: str, since: float, until: float) -> AsyncIterator[str]:
        self.asked.append((region, since, until))
        known = [document for seen_at, document in self.told[region] if seen_at <= self.clock()]
        for document in sorted(known, key=lambda one: str(one["eventTime"]), reverse=True):
            if since <= datetime.fromisoformat(document["eventTime"]).timestamp() <= until:
                yield json.dumps(document)
        if region in self.broken:
            raise self.broken[region]


@dataclass
class Ground:
    trails: Trails
    cloud: FakeTrails
    clock: Clock
    store: Store
    jobs: RecordedJobs

    def read(self) -> Any:
        return self.trails.read({"connector": str(CONNECTOR)})

    def marks(self) -> dict[str, tuple[int, str]]:
        with self.store.read() as connection:
            return {row.region: (row.until, row.detail) for row in connection.execute(select(trail_marks))}


@pytest.fixture
def ground(store: Store, clock: Clock) -> Iterator[Ground]:
    loop, jobs, cloud = Loop(), RecordedJobs(), FakeTrails(clock=clock)
    engine = Engine(store, jobs, clock=clock, new_guid=lambda: str(uuid.uuid4()))
    made = {"awsCloudProfile": {"accountId": ACCOUNT}, "connectorPrimaryIdentifier": str(uuid.uuid4())}
    settings = {"solutionType": "Isthmus.Access", "solutionSettings": {}}
    solution = Resource(id=CONNECTOR.extension(subject.CONFIGURATIONS, "access"), properties=settings)
    other = Resource(id=CONNECTOR.extension(subject.CONFIGURATIONS, "inventory"), properties={"solutionType": "Microsoft.AssetManagement"})
    home = (Resource(id=subscription_id(CONNECTOR.subscription)), Resource(id=GROUP, location="eastus"))
    engine.apply(Change(puts=(*home, Resource(id=CONNECTOR, location="eastus", properties=made), solution, other)), ADMIN, "setup", "/")
    trails = Trails(engine=engine, lookup=Lookup(store), cloud=cloud, loop=loop, issuer_url=ISSUER)
    clock.now = BEGIN + 3_000
    yield Ground(trails, cloud, clock, store, jobs)
    loop.close()


def test_a_reading_goes_on_where_the_last_one_ended_and_finds_what_came_late(ground: Ground) -> None:
    late = called(ALICE, "DescribeVpcs", 2_700)
    ground.cloud.told = {"us-east-1": [(0, entered(ALICE)), (0, called(ALICE, "DescribeInstances", 60)), (BEGIN + 3_050, late)]}
    assert ground.read() == {"new": 2, "joined": 2, "changed": 0}
    ground.clock.advance(60)
    assert ground.read() == {"new": 1, "joined": 1, "changed": 0}
    ground.clock.advance(60)
    assert ground.read() == {"new": 0, "joined": 0, "changed": 0}
    first, second, third = [(since - BEGIN, until - BEGIN) for _, since, until in ground.cloud.asked]
    overlap = OVERLAP / 1000
    assert first == (3_000 - FIRST / 1000 - overlap, 3_000)
    assert second == (3_000 - overlap, 3_060)
    assert third == (3_060 - overlap, 3_120)


def test_a_long_absence_is_made_up_for_in_windows_that_each_count(ground: Ground) -> None:
    ground.cloud.told = {"us-east-1": [(0, called(ALICE, "DescribeVpcs", 3_000 + 3_600 * hour)) for hour in range(1, 5)]}
    ground.read()
    ground.clock.advance(5 * 3_600)
    ground.cloud.asked.clear()
    assert ground.read()["new"] == 4
    assert len(ground.cloud.asked) == 5
    assert ground.marks() == {"us-east-1": ((BEGIN + 3_000 + 5 * 3_600) * 1000, "")}


def test_a_region_that_breaks_keeps_its_mark_and_no_other_waits_for_it(ground: Ground) -> None:
    ground.cloud.told = {"eu-west-1": [(0, called(ALICE, "DescribeVpcs", 10))], "us-east-1": [(0, entered(ALICE))]}
    ground.cloud.broken = {"eu-west-1": PermissionError("cloudtrail:LookupEvents is denied.")}
    ground.read()
    marks = ground.marks()
    assert marks["eu-west-1"] == ((BEGIN + 3_000) * 1000 - FIRST, "cloudtrail:LookupEvents is denied.")
    assert marks["us-east-1"] == ((BEGIN + 3_000) * 1000, "")
    ground.cloud.broken.clear()
    ground.clock.advance(60)
    ground.read()
    with ground.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(trail_events)).scalar() == 2
    assert ground.marks()["eu-west-1"] == ((BEGIN + 3_060) * 1000, "")


def test_events_of_others_and_unreadable_ones_are_left_out(ground: Ground) -> None:
    strange = called(ALICE, "DescribeVpcs", 11, account=OTHER)
    ground.cloud.told = {"us-east-1": [(0, entered(ALICE)), (0, strange), (0, {**entered(ALICE), "eventID": "?"})]}
    assert ground.read()["new"] == 1


def test_each_minute_orders_one_reading_for_each_connector_with_access(ground: Ground) -> None:
    planned = datetime.fromtimestamp(BEGIN, UTC)
    with ground.store.read() as connection:
        before = connection.execute(select(func.count()).select_from(audit_records)).scalar()
    ground.trails.order(planned)
    ground.trails.order(planned)
    assert [(job, arguments) for job, arguments, _ in ground.jobs.orders.values()] == [("access.trail", {"connector": str(CONNECTOR)})]
    with ground.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(audit_records)).scalar() == before
    assert ground.trails.read({"connector": f"{CONNECTOR}x"}) is None


def test_log_files_bring_the_same_events_and_none_twice(ground: Ground) -> None:
    documents = [entered(ALICE), called(ALICE, "DescribeInstances", 60), called(ALICE, "DescribeVpcs", 70)]
    ground.cloud.told = {"us-east-1": [(0, one) for one in documents[:2]]}
    ground.read()
    taken = ground.trails.take_file(gzip.compress(json.dumps({"Records": documents}).encode()))
    assert (taken.new, taken.joined) == (1, 1)


@cache
def bomb() -> bytes:
    """Blanks beyond every bound in a small file. A second and a half, so it is made by who needs it."""
    return gzip.compress(b" " * 300_000_000)


@pytest.mark.parametrize(
    "content",
    [
        lambda: b"",
        lambda: b"no gzip",
        lambda: gzip.compress(b"[]"),
        lambda: gzip.compress(b'{"Records": {}}'),
        lambda: gzip.compress(b'{"Records": [{}]}'),
        lambda: gzip.compress(b'{"Records": []}')[:-3],
        lambda: gzip.compress(b'{"Records": []}') + b"x",
        pytest.param(bomb, marks=pytest.mark.slow),
        lambda: gzip.compress(b"[" * 1_000_000),
        lambda: zlib.compress(b'{"Records": []}'),
    ],
    ids=["empty", "plain", "list", "object", "no event", "cut", "more", "bomb", "deep", "zlib"],
)
def test_what_is_no_log_file_is_refused_whole(ground: Ground, content: Callable[[], bytes]) -> None:
    with pytest.raises(ArmError) as caught:
        ground.trails.take_file(content())
    assert caught.value.code == "InvalidTrailFile"
    with ground.store.read() as connection:
        assert connection.execute(select(trail_events.c.id)).all() == []
