"""What goes wrong in real accounts: each has a code and a remedy, harms nothing else, and passes when its cause does."""

from __future__ import annotations

import json
import sqlite3
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from isthmus.client import ArmError, choose_token, find_server
from tests.e2e.ledger import joined, resources_of
from tests.e2e.stack import FILTER, INVENTORY, ONBOARDING, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SERVICES = "ec2, sqs, sns, logs, s3, dynamodb"
NARROW = {"cloudProviderRegions": "eu-central-1, us-east-1", "cloudProviderServiceTypes": SERVICES}
WAIT = 2.0


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An account whose template is deployed, scanned once; every test heals what it broke."""
    settings = {"ISTHMUS_DATABASE_WAIT_SECONDS": str(WAIT)}
    with Stack(tmp_path_factory.mktemp("trusted"), machines=9, settings=settings) as stack:
        stack.connect()
        stack.deploy()
        stack.configure("inventory", INVENTORY, NARROW)
        until(lambda: stack.status("inventory").get("lastSyncTime"), 90, what="the first scan has ended")
        assert stack.status("inventory")["status"] == "Completed"
        yield stack


def projections(stack: Stack) -> dict[str, tuple[Any, ...]]:
    """What the account's projections are, with their digests."""
    return {key: row for key, row in resources_of(stack.database).items() if row[3] is not None}


def suffix(stack: Stack) -> str:
    """The end of the names of the connector's roles."""
    return str(stack.client.get(stack.connector)["properties"]["connectorPrimaryIdentifier"])[:8]


def test_a_template_that_comes_late_is_found_by_itself(new_stack: Any) -> None:
    stack = new_stack(estate=False)
    stack.connect()
    stack.configure("inventory", INVENTORY, NARROW)
    until(lambda: "does not let us assume" in stack.status("inventory")["statusDetails"], what="the first try has ended")
    status = stack.status("inventory")
    assert status["status"] == "AuthorizationPending"
    assert "CloudFormation stack" in status["statusDetails"]
    with pytest.raises(ArmError) as refused:
        stack.sync("inventory")
    assert refused.value.code == "AuthorizationPending"
    tested = stack.client.wait(stack.client.post(f"{stack.connector}/testPermissions"))["solutionTypes"]
    assert [one["status"] for one in tested] == ["Disconnected"]
    stack.deploy()
    until(lambda: stack.status("inventory")["status"] == "Completed", 90, what="the account is scanned without anybody asking")
    tested = stack.client.wait(stack.client.post(f"{stack.connector}/testPermissions"))["solutionTypes"]
    assert [one["status"] for one in tested] == ["Connected"]


def test_an_action_denied_in_one_region_is_a_gap_and_deletes_nothing(trusted: Stack) -> None:
    before = projections(trusted)
    in_region = {key for key, row in before.items() if row[1].endswith("/sqsqueues") and "us-east-1" in str(row[2])}
    assert in_region
    iam, role = trusted.aws("iam"), f"IsthmusInventory-{suffix(trusted)}"
    denial = {
        "Effect": "Deny",
        "Action": "sqs:ListQueues",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [denial]})
    iam.put_role_policy(RoleName=role, PolicyName="no-queues", PolicyDocument=document)
    result = trusted.sync("inventory")
    iam.delete_role_policy(RoleName=role, PolicyName="no-queues")
    assert result["status"] == "CompletedWithGaps"
    gaps = [one for one in trusted.scopes("inventory") if one["outcome"] != "complete"]
    assert {(one["region"], one["resourceType"].lower(), one["outcome"]) for one in gaps} == {("us-east-1", "sqsqueues", "denied")}
    assert "sqs:ListQueues" in gaps[0]["reason"]
    assert "denied" in trusted.status("inventory")["statusDetails"]
    assert projections(trusted) == before
    assert trusted.sync("inventory")["status"] == "Completed"


def test_a_throttled_account_loses_nothing(trusted: Stack) -> None:
    before = projections(trusted)
    trusted.fault(service="ec2", kind="throttling", probability=0.3)
    trusted.fault(service="sqs", kind="throttling", count=3)
    try:
        result = trusted.sync("inventory")
    finally:
        rules = trusted.lab.admin("GET", "/_lab/faults")
        trusted.heal()
    # Chance decides how many calls to EC2 are throttled, of more than thirty; one at least, and all three to SQS.
    assert sum(rule["fired"] for rule in rules) > 3
    assert {one["outcome"] for one in trusted.scopes("inventory")} <= {"complete", "throttled"}
    assert result["status"] in ("Completed", "CompletedWithGaps")
    assert projections(trusted) == before
    assert trusted.sync("inventory")["status"] == "Completed"


