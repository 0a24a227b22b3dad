"""A good token of every kind of trust, and what its verifier expects; tests change one thing at a time."""

from __future__ import annotations

from typing import Any

from isthmus.identity import trust
from isthmus.identity.jws import VerificationKey
from isthmus.identity.trust import TRUST, Context
from tests.identity.parties import BASE, TENANT

NOW = 1_767_225_600
VM = "22222222-2222-2222-2222-222222222222"
RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridCompute/machines/i-1"
ISSUERS = {
    trust.API_TOKEN: f"{BASE}/{TENANT}/v2.0",
    trust.MACHINE_TOKEN: f"{BASE}/{TENANT}/v2.0",
    trust.CLIENT_ASSERTION: "app",
    trust.FEDERATED_TOKEN: "https://foreign.test",
    trust.MACHINE_ASSERTION: VM,
    trust.MACHINE_ENROLMENT: VM,
    trust.MACHINE_RENEWAL: VM,
    trust.MACHINE_REKEY: VM,
    trust.ID_TOKEN: "https://foreign.test",
    trust.CLAIMS_CALL: "https://foreign.test",
    trust.PENDING_SIGN_IN: f"{BASE}/{TENANT}/v2.0",
    trust.SECURITY_EVENT: "https://foreign.test",
}
KINDS = sorted(TRUST)


class Spent:
    """Used token ids, as the database would keep them."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def __call__(self, digest: str, expires_at: int) -> bool:
        assert expires_at > NOW * 1000
        fresh = digest not in self.ids
        self.ids.add(digest)
        return fresh


def claims_of(kind: str) -> dict[str, Any]:
    statement = {"iss": ISSUERS[kind], "sub": ISSUERS[kind], "aud": "us", "iat": NOW, "exp": NOW + 300, "jti": "1"}
    if kind in (trust.API_TOKEN, trust.MACHINE_TOKEN):
        machine = kind == trust.MACHINE_TOKEN
        more = {"oid": "o", "tid": TENANT, "azp": "app", "appid": "app", "ver": "2.0", "nbf": NOW, "idtyp": "machine" if machine else "app"}
        return {**statement, **more, **({"xms_mirid": RESOURCE} if machine else {})}
    if kind == trust.MACHINE_ENROLMENT:
        return {**statement, "nonce": "n", "resourceId": RESOURCE, "tenantId": TENANT}
    if kind == trust.MACHINE_REKEY:
        return {**statement, "spki_sha256": "k"}
    if kind == trust.ID_TOKEN:
        return {**statement, "nonce": "n"}
    if kind == trust.CLAIMS_CALL:
        return {**statement, "tid": TENANT, "azp": trust.ENTRA_CALLER}
    if kind == trust.PENDING_SIGN_IN:
        return {**statement, "nbf": NOW, "state": "s", "nonce": "n", "verifier": "v", "return_to": "/"}
    if kind == trust.SECURITY_EVENT:
        return {**statement, "sub_id": {"format": "opaque", "id": "o"}, "events": {"https://schemas.test/happened": {}}}
    return statement


def typ_of(kind: str) -> str:
    return next(iter(TRUST[kind].types - {""})) if len(TRUST[kind].types) == 1 else "JWT"


def context_of(kind: str, *keys: VerificationKey, **changes: Any) -> Context:
    values: dict[str, Any] = {
        "now": float(NOW),
        "keys": keys,
        "issuer": ISSUERS[kind],
        "subject": ISSUERS[kind],
        "audiences": frozenset({"us"}),
        "tenant": TENANT,
        "nonce": "n",
        "resource": RESOURCE,
        "next_key": "k",
        "spend": Spent(),
        **changes,
    }
    return Context(**values)
