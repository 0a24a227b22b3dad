"""A directory that tells what people lost."""

from __future__ import annotations

import pytest

from isthmus.store import Store
from tests.access.people import Provisioned, provision
from tests.support.clock import Clock


@pytest.fixture
def provisioned(store: Store, clock: Clock) -> Provisioned:
    """The directory under test, on a fresh database."""
    return provision(store, clock)
