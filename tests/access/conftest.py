"""An engine, and a directory over it that tells what people lost."""

from __future__ import annotations

import itertools
import uuid

import pytest

from isthmus.engine import Engine
from isthmus.store import Store
from tests.access.people import Provisioned
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock


@pytest.fixture
def engine(store: Store, clock: Clock) -> Engine:
    """The engine on a fresh database, with predictable ids."""
    numbers = itertools.count(1)
    return Engine(store, RecordedJobs(), clock=clock, new_guid=lambda: str(uuid.UUID(int=next(numbers))))


@pytest.fixture
def provisioned(engine: Engine) -> Provisioned:
    """The directory under test."""
    return Provisioned(engine)
