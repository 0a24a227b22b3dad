"""SIGKILL in the middle of a batch and of a scan: after a restart everything is as if nothing had happened, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.ledger import finished_cells, joined, resources_of
from tests.e2e.stack import FILTER, INVENTORY, ONBOARDING, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MACHINES = 9
NARROW = {
    "cloudProviderRegions": "eu-central-1, us-east-1",
    "cloudProviderServiceTypes": "ec2, iam, sqs, sns, logs, s3, lambda, dynamodb",
}


def test_a_killed_server_goes_on_where_it_was(new_stack: Callable[..., Stack], database_url: str) -> None:
    stack = new_stack(database_url=database_url, machines=MACHINES)
    stack.connect()
    stack.deploy()
    kill_in_a_batch(stack)
    kill_in_a_scan(stack)
    after = resources_of(stack.database)
    stack.sync("inventory")
    assert resources_of(stack.database) == after, "an undisturbed scan of the same account finds the same"
    books = joined(stack.database)
    assert books["running"] == []
    checked = stack.client.post("/providers/Isthmus.Audit/records", {}).body
    assert (checked["valid"], checked["firstBroken"]) == (True, None)


def kill_in_a_batch(stack: Stack) -> None:
    """Kill when some machines are registered and not all are connected; afterwards all are, each registered once."""
    for region in ("us-east-1", "eu-west-1"):
        stack.fault(service="ssm", action="SendCommand", region=region, delay=20)
    stack.configure("onboarding", ONBOARDING, FILTER)
    until(lambda: 0 < len(joined(stack.database)["vm_ids"]) < MACHINES, 60, 0.02, "some machines are registered")
    stack.kill()
    before = joined(stack.database)
    assert 0 < len(before["vm_ids"]) < MACHINES
    stack.heal()
    stack.start()
    until(lambda: joined(stack.database)["states"]["CONNECTED"] == MACHINES, 90, what="all machines are connected")
    books = joined(stack.database)
    assert books["registrations"] == {"enrolled": MACHINES}
    assert len(books["key_hashes"]) == len(books["vm_ids"]) == MACHINES
    assert before["vm_ids"] <= books["vm_ids"], "what was registered before the kill is still the same"
    assert books["generations"] == {1}
    assert set(books["windows"].values()) == {1}
    until(lambda: stack.status("onboarding")["status"] == "Completed", what="the solution says so")
    machines = [one for one in stack.machines() if one["properties"].get("vmId")]
    assert {one["properties"]["status"] for one in machines} == {"Connected"}
    assert {one["properties"]["vmId"] for one in machines} == books["vm_ids"]
    assert len(machines) == MACHINES


def kill_in_a_scan(stack: Stack) -> None:
    """Kill while the ledger is partly written; afterwards the scan has ended and nothing of it is missing."""
    solution = stack.solution("inventory")
    stack.fault(service="sqs", delay=12)
    stack.fault(service="sns", delay=12)
    stack.configure("inventory", INVENTORY, NARROW)
    until(lambda: finished_cells(stack.database, solution) >= 10, 60, 0.02, "some cells are closed")
    stack.kill()
    partial = finished_cells(stack.database, solution)
    stack.heal()
    stack.start()
    ended = until(lambda: _ended(stack), 90, what="the scan has ended")
    assert ended == "Completed"
    cells = stack.scopes("inventory")
    assert 10 <= partial < len(cells)
    assert {one["outcome"] for one in cells} == {"complete"}
    scans = list(stack.client.list(f"{solution}/providers/Isthmus.Inventory/scans"))
    assert [one["properties"]["status"] for one in scans] == ["Completed"], "it is the same scan, not another one"


def _ended(stack: Stack) -> str:
    found = stack.status("inventory")
    return str(found["status"]) if found.get("lastSyncTime") else ""
