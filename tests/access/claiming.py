"""A directory that asks for claims: its keys and calls without a network, and a connector in the mode claims."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from isthmus.access.claims import ClaimsProvider
from isthmus.access.groups import GroupsUnknown, Membership
from isthmus.api.claims import Claims
from isthmus.api.wire import Incoming
from isthmus.audit import Refusals
from isthmus.engine import Engine, Lookup
from isthmus.identity.evidence import SignedIn
from isthmus.identity.federation import IssuerKeys
from isthmus.identity.trust import ENTRA_CALLER
from tests.access.estate import GUID
from tests.lab.issuer import FakeIssuer

TENANT = "11111111-2222-3333-4444-555555555555"
V2, V1 = f"https://login.microsoftonline.com/{TENANT}/v2.0", f"https://sts.windows.net/{TENANT}/"
APP, EXTENSION = "app-of-people", "app-of-the-extension"
ALICE = str(uuid.UUID(int=0xA))


class Directory:
    """Groups by object id, as a provisioned directory knows them. `is_down` makes it silent."""

    def __init__(self) -> None:
        self.members: dict[str, set[str]] = {}
        self.is_down = False

    def ask(self, person: SignedIn, groups: Collection[str]) -> Membership:
        """See `GroupSource`."""
        if self.is_down:
            raise GroupsUnknown("The directory does not answer.")
        found = self.members.get(person.object_id)
        return Membership(groups=frozenset(found or ()) & frozenset(groups), is_active=found is not None)


class Desk:
    """The endpoint over an engine; `fetched` are the addresses that were asked for keys."""

    def __init__(self, engine: Engine, issuer: FakeIssuer, url: str = V2, tenant: str = TENANT) -> None:
        self.issuer, self.url, self.tenant = issuer, url, tenant
        self.directory, self.fetched, self.is_reachable = Directory(), list[str](), True
        keys = IssuerKeys(self._fetch, engine.clock, patience=0.0)
        provider = ClaimsProvider(engine=engine, lookup=Lookup(engine.store), groups=self.directory, keys=keys)
        self.endpoint = Claims(provider=provider, refusals=Refusals(engine.store, engine.clock))

    def _fetch(self, address: str) -> bytes:
        self.fetched.append(address)
        if not self.is_reachable:
            raise OSError("no route")
        if address.endswith("openid-configuration"):
            named = address.removesuffix("/.well-known/openid-configuration")
            slash = "/" if "sts.windows.net" in named else ""
            return json.dumps({"issuer": named + slash, "jwks_uri": "https://keys.test/keys"}).encode()
        return json.dumps(self.issuer.document(urlsplit(address).path)).encode()

    def token(self, **changes: Any) -> str:
        """A token with which the directory calls."""
        now = int(time.time())
        plain = {"iss": self.url, "aud": EXTENSION, "tid": self.tenant, "azp": ENTRA_CALLER, "sub": "s", "nbf": now}
        return self.issuer.token(**{**plain, **changes})

    def ask(self, body: Any = None, *, token: str | None = None, guid: str = GUID) -> dict[str, Any]:
        """The claims of one call."""
        headers = {} if token == "" else {"authorization": f"Bearer {self.token() if token is None else token}"}
        raw = json.dumps(call() if body is None else body).encode()
        incoming = Incoming(
            method="POST",
            path=f"/identity/claims/{guid}",
            query={},
            headers=headers,
            body=raw,
            base_url="https://here",
            correlation="c",
        )
        [action] = self.endpoint.answer(incoming).body["data"]["actions"]
        found: dict[str, Any] = action["claims"]
        return found


def call(person: str = ALICE, *, app: str = APP, tenant: str = TENANT) -> dict[str, Any]:
    """What Entra sends, with more than is read."""
    user = {"id": person, "userPrincipalName": "alice@example.test", "displayName": "Alice", "userType": "Member"}
    context = {
        "correlationId": str(uuid.uuid4()),
        "client": {"ip": "192.0.2.1", "locale": "en-us"},
        "protocol": "OAUTH2.0",
        "clientServicePrincipal": {"id": str(uuid.uuid4()), "appId": app, "displayName": "AWS"},
        "user": user,
    }
    data = {"@odata.type": "microsoft.graph.onTokenIssuanceStartCalloutData", "tenantId": tenant, "authenticationContext": context}
    return {"type": "microsoft.graph.authenticationEvent.tokenIssuanceStart", "source": "/tenants/x", "data": data}
