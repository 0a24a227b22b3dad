"""Our OpenID Connect issuers: one for tokens of our API, one that AWS trusts.

Each has its own key ring, so neither can speak for the other.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, delete, select

from isthmus.arm.errors import conflict, invalid
from isthmus.identity.documents import issuer_url, jwks_url
from isthmus.identity.jws import VerificationKey, keys_of_jwks
from isthmus.keys import KeyRing, Signer, compact
from isthmus.store.dialect import upsert
from isthmus.store.tables import signing_keys

AWS_LIFETIME = 600
_DISCOVERY, _KEYS = ".well-known/openid-configuration", ".well-known/jwks.json"


def _random_id() -> str:
    return str(uuid.uuid4())


class Issuer:
    """Mints tokens in the name of `url` with the current key of a ring; `clock` in seconds since 1970."""

    def __init__(
        self,
        url: str,
        ring: KeyRing,
        clock: Callable[[], float],
        *,
        jwks_uri: str = "",
        identifier: Callable[[], str] = _random_id,
    ) -> None:
        self.url = url
        self.ring = ring
        self._clock = clock
        self._jwks_uri = jwks_uri or f"{url.rstrip('/')}/{_KEYS}"
        self._identifier = identifier
        self._cached: tuple[tuple[int, int, int], tuple[VerificationKey, ...]] = ((0, 0, 0), ())

    def mint(self, claims: Mapping[str, Any], lifetime: int, *, typ: str = "JWT", by: Signer | None = None) -> str:
        """A signed JWT (RS256) of `claims` plus iss, iat, nbf, exp (`lifetime` seconds from now) and jti, which claims cannot replace.

        `by` signs instead of the current key of the ring: its next one, where a rotation is rehearsed.
        """
        now = int(self._clock())
        framed = {**claims, "iss": self.url, "iat": now, "nbf": now, "exp": now + lifetime, "jti": self._identifier()}
        return compact(by or self.ring.signer(), framed, typ=typ)

    def discovery(self) -> dict[str, Any]:
        """The OpenID Connect discovery document (OpenID Connect Discovery 3), as far as relying parties that only verify need it."""
        return {
            "issuer": self.url,
            "jwks_uri": self._jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
            "claims_supported": ["aud", "exp", "iat", "iss", "jti", "nbf", "sub"],
        }

    def jwks(self) -> dict[str, Any]:
        """Every key that may have signed a living token, and the next one."""
        return self.ring.jwks()

    def verification_keys(self) -> tuple[VerificationKey, ...]:
        """The same keys, ready to verify; a retired key whose time is over is not among them."""
        version = self.ring.version
        if self._cached[0] != version:
            self._cached = (version, keys_of_jwks({"keys": [dict(record.public_jwk) for record in self.ring.records()]}))
        published = {record.kid for record in self.ring.records()}
        return tuple(key for key in self._cached[1] if key.kid in published)

    def export(self, folder: Path) -> list[Path]:
        """Write the public documents below `folder`, to be copied to the web host behind `url`; the files written.

        Export again after every rotation, before the next one: the host must publish a key a day before it signs.
        """
        written = []
        for name, document in ((_DISCOVERY, self.discovery()), (_KEYS, self.jwks())):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            written.append(path)
        return written


class AccountTokens:
    """Fulfils `isthmus.clouds.contract.TokenSource`: tokens that AWS STS exchanges for credentials, valid for 10 minutes."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def mint(self, *, audience: str, subject: str) -> str:
        """A token of `subject` for exactly one audience."""
        return self._issuer.mint({"aud": audience, "sub": subject}, AWS_LIFETIME)


def api_issuer(public_url: str, tenant: str, ring: KeyRing, clock: Callable[[], float]) -> Issuer:
    """The issuer of tokens for our own API."""
    return Issuer(issuer_url(public_url, tenant), ring, clock, jwks_uri=jwks_url(public_url, tenant))


def aws_issuer(url: str, ring: KeyRing, clock: Callable[[], float]) -> Issuer:
    """The issuer that AWS accounts trust. ArmError `InvalidIssuerUrl` unless AWS would take the URL as an OIDC provider.

    AWS demands https, no port, no query or fragment, and at most 255 characters; a trailing slash is refused because STS compares exactly.
    """
    parts = urlsplit(url)
    acceptable = parts.scheme == "https" and parts.hostname and parts.netloc == parts.hostname and not parts.query and not parts.fragment
    if not acceptable or url.endswith(("/", "?", "#")) or len(url) > 255:
        raise invalid(
            f"'{url}' cannot be the issuer for AWS: it must be https in lower case, without port, user, query, fragment or trailing slash, "
            "and have at most 255 characters.",
            target="issuer_url",
            code="InvalidIssuerUrl",
        )
    return Issuer(url, ring, clock)


def require_known(connection: Connection, ring: KeyRing) -> None:
    """ArmError 409 `SigningKeysDiffer` when the database was last used with a ring that shares no key with this one.

    A process with keys of its own would refuse the tokens of all others and take their keys out of the published ones.
    """
    known = set(connection.execute(select(signing_keys.c.kid).where(signing_keys.c.purpose == ring.purpose)).scalars())
    if known and known.isdisjoint(record.kid for record in ring.records()):
        raise conflict(
            f"The keys in '{ring.folder}' are not those that this database was last used with. Every process on one database needs the "
            "same key folder: name it with ISTHMUS_KEYS_FOLDER. If those keys are lost, start once with --accept-new-keys: tokens signed "
            "until now are refused then, and AWS must be shown the new keys ('isthmus issuer export').",
            target=str(ring.folder),
            code="SigningKeysDiffer",
        )


def is_behind(connection: Connection, ring: KeyRing) -> bool:
    """Whether another process has retired the key that this ring still signs with: its folder is a copy that was not renewed."""
    rows = select(signing_keys.c.kid, signing_keys.c.state).where(signing_keys.c.purpose == ring.purpose)
    states: dict[str, str] = {row.kid: row.state for row in connection.execute(rows)}
    return bool(states) and states.get(ring.current, "retired") == "retired"


def record_keys(connection: Connection, ring: KeyRing) -> None:
    """Bring the table `signing_keys` to what the ring publishes (public halves only), so that rotations show in the database.

    A process that may only read its key folder records nothing: what it has may be an older copy.
    """
    if not ring.is_kept_here:
        return
    records = ring.records()
    rows = [
        {
            "kid": record.kid,
            "purpose": record.purpose,
            "state": record.state,
            "public_jwk": json.dumps(dict(record.public_jwk), sort_keys=True),
            "created_at": record.created_at,
            "retires_at": record.retires_at,
        }
        for record in records
    ]
    gone = signing_keys.c.kid.not_in([record.kid for record in records])
    connection.execute(delete(signing_keys).where(signing_keys.c.purpose == ring.purpose, gone))
    upsert(connection, signing_keys, rows)
