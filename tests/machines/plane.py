"""The control plane of machine tests: an engine on a store, a registered machine, and keys that machines hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, group_id
from isthmus.arm.types import Actor
from isthmus.audit import Refusals
from isthmus.engine import Engine, Lookup
from isthmus.identity.principal import Principal
from isthmus.machines import Machines, registration, windows
from isthmus.machines.publickey import parse_public_key
from isthmus.store import Store
from isthmus_agent.keys import Key
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

TENANT = "7d1c0000-0000-4000-8000-000000000001"
SUBSCRIPTION = "7d1c0000-0000-4000-8000-000000000002"
URL = "https://plane.isthmus.test:8443"
GROUP = group_id(SUBSCRIPTION, "aws_123456789012")
TESTER = Actor(id="tester", kind="User")


class Keys:
    """RSA keys by number, made once: making one takes a tenth of a second."""

    def __init__(self) -> None:
        self._made: list[Key] = []

    def __getitem__(self, number: int) -> Key:
        while len(self._made) <= number:
            self._made.append(Key.generate())
        return self._made[number]


def guids(start: int = 1) -> Callable[[], str]:
    """Different GUIDs, the same in every run."""
    numbers = itertools.count(start)
    return lambda: str(UUID(int=next(numbers)))


def engine_on(store: Store, clock: Clock, jobs: Any = None, *, start: int = 1) -> Engine:
    """An engine that forgets registrations with their machines; its GUIDs count from `start`."""
    removals = {"microsoft.hybridcompute/machines": lambda connection, keys: registration.forget(connection, keys, int(clock() * 1000))}
    return Engine(store, jobs or RecordedJobs(), clock=clock, new_guid=guids(start), removals=removals)


class Plane:
    """Machines over a store, and what tests do with them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.engine = engine_on(store, clock)
        self.lookup = Lookup(store)
        self.machines = Machines(engine=self.engine, refusals=Refusals(store, clock), tenant=TENANT, public_url=URL)
        group = Resource(id=GROUP, location="westeurope", properties={"provisioningState": "Succeeded"})
        self.engine.apply(Change(puts=(group,)), TESTER, "test", "group")

    def id_of(self, name: str) -> ResourceId:
        return GROUP.extension(registration.MACHINES, name)

    def register(self, name: str, key: Key, *, generation: int = 1, windowed: bool = True) -> str:
        """Register a machine as onboarding does; its vmId."""
        id, parsed = self.id_of(name), parse_public_key(key.public)
        with self.store.begin() as connection:
            old = self.lookup.find(id) or Resource(id=id, location="westeurope", properties={}, extra={"kind": "AWS"})
            window = windows.open_window(connection, name, generation, id=self.engine.new_guid(), now=self.engine.now())
            registrant = registration.Registrant(
                machine=id,
                key=parsed,
                vm_id=old.properties.get("vmId") or window.vm_id,
                principal_id=self.engine.new_guid(),
                window_id=window.id if windowed else None,
            )
            made = registration.register(connection, registrant)
            waiting = registration.awaiting(old, made, parsed, tenant=TENANT, now=self.engine.now())
            self.engine.apply_within(connection, Change(puts=(waiting,)), registration.ONBOARDING, "test/register", str(id))
        return made.vm_id

    def statement(self, name: str, vm_id: str, key: Key, *, nonce: str | None = None, **claims: Any) -> str:
        """An enrolment statement as the agent makes it; `claims` replace its claims, None leaves one out."""
        fresh = nonce if nonce is not None else self.machines.challenge({"vmId": vm_id})["nonce"]
        now = int(self.clock())
        own = {
            "iss": vm_id,
            "sub": vm_id,
            "aud": f"{URL}/agent/v1/enrol",
            "iat": now,
            "exp": now + 240,
            "jti": f"{fresh}-{claims.pop('jti', 1)}",
            "nonce": fresh,
            "resourceId": str(self.id_of(name)),
            "tenantId": TENANT,
        }
        kind = claims.pop("kind", "isthmus-enrol+jwt")
        said = {claim: value for claim, value in (own | claims).items() if value is not None}
        return key.sign(said, kind=kind)

    def enrol(self, name: str, vm_id: str, key: Key, facts: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.machines.enrol({"statement": self.statement(name, vm_id, key), "facts": facts or {}})

    def principal(self, name: str, vm_id: str) -> Principal:
        return Principal(object_id="p", kind="machine", name=name, tenant=TENANT, client_id=vm_id, resource_id=str(self.id_of(name)))

    def properties(self, name: str) -> dict[str, Any]:
        found = self.lookup.find(self.id_of(name))
        assert found is not None
        return dict(found.properties)
