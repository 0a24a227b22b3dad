"""The real MSAL against the token endpoint: its own HTTP calls are answered in process, so that only the protocol is between the two."""

from __future__ import annotations

import base64
import json
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import msal
import pytest
from cryptography.hazmat.primitives import serialization

from isthmus.identity.clients import create_client
from isthmus.identity.documents import openid_configuration
from isthmus.identity.federation import IssuerKeys, add_federated
from isthmus.identity.issuer import Issuer, api_issuer
from isthmus.identity.oauth import OAuthError
from isthmus.identity.secrets import add_secret
from isthmus.identity.tokens import TokenEndpoint
from isthmus.keys import KeyRing
from isthmus.store import Store
from tests.identity.parties import BASE, TENANT, TestKey
from tests.identity.web import Web


class _Answer:
    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status_code = status
        self.text = json.dumps(body)
        self.headers = {"Content-Type": "application/json"}

    def raise_for_status(self) -> None:
        assert self.status_code < 400, self.text


class _Http:
    """What MSAL asks of an HTTP client, answered by the token endpoint."""

    def __init__(self, endpoint: TokenEndpoint) -> None:
        self._endpoint = endpoint

    def get(self, url: str, **_: Any) -> _Answer:
        assert url == f"{BASE}/{TENANT}/v2.0/.well-known/openid-configuration"
        return _Answer(200, openid_configuration(BASE, TENANT, asked=TENANT))

    def post(self, url: str, data: Any = None, **_: Any) -> _Answer:
        assert url == f"{BASE}/{TENANT}/oauth2/v2.0/token"
        form = dict(urllib.parse.parse_qsl(data if isinstance(data, str) else urllib.parse.urlencode(data)))
        try:
            return _Answer(200, self._endpoint.answer(form, asked=TENANT))
        except OAuthError as error:
            return _Answer(error.status, error.body(trace_id="t", correlation_id="c", at=time.time()))

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def http(store: Store, ring: KeyRing, web: Web) -> _Http:
    """MSAL takes its time from the computer, therefore the endpoint does, too."""
    issuer: Issuer = api_issuer(BASE, TENANT, ring, time.time)
    foreign = IssuerKeys(web.fetch, time.time)
    return _Http(TokenEndpoint(store, issuer, tenant=TENANT, public_url=BASE, clock=time.time, foreign=foreign))


def ask(http: _Http, credential: Any) -> dict[str, Any]:
    app = msal.ConfidentialClientApplication(
        "app", client_credential=credential, authority=f"{BASE}/{TENANT}", http_client=http, instance_discovery=False
    )
    answer: dict[str, Any] = app.acquire_token_for_client([f"{BASE}//.default"])
    return answer


def test_a_secret_through_msal(http: _Http, store: Store) -> None:
    with store.begin() as connection:
        create_client(connection, name="App", clock=time.time, client_id="app")
        secret = add_secret(connection, "app", lifetime=60, clock=time.time).text
    answer = ask(http, secret)
    payload = answer["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (claims["tid"], claims["idtyp"]) == (TENANT, "app")
    wrong = ask(http, "wrong")
    assert (wrong["error"], wrong["error_codes"]) == ("invalid_client", [7000215])


def test_a_certificate_through_msal(http: _Http, store: Store, key_of: Callable[[str], TestKey]) -> None:
    key = key_of("good")
    with store.begin() as connection:
        create_client(connection, name="App", clock=time.time, client_id="app", public_key=key.pem)
    pem = key.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    assert "access_token" in ask(http, {"private_key": pem, "thumbprint": "A1" * 20})


def test_a_federated_token_through_msal(http: _Http, store: Store, key_of: Callable[[str], TestKey]) -> None:
    key = key_of("foreign")
    with store.begin() as connection:
        create_client(connection, name="App", clock=time.time, client_id="app")
        add_federated(connection, "app", issuer="https://i.test", subject="s", audience="us", jwks={"keys": [key.jwk]})
    now = int(time.time())
    token = key.sign({"iss": "https://i.test", "sub": "s", "aud": "us", "iat": now, "exp": now + 600})
    assert "access_token" in ask(http, {"client_assertion": lambda: token})
