"""Fixtures of machine tests."""

from __future__ import annotations

import pytest

from isthmus.store import Store
from tests.machines.plane import Keys, Plane
from tests.support.clock import Clock


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys()


@pytest.fixture
def plane(store: Store, clock: Clock) -> Plane:
    return Plane(store, clock)
