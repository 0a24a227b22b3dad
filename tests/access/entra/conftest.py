"""A tenant, people of it who signed in here, and those who follow what happens there. Nobody runs jobs but the test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.access import grants
from isthmus.access.entra.checking import CHECK, Checks
from isthmus.access.entra.notices import Notices
from isthmus.access.entra.polling import Polling
from isthmus.access.entra.subscriptions import Subscriptions
from isthmus.access.entra.watching import Watching
from isthmus.access.mappings import RoleMapping
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import group_id, subscription_id
from isthmus.arm.types import Actor
from isthmus.clouds.contract import ScanTarget
from isthmus.engine import Engine, Lookup
from isthmus.identity import evidence, people
from isthmus.identity.people import Person
from isthmus.store import Store
from isthmus.store.tables import audit_records
from tests.fakes.entra import guid
from tests.fakes.graph_client import Reached, reached
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

ISSUER = "https://idp.test"
ALICE, BOB, DEV, OPS = map(guid, ("alice", "bob", "dev", "ops"))
CONNECTOR = group_id("00000000-0000-4000-8000-000000000000", "rg").extension("Microsoft.HybridConnectivity/publicCloudConnectors", "c")


@dataclass
class Followed:
    """Everything over one store and one double of Graph."""

    engine: Engine
    jobs: RecordedJobs
    there: Reached
    checks: Checks = field(init=False)
    polling: Polling = field(init=False)
    subscriptions: Subscriptions = field(init=False)
    notices: Notices = field(init=False)

    def __post_init__(self) -> None:
        graph = self.there.graph
        watching = Watching(engine=self.engine, lookup=Lookup(self.engine.store), graph=graph)
        self.checks = Checks(engine=self.engine, graph=graph, issuer=ISSUER)
        self.polling = Polling(engine=self.engine, graph=graph, watching=watching, checks=self.checks, seconds=15)
        self.subscriptions = Subscriptions(engine=self.engine, graph=graph, watching=watching, origin="https://here.test")
        self.notices = Notices(engine=self.engine, checks=self.checks)

    @property
    def tenant(self) -> Any:
        return self.there.server.tenant

    def sign_in(self, person: str, *groups: str, issuer: str = ISSUER) -> None:
        """Somebody signs in, and holds a grant for each group."""
        who = Person(object_id=person, name="Somebody", issuer=issuer, subject=person)
        with self.engine.store.begin() as connection:
            people.remember(connection, who, self.engine.clock)
            made = evidence.new_sign_in(connection, who, {}, clock=self.engine.clock, identifier=lambda: str(uuid.uuid4()), seconds=3600)
            for group in groups:
                target = ScanTarget(account="1", guid="g" * 8, solution="s")
                mapping = RoleMapping(id=f"{CONNECTOR}/providers/Isthmus.Access/roleMappings/{group[:8]}", name="Reader", target=target)
                grants.standing(connection, mapping, made, f"group:{group}", self.engine.now(), f"G-{uuid.uuid4()}")

    def map_groups(self, *groups: str) -> None:
        """One mapping for these groups."""
        mapping = CONNECTOR.extension("Isthmus.Access/roleMappings", "Reader")
        puts = (
            Resource(id=subscription_id("00000000-0000-4000-8000-000000000000")),
            Resource(id=group_id("00000000-0000-4000-8000-000000000000", "rg"), location="eastus"),
            Resource(id=CONNECTOR, location="eastus"),
            Resource(id=mapping, properties={"groups": list(groups)}),
        )
        self.engine.apply(Change(puts=puts), Actor(id="admin", kind="User"), "setup", "/")

    def run_checks(self) -> dict[str, str]:
        """Run what was ordered; outcomes by person."""
        waiting = {id: order for id, order in self.jobs.orders.items() if order[0] == CHECK}
        for id in waiting:
            del self.jobs.orders[id]
        return {str(arguments["person"]): str(self.checks.run(arguments)["outcome"]) for _, arguments, _ in waiting.values()}

    def poll(self) -> dict[str, str]:
        """Ask Graph once and run what follows."""
        self.polling.poll()
        return self.run_checks()

    def ordered(self) -> list[tuple[str, dict[str, Any]]]:
        """Jobs that wait."""
        return [(job, dict(arguments)) for job, arguments, _ in self.jobs.orders.values()]

    def told(self, action: str) -> list[str]:
        """Details of audit records."""
        asked = select(audit_records.c.detail).where(audit_records.c.action == action).order_by(audit_records.c.seq)
        with self.engine.store.read() as connection:
            return list(connection.execute(asked).scalars())

    def held(self, person: str) -> set[str]:
        """Why a person holds something."""
        with self.engine.store.read() as connection:
            return {grant.because for grant in grants.living(connection, person, self.engine.now())}


@pytest.fixture
def followed(store: Store, clock: Clock) -> Iterator[Followed]:
    """Alice and Bob are in DEV, and hold something for it; Alice is in OPS too."""
    jobs = RecordedJobs()
    engine = Engine(store, jobs, clock=clock, new_guid=lambda: str(uuid.uuid4()))
    with reached() as there:
        made = Followed(engine=engine, jobs=jobs, there=there)
        for person in (ALICE, BOB):
            made.tenant.user(person)
        made.tenant.group(DEV, ALICE, BOB)
        made.tenant.group(OPS, ALICE)
        made.map_groups(DEV, OPS)
        made.sign_in(ALICE, DEV, OPS)
        made.sign_in(BOB, DEV)
        yield made
