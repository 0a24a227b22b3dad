"""A provider in this process that answers whatever a test wants, and our side of a sign-in with it."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from isthmus.arm.errors import ArmError
from isthmus.identity.federation import IssuerKeys
from isthmus.identity.foreign import Said
from isthmus.identity.issuer import Issuer
from isthmus.identity.openid import Begun, OpenId, Vouched
from isthmus.identity.relying import Provider, Send
from tests.identity.parties import BASE, TestKey
from tests.identity.web import Web
from tests.support.clock import Clock

ISSUER = "https://login.provider.test/realm"
CLIENT = "isthmus at home"
REDIRECT = f"{BASE}/sign-in/callback"
ENTRA_TENANT = "0f0f0f0f-1111-2222-3333-444444444444"
ENTRA = f"https://login.microsoftonline.com/{ENTRA_TENANT}/v2.0"
ACCESS = "opaque-access-token"


def refused_sign_in(act: Callable[[], object], code: str, reason: str = "") -> ArmError:
    """The refusal that something ends with."""
    with pytest.raises(ArmError, match=reason or None) as caught:
        act()
    assert caught.value.code == code, caught.value
    return caught.value


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Vouching:
    """The provider. `claims` and `header` change its ID tokens, `token` replaces them, `answer` replaces its whole answer."""

    def __init__(self, web: Web, clock: Clock, key: TestKey, issuer: str = ISSUER) -> None:
        self.web, self.clock, self.key, self.issuer = web, clock, key, issuer
        self.claims: dict[str, Any] = {"name": "Ann"}
        self.without: tuple[str, ...] = ()
        self.header: dict[str, Any] = {}
        self.token: Callable[[dict[str, Any]], str] | None = None
        self.answer: Said | OSError | None = None
        self.profile: Said | OSError | None = None
        self.nonce = ""
        self.asked: list[tuple[str, str, dict[str, str], dict[str, str]]] = []
        self.configuration: dict[str, Any] = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "jwks_uri": f"{issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        self.publish()

    def publish(self) -> None:
        """Put its documents on the web, as they are now."""
        self.web.publish(f"{self.issuer}/.well-known/openid-configuration", self.configuration)
        self.web.publish(self.configuration["jwks_uri"], {"keys": [self.key.jwk]})

    def send(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = 0,
    ) -> Said:
        """What its endpoints answer."""
        self.asked.append((method, url, dict(form or {}), dict(headers or {})))
        planned = self.profile if method == "GET" else self.answer
        if isinstance(planned, OSError):
            raise planned
        if planned is None and method == "GET":
            return Said(status=404, body=b"")
        return planned or Said(status=200, body=json.dumps({"access_token": ACCESS, "id_token": self._id_token()}).encode())

    def _id_token(self) -> str:
        now = int(self.clock())
        claims = {
            "iss": self.issuer,
            "sub": "ann",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            "at_hash": encoded(hashlib.sha256(ACCESS.encode()).digest()[:16]),
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if name not in self.without}
        return self.token(claims) if self.token else self.key.sign(claims, **self.header)

    def openid(self, own: Issuer, send: Send | None = None, **more: Any) -> OpenId:
        """Our side of it."""
        provider = Provider(issuer=self.issuer, client_id=CLIENT, **more)
        keys = IssuerKeys(self.web.fetch, self.clock, patience=10)
        return OpenId(provider, keys=keys, send=send or self.send, own=own, public_url=BASE, clock=self.clock)

    def visit(self, begun: Begun, **changes: str | None) -> dict[str, str]:
        """What a browser comes back with that went where it was sent; None takes a parameter away."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
        self.nonce = asked["nonce"]
        query = {"state": asked["state"], "code": "c0de", "iss": self.issuer, **changes}
        return {name: value for name, value in query.items() if value is not None}

    def whole(self, openid: OpenId, return_to: str = "/", **changes: str | None) -> Vouched:
        """A whole sign-in."""
        begun = openid.begin(return_to)
        return openid.finish(begun.cookie, self.visit(begun, **changes))
