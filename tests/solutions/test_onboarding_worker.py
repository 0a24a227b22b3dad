"""Onboarding under the durable engine itself: delays, partitions and timetables are real, and so is the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from isthmus.solutions import onboarding
from isthmus.solutions.connectors import sync_order
from isthmus.solutions.loop import Loop
from isthmus.store import Store
from isthmus.work import Queue, Work
from tests.machines.plane import Keys, engine_on
from tests.solutions.onboarding_estate import ACCOUNT, Estate, World
from tests.support.clock import Clock

pytestmark = pytest.mark.slow

PATIENCE = 180.0


class WallClock(Clock):
    """A clock of tests that runs."""

    def __call__(self) -> float:
        return time.time()


@pytest.fixture
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


def test_machines_connect_within_seconds(store: Store, loop: Loop) -> None:
    clock = WallClock()
    estate = Estate(clock, Keys(), latency=0.2)
    hosts = [estate.host(number) for number in range(3)]
    for host in hosts:
        estate.key_of(host, "1")
    world = World(store, clock, estate, loop)
    queues = [Queue(name=name, worker_concurrency=4, partitioned=True) for name in ("scans", "ticks")]
    work = Work(store, jobs=world.app.jobs(), queues=queues, timetables=world.app.timetables(), clock=clock)
    world.engine.jobs = work
    estate.machines = type(world.app.machines)(
        engine=engine_on(store, clock, work, start=int(ACCOUNT) << 30),
        refusals=world.app.machines.refusals,
        tenant=world.app.machines.tenant,
        public_url=world.app.machines.public_url,
    )
    work.launch()
    try:
        solution = world.lookup.find(world.solution)
        assert solution is not None
        order = sync_order(solution, onboarding.SYNC, "first")
        with store.begin() as connection:
            work.enqueue(connection, order.job, order.id, order.arguments, partition=order.partition)
        begun = time.monotonic()
        while {item["state"] for item in world.items().values()} != {"CONNECTED"}:
            assert time.monotonic() < begun + PATIENCE, world.items()
            estate.pump()
            time.sleep(0.05)
        assert [command.parameters["action"] for command in estate.commands.values()] == ["genkey", "connect"]
    finally:
        work.stop()
