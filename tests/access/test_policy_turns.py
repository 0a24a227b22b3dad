"""One job alone writes an account's revocation policy: what another one read before somebody left must not let them in again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from isthmus.access import revocations
from isthmus.access.federation import ACCESS, CONFIGURATIONS
from isthmus.access.leaving import offboard
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.solutions.access import SOLUTION, AccessSolution
from isthmus.store import Store
from tests.access.estate import ADMIN, CONNECTOR
from tests.access.paper import Paper
from tests.support.clock import Clock

SIGNER = "https://issuer.isthmus.test"
SYNCED = CONNECTOR.extension(CONFIGURATIONS, "access")


class Syncing:
    """The sync over the cloud on paper; `meanwhile` happens when AWS has answered it."""

    def __init__(self, paper: Paper) -> None:
        self.paper, self.meanwhile = paper, lambda: None
        loop: Any = SimpleNamespace(run=self._answer)
        cloud: Any = paper.cloud
        self.solution = AccessSolution(engine=paper.engine, lookup=paper.broker.lookup, cloud=cloud, loop=loop, issuer_url=SIGNER)
        properties = {"solutionType": ACCESS, "solutionSettings": SOLUTION.complete({}), "status": "", "statusDetails": ""}
        paper.engine.apply(Change(puts=(Resource(id=SYNCED, properties=properties),)), ADMIN, "setup", "/")

    def _answer(self, work: Coroutine[Any, Any, Any]) -> Any:
        answer = asyncio.run(work)
        self.meanwhile()
        return answer

    def run(self, number: str) -> str:
        """One sync; what the solution tells afterwards."""
        self.solution.sync({"solution": str(SYNCED), "scan": number})
        found = self.paper.broker.lookup.find(SYNCED)
        assert found is not None
        return str(found.properties["statusDetails"])


@pytest.fixture
def syncing(store: Store, clock: Clock) -> Syncing:
    return Syncing(Paper(store, clock))


def leave(paper: Paper, name: str) -> Callable[[], None]:
    """Somebody is offboarded, and their account denies them."""

    person = paper.sign_in(name, "g-dev").id

    def happens() -> None:
        with paper.engine.store.begin() as connection:
            offboard(connection, paper.engine, person, ADMIN, "left")
        assert paper.run_jobs() == []

    return happens


def test_a_sync_that_read_before_somebody_left_does_not_let_them_in_again(syncing: Syncing) -> None:
    paper = syncing.paper
    session = paper.issue(paper.sign_in("alice", "g-dev")).credentials.access_key
    leave(paper, "zoe")()
    syncing.run("1")
    assert paper.run_jobs() == []
    assert "stands" in syncing.run("2")
    syncing.meanwhile = leave(paper, "alice")
    syncing.run("3")
    assert not paper.cloud.allows(session)
    assert paper.run_jobs() == []
    assert not paper.cloud.allows(session)


def test_a_policy_that_somebody_changed_is_brought_in_line(syncing: Syncing) -> None:
    paper = syncing.paper
    session = paper.issue(paper.sign_in("alice", "g-dev")).credentials.access_key
    leave(paper, "alice")()
    paper.cloud.document = {"Statement": []}
    assert paper.cloud.allows(session)
    assert "is brought in line now" in syncing.run("1")
    assert paper.run_jobs() == []
    assert not paper.cloud.allows(session)
    with paper.engine.store.read() as connection:
        assert revocations.unsettled(connection, paper.engine.now()) == ()
