"""A lab with an issuer it knows, and an account of it per test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from isthmus.store import Store
from isthmus_lab.process import LabProcess
from tests.access.estate import Estate, estate
from tests.lab.issuer import FakeIssuer

_ACCOUNTS = itertools.count(710_000_000_001)


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    """An issuer over TLS."""
    with FakeIssuer("people.isthmus.test") as fake:
        yield fake


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer) -> Iterator[LabProcess]:
    """A lab that knows the issuer."""
    with LabProcess(tmp_path_factory.mktemp("lab"), port=0) as process:
        process.admin("POST", "/_lab/issuers", issuer.told)
        yield process


@pytest.fixture
def people(store: Store, lab: LabProcess, issuer: FakeIssuer) -> Iterator[Estate]:
    """A fresh account with its roles, and the broker over it."""
    with estate(store, lab, str(next(_ACCOUNTS)), issuer) as made:
        yield made
