"""An engine on a fresh database with a clock to set and predictable ids."""

from __future__ import annotations

import itertools
import uuid

import pytest

from isthmus.engine import Engine, Lookup
from isthmus.store import Store
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock


@pytest.fixture
def jobs() -> RecordedJobs:
    """What was ordered."""
    return RecordedJobs()


@pytest.fixture
def engine(store: Store, jobs: RecordedJobs, clock: Clock) -> Engine:
    """The engine under test."""
    numbers = itertools.count(1)
    return Engine(store, jobs, clock=clock, new_guid=lambda: str(uuid.UUID(int=next(numbers))))


@pytest.fixture
def lookup(store: Store) -> Lookup:
    """Reads over the same store."""
    return Lookup(store)
