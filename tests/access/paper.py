"""A cloud on paper: it keeps the policy that it is told, judges sessions by it as IAM does, and time passes only when somebody says so."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from isthmus.access.broker import Broker, Issued
from isthmus.access.enforcing import Enforcement
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.clouds.contract import PersonCredentials, ScanTarget, ShellOwner
from isthmus.identity import evidence, people
from isthmus.identity.people import Person
from isthmus.store import Store
from tests.access.estate import mapping_id, paper_broker
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

T = TypeVar("T")
_TAGS, _SOURCE = "https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a session carries; `issued_at` in whole seconds, as the cloud compares it."""

    issued_at: int
    source: str
    grant: str


@dataclass
class PaperCloud:
    """Fulfils what enforcement asks of `AccessCloud`. `down` names operations that do not answer now."""

    clock: Clock
    document: Mapping[str, Any] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    sessions: dict[str, Session] = field(default_factory=dict)
    ended: list[tuple[str, ShellOwner]] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def exchange(
        self, _target: ScanTarget, _role: str, *, token: str, session_name: str, policy: str, seconds: int
    ) -> PersonCredentials:
        self._answer("exchange")
        claims, key = json.loads(token), f"ASIA{next(self.numbers):016d}"
        assert session_name
        assert json.loads(policy)["Statement"]
        tags = claims[_TAGS]["principal_tags"]
        self.sessions[key] = Session(issued_at=int(self.clock.now), source=claims[_SOURCE], grant=tags["grant"][0])
        return PersonCredentials(access_key=key, secret_key="s", session_token="t", expires_at=self.clock.now + seconds)

    async def probe(self, _target: ScanTarget, credentials: PersonCredentials) -> bool:
        self._answer("probe")
        return self.allows(credentials.access_key)

    async def denies(self, _target: ScanTarget, document: str) -> bool:
        return bool(self.document == json.loads(document))

    async def deny(self, _target: ScanTarget, document: str) -> None:
        self._answer("deny")
        self.document = json.loads(document)

    async def end_shells(self, _target: ScanTarget, region: str, owners: Collection[ShellOwner]) -> Mapping[ShellOwner, int]:
        self._answer("end_shells")
        self.ended += [(region, owner) for owner in owners]
        return dict.fromkeys(owners, 1)

    def allows(self, key: str) -> bool:
        """Whether the policy lets a session through."""
        session = self.sessions[key]
        had = {"aws:SourceIdentity": session.source, "aws:PrincipalTag/grant": session.grant}
        for statement in self.document.get("Statement", ()):
            asked = statement.get("Condition", {})
            if statement["Sid"] == "Protect":
                continue
            named = all(had.get(name) in values for name, values in asked.get("StringEquals", {}).items())
            before = asked.get("DateLessThan", {}).get("aws:TokenIssueTime")
            if named and (before is None or session.issued_at < datetime.fromisoformat(before).timestamp()):
                return False
        return True

    def _answer(self, operation: str) -> None:
        if operation in self.down:
            raise ConnectionError(f"{operation}: throttled")


class _Signer:
    url = "https://issuer.isthmus.test"

    def mint(self, claims: Mapping[str, Any], _lifetime: int, **_: Any) -> str:
        return json.dumps(dict(claims))


class Paper:
    """Broker and enforcement over the cloud on paper."""

    def __init__(self, store: Store, clock: Clock) -> None:
        signer: Any = _Signer()
        self.clock, self.cloud = clock, PaperCloud(clock)
        cloud: Any = self.cloud
        numbers = itertools.count(1)
        self.broker: Broker = replace(paper_broker(store, clock), cloud=cloud, run=_run, issuer=signer, new_id=lambda: f"G-{next(numbers)}")
        self.engine = self.broker.engine
        jobs: Any = self.engine.jobs
        self.jobs: RecordedJobs = jobs
        self.enforcement = Enforcement(
            engine=self.engine, lookup=self.broker.lookup, cloud=cloud, run=_run, issuer=signer, sleep=clock.advance
        )

    def sign_in(self, name: str, *groups: str) -> Actor:
        """Somebody signs in for an hour."""
        id, mail = str(uuid.uuid5(uuid.NAMESPACE_URL, name)), f"{name}@example.test"
        person = Person(object_id=id, name=name, mail=mail, issuer="https://idp.test", subject=name)
        told = {"amr": ["mfa"], "groups": list(groups), "email": mail}
        with self.engine.store.begin() as connection:
            people.remember(connection, person, self.clock)
            made = evidence.new_sign_in(connection, person, told, clock=self.clock, identifier=lambda: str(uuid.uuid4()), seconds=3600)
        return Actor(id=person.object_id, kind="User", name=name, sign_in=made.id)

    def issue(self, actor: Actor, name: str = "Reader", use: str = "credentials") -> Issued:
        """A session."""
        return self.broker.issue(self.broker.mapping(str(mapping_id(name))), actor, use=use)

    def run_jobs(self) -> list[str]:
        """Do what was ordered, once each; the codes of those that failed."""
        failed = []
        for id in list(self.jobs.orders):
            job, arguments, _ = self.jobs.orders.pop(id)
            assert job == "access.deny"
            try:
                self.enforcement.enforce(arguments)
            except ArmError as error:
                failed.append(error.code)
        return failed

    def resume(self) -> list[str]:
        """What happens each minute."""
        self.enforcement.resume(datetime.now().astimezone())
        return self.run_jobs()


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
