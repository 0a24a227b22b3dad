"""Keys, an issuer and a token endpoint for the tests of identity."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from isthmus.identity.clients import create_client
from isthmus.identity.federation import IssuerKeys
from isthmus.identity.issuer import Issuer, api_issuer
from isthmus.identity.jws import key_digest, key_of_pkcs1
from isthmus.identity.openid import OpenId
from isthmus.identity.tokens import TokenEndpoint
from isthmus.keys import KeyRing
from isthmus.store import Store
from isthmus.store.tables import registrations
from tests.identity.parties import BASE, TENANT, TestKey
from tests.identity.vouching import Vouching
from tests.identity.web import Web
from tests.support.clock import Clock


@pytest.fixture(scope="session")
def key_of() -> Callable[[str], TestKey]:
    """The key of a name, made once per session."""
    made: dict[str, TestKey] = {}
    return lambda name: made.setdefault(name, made.get(name) or TestKey(name))


@pytest.fixture(scope="session")
def first_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key folder of a first start; making RSA keys takes longer than the tests that need some."""
    folder = tmp_path_factory.mktemp("first") / "keys"
    for purpose in ("api", "aws"):
        KeyRing(folder, purpose, clock=Clock())
    return folder


@pytest.fixture
def ring_of(tmp_path: Path, clock: Clock, first_keys: Path) -> Callable[[str], KeyRing]:
    """The ring of a purpose in a copy of that folder."""
    shutil.copytree(first_keys, tmp_path / "keys")
    return lambda purpose: KeyRing(tmp_path / "keys", purpose, clock=clock)


@pytest.fixture
def ring(ring_of: Callable[[str], KeyRing]) -> KeyRing:
    return ring_of("api")


@pytest.fixture
def issuer(ring: KeyRing, clock: Clock) -> Issuer:
    return api_issuer(BASE, TENANT, ring, clock)


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def vouching(web: Web, clock: Clock, key_of: Callable[[str], TestKey]) -> Vouching:
    """A provider in this process."""
    return Vouching(web, clock, key_of("provider"))


@pytest.fixture
def openid(vouching: Vouching, issuer: Issuer) -> OpenId:
    """Our side of it, as a public client."""
    return vouching.openid(issuer)


@pytest.fixture
def endpoint(store: Store, issuer: Issuer, clock: Clock, web: Web) -> TokenEndpoint:
    return TokenEndpoint(store, issuer, tenant=TENANT, public_url=BASE, clock=clock, foreign=IssuerKeys(web.fetch, clock))


@pytest.fixture
def app(store: Store, clock: Clock, key_of: Callable[[str], TestKey]) -> str:
    """A client `app` with the key `good`; its object id."""
    with store.begin() as connection:
        return create_client(connection, name="App", clock=clock, client_id="app", public_key=key_of("good").pem).object_id


@pytest.fixture
def enrol(store: Store, clock: Clock) -> Callable[..., str]:
    """Register a machine with a key; its vmId."""

    def enrolled(key: TestKey, *, next_key: TestKey | None = None, state: str = "enrolled", days: int = 90) -> str:
        vm_id = "22222222-2222-2222-2222-222222222222"
        row = {
            "vm_id": vm_id,
            "resource": "/subscriptions/s/resourcegroups/g/providers/microsoft.hybridcompute/machines/i-1",
            "resource_id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridCompute/machines/i-1",
            "principal_id": "33333333-3333-3333-3333-333333333333",
            "public_key": key.pkcs1,
            "key_hash": key_digest(key_of_pkcs1(key.pkcs1)),
            "next_public_key": next_key.pkcs1 if next_key else None,
            "next_key_hash": key_digest(key_of_pkcs1(next_key.pkcs1)) if next_key else None,
            "enrolled_at": int(clock() * 1000),
            "expires_at": int((clock() + days * 86_400) * 1000),
            "last_heartbeat": None,
            "state": state,
        }
        with store.begin() as connection:
            connection.execute(registrations.insert().values(**row))
        return vm_id

    return enrolled
