"""What the store holds after syncs, written directly: instances with their history, machines, registrations, scopes, the index."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import insert

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, group_id, parse_resource
from isthmus.arm.types import Actor
from isthmus.providers.resources import DELETE_GROUP
from isthmus.solutions.onboard import rows
from isthmus.solutions.onboard.rows import InstanceRow, Seen
from isthmus.store.tables import projections, registrations, scopes
from tests.api.conftest import Api

SOLUTIONS = "providers/Microsoft.HybridConnectivity/solutionConfigurations"
SEEDER = Actor(id="seed", kind="User")


def order_job(api: Api, id: str, group: str) -> None:
    """Order the deletion of a group."""
    with api.app.engine.store.begin() as connection:
        api.app.work.enqueue(connection, DELETE_GROUP, id, {"group": group, "operation": "none"})


def fail_jobs(api: Api, *ids: str) -> None:
    """Have jobs run that cannot succeed."""
    for id in ids:
        order_job(api, id, f"hidden-{id}")
    api.app.work.launch()
    try:
        for _ in range(3000):
            if all(api.app.work.state(id) == "ERROR" for id in ids):
                return
            threading.Event().wait(0.02)
        raise AssertionError("the jobs do not fail")
    finally:
        api.app.work.stop()


class Seeds:
    """Writes into the store of an API, as of its engine's clock."""

    def __init__(self, api: Api) -> None:
        self.api, self.engine = api, api.app.engine
        self.now = self.engine.now()

    def solution(self, connector: str, kind: str = "Microsoft.HybridCompute.Onboard", name: str = "onboard", **told: Any) -> str:
        """A solution configuration of a connector, in whatever state its sync left it."""
        id = f"{connector}/{SOLUTIONS}/{name}"
        answer = self.api.call("PUT", id, {"properties": {"solutionType": kind}})
        assert answer.status_code == 200, answer.text
        self.tell(id, **told)
        return id

    def tell(self, id: str, **told: Any) -> None:
        """Change properties of a resource."""

        def decide(old: Resource | None) -> Change:
            assert old is not None
            return Change(puts=(replace(old, properties={**old.properties, **told}),))

        self.engine.write(parse_resource(id), decide, SEEDER, "seed")

    def machine_id(self, account: str, instance: str) -> ResourceId:
        """The id of an instance's machine."""
        return group_id(self.api.subscription, f"aws_{account}").extension("Microsoft.HybridCompute/machines", instance)

    def instance(self, solution: str, instance: str, *states: tuple[str, str], account: str = "123456789012", **more: Any) -> InstanceRow:
        """An instance that went through these states and codes, a minute each, the last one a minute ago."""
        region = more.pop("region", "eu-west-1")
        row = InstanceRow(
            key=rows.key_of(account, region, instance),
            account=account,
            region=region,
            instance_id=instance,
            solution=solution.lower(),
            machine=self.machine_id(account, instance).key,
            seen=Seen(state="running", ping="Online"),
            next_at=rows.NEVER,
        )
        evidence: Mapping[str, Any] = more.pop("evidence", {})
        with self.engine.store.begin() as connection:
            rows.observe(connection, [row])
            for turn, (state, code) in enumerate(states):
                at = more.get("since", self.now - 60_000) - 60_000 * (len(states) - 1 - turn)
                moved = replace(row, state=state, code=code, since=at, evidence=evidence if code else {})
                rows.save(connection, [moved], {row.key: row} if turn else {})
                row = moved
        return row

    def machine(self, account: str, instance: str, state: str = "enrolled", *, properties: Mapping[str, Any], **registered: Any) -> None:
        """A machine resource and its registration."""
        id = self.machine_id(account, instance)
        group = id.scope
        assert group is not None
        known = {"provisioningState": "Succeeded"}
        place = Resource(id=group, location="eastus", properties=known)
        made = Resource(id=id, location="eastus", properties={**known, **properties})
        self.engine.apply(Change(puts=(place, made)), SEEDER, "seed", "/")
        texts = {"resource": id.key, "resource_id": str(id), "public_key": "k", "key_hash": uuid.uuid4().hex, "state": state}
        times = {"enrolled_at": self.now, "expires_at": self.now + 90 * 86_400_000, "last_heartbeat": self.now, "silent_since": None}
        row = {"vm_id": str(uuid.uuid4()), "principal_id": str(uuid.uuid4()), **texts, **times, **registered}
        with self.engine.store.begin() as connection:
            connection.execute(insert(registrations).values(**row))

    def indexed(self, account: str, kind: str, name: str, key: str = "", *, subscription: str = "") -> None:
        """A row of the index of projections."""
        row = {
            "key": key or f"/{account}/{kind}/{name}",
            "subscription": (subscription or self.api.subscription).lower(),
            "resource_group": f"aws_{account}",
            "account": account,
            "region": "eu-west-1",
            "type": kind,
            "name": name,
            "aws_id": name,
            "words": name.lower(),
            "tags": "",
            "changed_at": self.now,
        }
        with self.engine.store.begin() as connection:
            connection.execute(insert(projections).values(**row))

    def scope(self, solution: str, region: str, kind: str, outcome: str, **more: Any) -> None:
        """A row of the ledger."""
        row = {
            "solution": solution.lower(),
            "account": "123456789012",
            "region": region,
            "type": kind,
            "scan": "s:1",
            "outcome": outcome,
            "reason": "",
            "rows": 0,
            "checked_at": self.now - 60_000,
            "complete_at": None,
            "vanished": "",
            "frozen": False,
            **more,
        }
        with self.engine.store.begin() as connection:
            connection.execute(insert(scopes).values(**row))
