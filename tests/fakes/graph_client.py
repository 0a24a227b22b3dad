"""Our client towards the double of Graph, proven by a key of its own, with time that passes when somebody waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from isthmus.clouds.azure.graph import SUBJECT, Caller, Graph, Place, Tokens, Wire
from tests.fakes.entra import CLIENT, TENANT
from tests.fakes.graph import Credential, GraphServer

ISSUER = "https://issuer.isthmus.test"
KEY = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"})


@dataclass
class Passing:
    """Monotonic time that passes by waiting alone."""

    now: float = 1000.0
    waited: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds


@dataclass
class Reached:
    """A client of a server; `claims` are changed by tests, `now` is the clock by which tokens end."""

    server: GraphServer
    passing: Passing = field(default_factory=Passing)
    claims: dict[str, Any] = field(default_factory=dict)
    now: float = field(default_factory=time.time)
    counted: list[tuple[str, str]] = field(default_factory=list)
    client: str = CLIENT

    def __post_init__(self) -> None:
        self.server.credential = Credential(issuer=ISSUER, subject=SUBJECT, jwks=lambda: KeySet([KEY]).as_dict(private=False))
        place = Place(url=self.server.url, login_url=self.server.url, tenant=TENANT, client=self.client)
        wire = Wire(seconds=5)
        self.tokens = Tokens(place, wire, assertion=self.assertion, clock=lambda: self.now)
        observe = lambda call, outcome: self.counted.append((call, outcome))  # noqa: E731
        self.caller = Caller(place, self.tokens, wire, observe=observe, monotonic=self.passing, sleep=self.passing.sleep)
        self.graph = Graph(self.caller)

    def assertion(self) -> str:
        now = int(time.time())
        said = {"iss": ISSUER, "sub": SUBJECT, "aud": "api://AzureADTokenExchange", "iat": now, "exp": now + 300, "jti": "1"}
        return jwt.encode({"alg": "RS256", "kid": "k1"}, {**said, **self.claims}, KEY)


@contextmanager
def reached(**more: Any) -> Iterator[Reached]:
    """A fresh server and its client."""
    with GraphServer() as server:
        made = Reached(server, **more)
        try:
            yield made
        finally:
            made.graph.close()
