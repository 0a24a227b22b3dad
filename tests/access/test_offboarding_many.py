"""Two hundred people leave within moments, with sessions, shells and consoles: each is denied within seconds, and nobody else notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from isthmus.access import grants, leaving, revocations
from isthmus.access.broker import Issued
from isthmus.access.denials import MAX_POLICY
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.cli.aws.console import login_address
from tests.access.estate import ADMIN, CONNECTOR, Estate
from tests.access.reaching import REGION, boot, call, taken
from tests.support.waiting import LOADED, until

pytestmark = pytest.mark.e2e

LEAVERS, BYSTANDERS = 200, 6
LEASE_SECONDS = 300


@dataclass
class Holding:
    """What somebody holds: a session always, a shell every second, a console every third of all."""

    person: Actor
    session: Issued
    shell: Issued | None = None
    shell_id: str = ""
    console: httpx.Client | None = None


@dataclass
class Crowd:
    """Takes everything for many people at once."""

    people: Estate
    machine: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=60))
    holdings: list[Holding] = field(default_factory=list)

    def take(self, number: int, person: Actor) -> Holding:
        held = Holding(person=person, session=self.people.issue(person))
        if number % 2 == 0:
            held.shell = self.people.issue(person, "Shell", use=f"shell:{REGION}")
            asked = {"Target": self.machine, "Reason": held.shell.grant}
            held.shell_id = call(self.people, self.http, held.shell, "ssm", "StartSession", asked).json()["SessionId"]
        if number % 3 == 0:
            issued = self.people.issue(person, use="console")
            environ = {"AWS_ENDPOINT_URL": self.people.lab.url}
            held.console = httpx.Client(base_url=self.people.lab.url, follow_redirects=True, trust_env=False, timeout=60)
            address = login_address(taken(issued), "https://isthmus.test", f"/ec2/home?region={REGION}", environ)
            assert held.console.get(address).json()["allowed"] is True
        return held

    def __call__(self, name: str, count: int) -> list[Holding]:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(self.take, range(count), [self.people.sign_in(f"{name}{one}", "g-dev") for one in range(count)]))
        self.holdings += found
        return found

    def open_shells(self) -> set[str]:
        pages = self.people.root("ssm", REGION).get_paginator("describe_sessions").paginate(State="Active")
        return {one["SessionId"] for page in pages for one in page["Sessions"]}

    def is_denied(self, issued: Issued) -> bool:
        answer = call(self.people, self.http, issued, "ec2", "DescribeRegions", {})
        assert answer.status_code in (200, 403), answer.text
        return answer.status_code == 403 and "UnauthorizedOperation" in answer.text

    def close(self) -> None:
        self.http.close()
        for held in self.holdings:
            if held.console is not None:
                held.console.close()


@pytest.fixture
def crowd(people: Estate) -> Iterator[Crowd]:
    made = Crowd(people, boot(people))
    yield made
    made.close()


def is_shut(console: httpx.Client) -> bool:
    shown = console.get("/_console")
    return shown.status_code == 403 and shown.json()["allowed"] is False


@contextmanager
def worker(people: Estate) -> Iterator[None]:
    """Jobs run while it is open, as a server's worker does, and until none is left."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(0.05):
            people.run_jobs()
        people.run_jobs()
        # A job that was taken before the transaction that ordered it was committed has found nothing to do.
        people.enforcement.enforce({"connector": CONNECTOR.key})

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        yield
        stopping.set()
        running.result()


def offboard(people: Estate, person: str) -> str:
    with people.engine.store.begin() as connection:
        return leaving.offboard(connection, people.engine, person, ADMIN, "the department closes")


def seconds_of(people: Estate, ids: list[str]) -> list[float]:
    """Seconds from the command to the first denial, the slowest last."""
    with people.engine.store.read() as connection:
        found = [revocations.find(connection, id) for id in ids]
    return sorted(((one.denials[0].denied_at or 10**15) - one.at) / 1000 for one in found if one is not None)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_two_hundred_people_lose_sessions_shells_and_consoles_within_ten_seconds(people: Estate, crowd: Crowd) -> None:
    leavers, bystanders = crowd("leaver", LEAVERS), crowd("bystander", BYSTANDERS)
    assert len(crowd.open_shells()) == (LEAVERS + BYSTANDERS) // 2
    with worker(people):
        ids = [offboard(people, one.person.id) for one in leavers]
        # Whoever joins meanwhile is nobody's bystander either.
        joiner = people.sign_in("joiner", "g-dev")
        people.issue(joiner)
    took = seconds_of(people, ids)
    assert len(took) == LEAVERS
    assert took[int(LEAVERS * 0.95) - 1] <= 10 * LOADED, f"p95 {took[int(LEAVERS * 0.95) - 1]} s"
    assert crowd.open_shells() == {one.shell_id for one in bystanders if one.shell_id}, "no shell of theirs, every shell of others"
    with people.engine.store.read() as connection:
        denied = revocations.denied_now(connection, CONNECTOR.key, people.engine.now())
        counted = sum((found.denials[0].shells or 0) for id in ids if (found := revocations.find(connection, id)))
    assert counted == LEAVERS // 2, "each shell is told on the revocation that ended it"
    assert len(denied.people) * 39 > MAX_POLICY, "so many names do not fit into the policy"
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(crowd.is_denied, [one.session for one in leavers]))
        assert all(pool.map(is_shut, [one.console for one in leavers if one.console is not None]))
    # So many do not fit: everybody who held a session mints another one, and who left cannot. AWS counts whole seconds, so what was minted
    # in the very second of the policy is denied as well.
    stay = (*(one.person for one in bystanders), joiner)
    until(lambda: not any(crowd.is_denied(people.issue(one)) for one in stay), 3, what="those who stay get in again")
    for one in leavers[:5]:
        for use in ("credentials", "console"):
            with pytest.raises(ArmError, match="AccessRevoked"):
                people.issue(one.person, use=use)
    assert max(one.session.until for one in leavers) / 1000 <= time.time() + LEASE_SECONDS, "what were not denied would end with the lease"


def test_of_a_few_who_leave_bystanders_keep_the_very_same_sessions(people: Estate, crowd: Crowd) -> None:
    """As long as names fit into the policy."""
    leavers, bystanders = crowd("few", 6), crowd("stays", 6)
    with worker(people):
        ids = [offboard(people, one.person.id) for one in leavers]
    assert len(seconds_of(people, ids)) == 6
    assert all(crowd.is_denied(one.session) for one in leavers)
    assert all(is_shut(one.console) for one in leavers if one.console is not None)
    assert not any(crowd.is_denied(one.session) for one in bystanders)
    assert not any(is_shut(one.console) for one in bystanders if one.console is not None)
    assert crowd.open_shells() == {one.shell_id for one in bystanders if one.shell_id}


def test_of_overlapping_grants_one_ends_with_its_shells_and_the_other_stays(people: Estate, crowd: Crowd) -> None:
    """Many at once, each with a grant that ends and one that does not."""
    held = [one for one in crowd("overlap", 12) if one.shell is not None]
    ended = held[::2]
    with worker(people):
        for one in ended:
            assert one.shell is not None
            with people.engine.store.begin() as connection:
                found = grants.find(connection, one.shell.grant)
                assert found is not None
                revocations.end_grants(connection, people.engine, [found], ADMIN, "over")
    assert crowd.open_shells() == {one.shell_id for one in held if one not in ended}
    assert not any(crowd.is_denied(one.session) for one in held), "the other role of the same person stays"
