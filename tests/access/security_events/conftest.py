"""A transmitter with keys of its own, a receiver that trusts it, and Alice, who is signed in here and holds something."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from isthmus.access import grants, revocations
from isthmus.access.mappings import RoleMapping
from isthmus.access.security_events.receiving import Receiver
from isthmus.clouds.contract import ScanTarget
from isthmus.engine import Engine
from isthmus.identity import evidence, people
from isthmus.identity.federation import IssuerKeys
from isthmus.identity.people import Person
from isthmus.store import Store
from tests.fakes.entra import guid
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

ISSUER, AUDIENCE, JWKS = "https://signals.test", "https://here.test", "https://signals.test/keys"
IDP, ALICE = "https://idp.test", guid("alice")
GOOD, EVIL = (RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"}) for _ in range(2))
CAEP = "https://schemas.openid.net/secevent/caep/event-type"


@dataclass
class Signals:
    """The two parties; `fetched` are addresses that were asked for keys."""

    engine: Engine
    clock: Clock
    fetched: list[str] = field(default_factory=list)
    is_down: bool = False
    receiver: Receiver = field(init=False)

    def __post_init__(self) -> None:
        keys = IssuerKeys(self._fetch, self.clock, addresses={ISSUER: JWKS})
        self.receiver = Receiver(engine=self.engine, issuer=ISSUER, audience=AUDIENCE, keys=keys)

    def _fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if self.is_down:
            raise OSError("away")
        return json.dumps(KeySet([GOOD]).as_dict(private=False)).encode()

    def token(self, kind: str = f"{CAEP}/session-revoked", *, key: RSAKey = GOOD, header: Any = None, **changes: Any) -> str:
        """A token of the transmitter; None leaves a claim out."""
        plain = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": int(self.clock()),
            "jti": str(uuid.uuid4()),
            "sub_id": {"format": "iss_sub", "iss": IDP, "sub": "alice"},
            "events": {kind: {"event_timestamp": int(self.clock())}},
        }
        claims = {name: value for name, value in {**plain, **changes}.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "k1", "typ": "secevent+jwt", **(header or {})}, claims, key)

    def sign_in(self) -> str:
        """Alice signs in and takes a grant; the sign-in's id."""
        who = Person(object_id=ALICE, name="Alice", mail="alice@example.test", issuer=IDP, subject="alice")
        target = ScanTarget(account="1", guid="g" * 8, solution="s")
        mapping = RoleMapping(id="/c/providers/Isthmus.Access/roleMappings/Reader", name="Reader", target=target)
        with self.engine.store.begin() as connection:
            people.remember(connection, who, self.clock)
            made = evidence.new_sign_in(connection, who, {}, clock=self.clock, identifier=lambda: str(uuid.uuid4()), seconds=3600)
            grants.standing(connection, mapping, made, "group:g", self.engine.now(), f"G-{made.id}")
        return made.id

    def state(self) -> tuple[bool, int, bool]:
        """Whether Alice is signed in, how many grants live, whether she is barred."""
        now = self.engine.now()
        with self.engine.store.read() as connection:
            signed_in = evidence.latest(connection, ALICE, now) is not None
            return signed_in, len(grants.living(connection, ALICE, now)), revocations.is_revoked(connection, ALICE)


@pytest.fixture
def signals(store: Store, clock: Clock) -> Signals:
    engine = Engine(store, RecordedJobs(), clock=clock, new_guid=lambda: str(uuid.uuid4()))
    made = Signals(engine=engine, clock=clock)
    made.sign_in()
    return made
