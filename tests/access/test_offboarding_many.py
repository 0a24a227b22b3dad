"""Two hundred people leave within moments: each is denied within seconds, and nobody else notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from isthmus.access import leaving, revocations
from isthmus.access.denials import MAX_POLICY
from isthmus.arm.errors import ArmError
from tests.access.estate import ADMIN, CONNECTOR, Estate

pytestmark = pytest.mark.e2e

LEAVERS = 200


def is_denied(client: Any) -> bool:
    try:
        client.describe_regions()
    except ClientError as error:
        return str(error.response["Error"]["Code"]) == "UnauthorizedOperation"
    return False


@contextmanager
def worker(people: Estate) -> Iterator[None]:
    """Jobs run while it is open, as a server's worker does, and until none is left."""
    stopping = threading.Event()

    def run() -> None:
        while people.run_jobs() or not stopping.wait(0.05):
            pass

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        yield
        stopping.set()
        running.result()


def offboard(people: Estate, person: str) -> str:
    with people.engine.store.begin() as connection:
        return leaving.offboard(connection, people.engine, person, ADMIN, "the department closes")


def test_two_hundred_people_are_denied_within_ten_seconds_and_bystanders_are_not(people: Estate) -> None:
    leavers = [people.sign_in(f"leaver{number}", "g-dev") for number in range(LEAVERS)]
    bystanders = [people.sign_in(f"bystander{number}", "g-dev") for number in range(5)]
    with ThreadPoolExecutor(8) as pool:
        issued = dict(zip((one.id for one in leavers), pool.map(people.issue, leavers), strict=True))
        kept = [people.client(one, "ec2") for one in pool.map(people.issue, bystanders)]
    with worker(people):
        ids = [offboard(people, leaver.id) for leaver in leavers]
    # Whoever joins meanwhile is nobody's bystander either.
    joiner = people.sign_in("joiner", "g-dev")
    with people.engine.store.read() as connection:
        found = [revocations.find(connection, id) for id in ids]
        denied = revocations.denied_now(connection, CONNECTOR.key, people.engine.now())
    took = sorted((one.denials[0].denied_at or 10**15) - one.at for one in found if one is not None)
    assert len(took) == LEAVERS
    assert took[int(LEAVERS * 0.95) - 1] <= 10_000, f"p95 {took[int(LEAVERS * 0.95) - 1]} ms"
    assert len(denied.people) * 39 > MAX_POLICY, "so many names do not fit into the policy"
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(is_denied, [people.client(one, "ec2") for one in issued.values()]))
    # So many do not fit: everybody who held a session mints another one without noticing, and who left cannot.
    again = [people.client(people.issue(one), "ec2") for one in bystanders]
    assert not any(is_denied(client) for client in again)
    assert len(kept) == len(again)
    assert not is_denied(people.client(people.issue(joiner), "ec2"))
    for leaver in leavers[:5]:
        with pytest.raises(ArmError, match="AccessRevoked"):
            people.issue(leaver)
