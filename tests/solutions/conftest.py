"""An engine, a connector with an inventory solution, and an account in memory behind it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import group_id, subscription_id
from isthmus.arm.types import Actor
from isthmus.engine import Engine, Lookup
from isthmus.solutions import inventory, subject
from isthmus.solutions.inventory import Inventory
from isthmus.solutions.loop import Loop
from isthmus.store import Store
from tests.fakes.jobs import RecordedJobs
from tests.fakes.scanner import FakeAccount
from tests.machines.plane import Keys
from tests.solutions.onboarding_estate import Estate, World
from tests.support.clock import Clock

GUID = "0a1b2c3d-0000-4000-8000-000000000001"
ACCOUNT = "123456789012"
GROUP = group_id("00000000-0000-4000-8000-000000000000", "rg")
CONNECTOR = GROUP.extension(subject.CONNECTORS, "conn")
SOLUTION = CONNECTOR.extension(subject.CONFIGURATIONS, "inv")
PROJECTIONS = group_id(GROUP.subscription, f"aws_{ACCOUNT}")


@pytest.fixture
def jobs() -> RecordedJobs:
    """What was ordered."""
    return RecordedJobs()


@pytest.fixture
def engine(store: Store, jobs: RecordedJobs, clock: Clock) -> Engine:
    """An engine with predictable ids."""
    numbers = itertools.count(1)
    return Engine(store, jobs, clock=clock, new_guid=lambda: str(uuid.UUID(int=next(numbers))))


@pytest.fixture
def loop() -> Iterator[Loop]:
    """The scanner loop."""
    made = Loop()
    yield made
    made.close()


@dataclass
class Bench:
    """What an inventory test works with."""

    engine: Engine
    lookup: Lookup
    account: FakeAccount
    stock: Inventory
    clock: Clock
    number: int = 0

    def sync(self, scan: str = "", **more: Any) -> Any:
        """Run one sync to its end."""
        self.number += 1
        self.clock.advance(60)
        return self.stock.sync({"solution": str(SOLUTION), "scan": scan or f"s:{self.number}", **more})

    def solution(self) -> dict[str, Any]:
        """Properties of the solution as they are now."""
        found = self.lookup.find(SOLUTION)
        assert found is not None
        return dict(found.properties)

    def names(self) -> set[str]:
        """Types and names of everything in the account's group."""
        page = self.lookup.page(subscription=GROUP.subscription, group=PROJECTIONS.name, limit=1000)
        return {f"{item.id.types[-1]}/{item.id.name}" for item in page.items if item.id.key != PROJECTIONS.key}


@pytest.fixture
def bench(engine: Engine, loop: Loop, clock: Clock) -> Bench:
    """A connector with an inventory solution."""
    lookup = Lookup(engine.store)
    account = FakeAccount(account=ACCOUNT)
    puts = (
        Resource(id=subscription_id(GROUP.subscription)),
        Resource(id=GROUP, location="eastus", properties={"provisioningState": "Succeeded"}),
        Resource(
            id=CONNECTOR,
            location="eastus",
            tags={"team": "platform"},
            properties={"awsCloudProfile": {"accountId": ACCOUNT}, "connectorPrimaryIdentifier": GUID},
        ),
        Resource(
            id=SOLUTION,
            properties={
                "solutionType": inventory.TYPE,
                "solutionSettings": inventory.SOLUTION.complete({}),
                "status": subject.PENDING,
                "statusDetails": "",
                "solutionId": "s",
            },
        ),
    )
    engine.apply(Change(puts=puts), Actor(id="t", kind="User"), "setup", "/")
    stock = Inventory(engine=engine, lookup=lookup, scanner=account, loop=loop)
    return Bench(engine=engine, lookup=lookup, account=account, stock=stock, clock=clock)


@pytest.fixture(scope="session")
def keys() -> Keys:
    """Keys of machines, made once."""
    return Keys()


@pytest.fixture
def estate(clock: Clock, keys: Keys) -> Estate:
    """An account with instances to onboard."""
    return Estate(clock, keys)


@pytest.fixture
def world(store: Store, clock: Clock, estate: Estate, loop: Loop) -> World:
    """Onboarding over that account."""
    return World(store, clock, estate, loop)