def test_every_machine_that_cannot_join_says_why(trusted: Stack) -> None:
    """Each in its own way: a command that hangs, output without a key, an agent of somebody else, an instance that is terminated."""
    assert trusted.estate is not None
    chosen = [one for one in trusted.estate.onboardable() if one.region == "eu-central-1"]
    hanging, keyless, elsewhere = (one.instance_id for one in chosen[:3])
    vanishing = next(one for one in trusted.estate.onboardable() if one.region == "us-east-1")
    booted = lambda: {row["instanceId"] for row in trusted.lab.admin("GET", "/_lab/machines")["machines"]}  # noqa: E731
    until(lambda: {hanging, keyless, elsewhere, vanishing.instance_id} <= booted(), what="the machines run")
    trusted.machine_fault(hanging, "slow", limit=2)
    trusted.machine_fault(keyless, "break-key-output")
    trusted.machine_fault(elsewhere, "connect-elsewhere")
    trusted.machine_fault(vanishing.instance_id, "slow")
    trusted.configure("onboarding", ONBOARDING, FILTER)
    until(lambda: trusted.instances("onboarding").get(vanishing.instance_id, {}).get("state") == "KEYGEN", what="its command runs")
    trusted.aws("ec2", vanishing.region).terminate_instances(InstanceIds=[vanishing.instance_id])
    trusted.sync("onboarding")
    expected = {
        hanging: ("BLOCKED", "SSM_EXEC_TIMEOUT", "did not end in time"),
        keyless: ("BLOCKED", "KEY_PARSE", "No public key"),
        elsewhere: ("BLOCKED", "AGENT_ELSEWHERE", "disconnect it there"),
        vanishing.instance_id: ("REMOVED", "INSTANCE_TERMINATED", "gone"),
    }
    rest = {one.instance_id for one in trusted.estate.onboardable()} - set(expected)
    until(lambda: joined(trusted.database)["states"]["CONNECTED"] == len(rest), 90, what="the others are connected")
    until(lambda: all(trusted.instances("onboarding")[one]["code"] for one in expected), 60, what="those four say why not")
    found = trusted.instances("onboarding")
    for instance, (state, code, remedy) in expected.items():
        assert (found[instance]["state"], found[instance]["code"]) == (state, code)
        assert remedy in found[instance]["statusDetails"]
    assert found[hanging]["nextRetry"]
    assert "/elsewhere/" in found[elsewhere]["evidence"]["resource"]
    assert {found[one]["state"] for one in rest} == {"CONNECTED"}

    def summary() -> str:
        """What the solution says of them, which it says after it has written each down."""
        details = str(trusted.status("onboarding")["statusDetails"])
        return details if "3 blocked" in details else ""

    details = until(summary, what="the solution counts those three")
    assert all(code in details for code in ("SSM_EXEC_TIMEOUT", "KEY_PARSE", "AGENT_ELSEWHERE"))
    trusted.machine_fault(hanging, "slow", on=False)
    trusted.machine_fault(keyless, "break-key-output", on=False)
    trusted.sync("onboarding")
    until(lambda: joined(trusted.database)["states"]["CONNECTED"] == len(rest) + 2, 90, what="those that were healed are connected")
    books = Counter(one["state"] for one in trusted.instances("onboarding").values())
    assert books["BLOCKED"] == 1


def test_a_locked_database_is_said_and_waited_for(trusted: Stack) -> None:
    place = find_server(trusted.data, "", {})
    token = choose_token(place, {"XDG_CACHE_HOME": str(trusted.folder / "cache")}, time.time)()
    group = f"{trusted.url}{trusted.root}/resourceGroups/locked?api-version=2024-11-01"
    context = ssl.create_default_context(cafile=trusted.ca)
    with httpx.Client(verify=context, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False) as http:
        with sqlite3.connect(Path(trusted.data) / "isthmus.db", isolation_level=None) as other:
            other.execute("begin immediate")
            began = time.monotonic()
            refused = http.put(group, json={"location": "eastus"})
            waited = time.monotonic() - began
            read = http.get(f"{trusted.url}{trusted.root}?api-version=2024-11-01")
            other.execute("rollback")
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json()["error"]["code"]
        assert WAIT * 0.5 <= waited <= WAIT * 5
        assert read.status_code == 200, "reading goes on"
        assert http.get(group).status_code == 404, "what was refused was not done"
        assert http.put(group, json={"location": "eastus"}).status_code == 201
    assert trusted.sync("inventory")["status"] == "Completed"
