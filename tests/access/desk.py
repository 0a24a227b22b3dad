"""People, groups that change, and roles on request, over a store and no cloud."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from isthmus.access.broker import Broker
from isthmus.access.groups import GroupsUnknown, Membership
from isthmus.access.judging import Request
from isthmus.access.requests import Requests, Wanted
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, subscription_id
from isthmus.arm.types import Actor
from isthmus.engine import Engine, Lookup
from isthmus.identity import evidence
from isthmus.identity.evidence import SignedIn
from isthmus.identity.people import Person
from isthmus.solutions.access import AccessSolution
from isthmus.store import Store
from isthmus.store.tables import audit_records
from tests.access.estate import ADMIN, CONNECTOR, GROUP, GUID, mapping_id
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

NOTHING: Any = None
ALLOWED = [{"Effect": "Allow", "Action": ["ec2:*"], "Resource": ["*"]}]


def on_request(**more: Any) -> dict[str, Any]:
    """Properties of a role that is held on request."""
    activation = {"mode": "Request", "approverGroups": ["g-lead"], "approvals": 1, "longestSeconds": 7_200, **more}
    return {"groups": ["g-ops"], "statements": ALLOWED, "activation": activation}


@dataclass
class LiveGroups:
    """A directory: who is in which groups now. `is_down` makes it silent, `asked` counts."""

    members: dict[str, set[str]] = field(default_factory=dict)
    is_down: bool = False
    asked: int = 0
    is_live: bool = False

    def ask(self, person: SignedIn, groups: Collection[str]) -> Membership:
        """See `GroupSource`."""
        self.asked += 1
        if self.is_down:
            raise GroupsUnknown("The directory does not answer.")
        return Membership(groups=frozenset(self.members.get(person.object_id, ())) & frozenset(groups))


@dataclass
class Desk:
    """Where roles are asked for and given. `owners` are ids of people who own everything."""

    engine: Engine
    lookup: Lookup
    clock: Clock
    groups: LiveGroups
    requests: Requests
    broken: list[int]
    owners: set[str] = field(default_factory=set)

    def sign_in(self, name: str, *groups: str, methods: tuple[str, ...] = ("mfa",)) -> Actor:
        """Somebody signs in, and is in these groups, as the token and the directory say."""
        person = Person(object_id=str(uuid.uuid5(uuid.NAMESPACE_URL, name)), name=name, mail="", issuer="i", subject=name)
        told = {"amr": list(methods), "groups": list(groups)}
        with self.engine.store.begin() as connection:
            made = evidence.new_sign_in(
                connection, person, told, clock=self.clock, identifier=lambda: str(uuid.uuid4()), seconds=10 * 86_400
            )
        self.groups.members[person.object_id] = set(groups)
        return Actor(id=person.object_id, kind="User", name=name, sign_in=made.id)

    def owner(self, name: str) -> Actor:
        """Somebody who owns the connector, and is in no group."""
        made = self.sign_in(name)
        self.owners.add(made.id)
        return made

    def by_link(self) -> Actor:
        """Whoever uses a sign-in link: the administrator, who owns everything."""
        made = Actor(id=str(uuid.uuid5(uuid.NAMESPACE_URL, "administrator")), kind="User", name="administrator")
        self.owners.add(made.id)
        return made

    def owns(self, actor: Actor) -> Any:
        """Whether an actor owns a scope."""
        return lambda scope: actor.id in self.owners and CONNECTOR.key.startswith(scope.lower())

    def ask(self, actor: Actor, role: str = "Operator", *, seconds: int = 600, glass: bool = False) -> Request:
        """Ask for a role."""
        wanted = Wanted(reason="INC-7", seconds=seconds, is_break_glass=glass)
        return self.requests.ask(self.requests.broker.mapping(str(mapping_id(role))), actor, wanted, self.owns(actor))

    def approve(self, request: Request, actor: Actor) -> Request:
        """Approve a request."""
        return self.requests.approve(request.id, actor, self.owns(actor), "fine")

    def put(self, role: str, properties: Mapping[str, Any]) -> None:
        """Make or change a role."""
        self.engine.apply(Change(puts=(Resource(id=mapping_id(role), properties=dict(properties)),)), ADMIN, "setup", "/")

    def remove(self, id: ResourceId) -> None:
        """Delete a resource."""
        self.engine.apply(Change(deletes=(id,)), ADMIN, "setup", "/")

    def audit(self, action: str) -> list[dict[str, Any]]:
        """Details of the records of an action on requests."""
        chosen = select(audit_records.c.detail).where(audit_records.c.action == f"Isthmus.Access/requests/{action}")
        with self.engine.store.read() as connection:
            return [json.loads(text) for text in connection.execute(chosen.order_by(audit_records.c.seq)).scalars()]


def desk(store: Store, clock: Clock) -> Desk:
    """Everything stored and joined: roles Operator (one approval), Root (two), Reader (standing)."""
    engine = Engine(store, RecordedJobs(), clock=clock, new_guid=lambda: str(uuid.uuid4()))
    lookup, groups, broken, numbers = Lookup(store), LiveGroups(), list[int](), itertools.count(1)
    solution = AccessSolution(engine=engine, lookup=lookup, cloud=NOTHING, loop=NOTHING, issuer_url="https://i.test")
    engine.arrivals, engine.removals = dict(solution.arrivals), dict(solution.removals)
    profile = {"awsCloudProfile": {"accountId": "123456789012"}, "connectorPrimaryIdentifier": GUID}
    puts = (
        Resource(id=subscription_id(GROUP.subscription)),
        Resource(id=GROUP, location="eastus", properties={"provisioningState": "Succeeded"}),
        Resource(id=CONNECTOR, location="eastus", properties=profile),
    )
    engine.apply(Change(puts=puts), ADMIN, "setup", "/")
    broker = Broker(
        engine=engine,
        lookup=lookup,
        cloud=NOTHING,
        run=NOTHING,
        groups=groups,
        issuer=NOTHING,
        new_id=lambda: f"G-{next(numbers)}",
    )
    owners = set[str]()
    requests = Requests(
        engine=engine, broker=broker, count_glass=lambda: broken.append(1), still_owns=lambda _connection, person, _scope: person in owners
    )
    made = Desk(engine=engine, lookup=lookup, clock=clock, groups=groups, requests=requests, broken=broken, owners=owners)
    made.put("Operator", on_request())
    made.put("Root", on_request(approvals=2))
    made.put("Reader", {"groups": ["g-ops"], "statements": ALLOWED})
    return made
