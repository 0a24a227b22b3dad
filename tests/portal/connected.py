"""Connectors with everything that their pages show, written into the store of a served portal as syncs would leave it."""

from __future__ import annotations

import json
import uuid
from typing import Any, cast

from sqlalchemy import insert

from isthmus.arm.envelope import Resource, instant
from isthmus.arm.ids import parse_resource
from isthmus.solutions import access, inventory, onboarding
from isthmus.store.tables import scans
from tests.api.conftest import Api
from tests.api.seeds import SOLUTIONS, Seeds
from tests.portal.conftest import Site
from tests.portal.stock import Caller, group

HOSTILE = "<script>alert(1)</script>\"'{{ 7 * 7 }}\u202e</td>"
KINDS = {kind.id: kind for kind in (inventory.SOLUTION, onboarding.SOLUTION, access.SOLUTION)}
NOT_DUE = {"periodicSync": "false"}


def seeds(site: Site) -> Seeds:
    """Writes ledgers, instances and the index."""
    return Seeds(cast("Api", Caller(site)))


def connector(site: Site, name: str, account: str, *, tags: dict[str, str] | None = None, state: str = "Succeeded") -> str:
    """The id of a connector without solutions."""
    id = f"{group(site, 'clouds')}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/{name}"
    properties = {
        "hostType": "AWS",
        "awsCloudProfile": {"accountId": account, "isOrganizationalAccount": False},
        "connectorPrimaryIdentifier": str(uuid.uuid4()),
        "provisioningState": state,
    }
    site.server.store(
        Resource(id=parse_resource(id), location="eastus", tags=tags or {}, properties=properties, unique=f"connector:{account}")
    )
    return id


def solution(site: Site, connector: str, kind: str, name: str, *, settings: dict[str, str] | None = None, **told: Any) -> str:
    """The id of a solution that is not due before somebody asks."""
    id = f"{connector}/{SOLUTIONS}/{name}"
    properties = {
        "solutionType": kind,
        "solutionSettings": KINDS[kind].complete({**NOT_DUE, **(settings or {})}),
        "solutionId": str(uuid.uuid4()),
        "provisioningState": "Succeeded",
        "status": "Completed",
        "statusDetails": "Everything was read.",
        "lastSyncTime": instant(site.server.app.engine.now() - 600_000),
        **told,
    }
    site.server.store(Resource(id=parse_resource(id), properties=properties, unique=f"solution:{connector}:{kind}"))
    return id


def scan(site: Site, solution: str, id: str, *, status: str = "Completed", ago: int = 600, took: int | None = 42, **summary: Any) -> None:
    """A scan that began `ago` seconds ago; `took` None: it runs."""
    now = site.server.app.engine.now()
    row = {
        "id": id,
        "solution": solution.lower(),
        "account": "123456789012",
        "status": status,
        "started_at": now - ago * 1000,
        "ended_at": None if took is None else now - ago * 1000 + took * 1000,
        "summary": json.dumps(summary),
    }
    with site.server.app.engine.store.begin() as connection:
        connection.execute(insert(scans).values(**row))


def scope(site: Site, solution: str, scan: str, region: str, kind: str, outcome: str = "complete", **more: Any) -> None:
    """A row of the ledger."""
    seeds(site).scope(solution, region, kind, outcome, scan=scan, **more)


def busy(site: Site, name: str = "demo-aws", account: str = "123456789012") -> str:
    """A connector in the middle of life: scanned with gaps and frozen deletions, with resources and machines."""
    id = connector(site, name, account, tags={"team": "blue", "cost": "42"})
    told = {"status": "CompletedWithGaps", "statusDetails": f"231 resources in 80 complete scopes. {HOSTILE}"}
    inventory_id = solution(site, id, inventory.TYPE, "inventory", **told)
    onboarding_id = solution(site, id, onboarding.TYPE, "onboarding", statusDetails="2 of 3 connected.")
    outcomes = {"complete": 6, "denied": 1, "scp": 1, "not-selected": 2}
    scan(site, inventory_id, f"{name}:1", ago=90_000, took=40, projections=230, outcomes={"complete": 8}, frozen={})
    scan(site, inventory_id, f"{name}:0", ago=99_000, took=2, status="Failed", error={"code": "X", "message": f"No way {HOSTILE}"})
    scan(site, inventory_id, f"{name}:2", status="CompletedWithGaps", projections=231, outcomes=outcomes, frozen={"eu-west-1": 40})
    for region in ("eu-west-1", "us-east-1"):
        for kind in ("ec2Volumes", "sqsQueues", "ec2Instances"):
            frozen = {"frozen": True, "vanished": json.dumps(["/a", "/b"])} if (region, kind) == ("eu-west-1", "ec2Volumes") else {}
            scope(site, inventory_id, f"{name}:2", region, kind, rows=38, **frozen)
    denied = f"User is not authorized to perform: sqs:ListQueues {HOSTILE}"
    scope(site, inventory_id, f"{name}:2", "eu-central-1", "sqsQueues", "denied", reason=denied, action="sqs:ListQueues", rows=3)
    scope(
        site,
        inventory_id,
        f"{name}:2",
        "eu-central-1",
        "ec2Volumes",
        "scp",
        reason="explicit deny in a policy",
        action="ec2:DescribeVolumes",
    )
    scope(site, inventory_id, f"{name}:2", "eu-north-1", "ec2Volumes", "not-selected", reason="Its region is not selected.", rows=2)
    made = seeds(site)
    for number, kind in enumerate(("ec2Volumes", "ec2Volumes", "sqsQueues")):
        made.indexed(account, kind, f"thing-{number}")
    made.instance(onboarding_id, "i-0a", ("CONNECTED", ""), account=account)
    made.instance(onboarding_id, "i-0b", ("CONNECTED", ""), account=account)
    made.instance(onboarding_id, "i-0c", ("BLOCKED", "NO_PROFILE"), account=account)
    return id
