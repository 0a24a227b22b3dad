"""Verification of a web identity token the way STS does it: structure, signature by the issuer's keys, times, audience."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from isthmus_lab.pack.issuers import IssuerError, Issuers
from isthmus_lab.pack.refusals import StsError

ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
SKEW_SECONDS = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A token read but not yet verified: its header and claims, duplicates excluded."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> str:
        """The claim `iss`, which names the OIDC provider."""
        return str(self.claims["iss"])

    @property
    def subject(self) -> str:
        """The claim `sub`, as trust policies compare it."""
        return str(self.claims["sub"])

    @property
    def audiences(self) -> list[str]:
        """`azp` when the token has one, otherwise every `aud`."""
        chosen = self.claims.get("azp") or self.claims.get("aud")
        return [str(one) for one in chosen] if isinstance(chosen, list) else [str(chosen)]


def read(text: str) -> Token:
    """Take a compact JWT apart; raises StsError for anything that STS would not look at any further."""
    parts = text.split(".")
    if len(parts) != 3:
        raise _invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
    header, claims = _object(parts[0]), _object(parts[1])
    if header.get("alg") not in ALGORITHMS:
        raise _invalid(f"The signature algorithm {header.get('alg')} is not supported")
    if not isinstance(claims.get("iss"), str):
        raise _invalid("Missing a required claim: iss")
    if not isinstance(claims.get("sub"), str):
        raise _invalid("Missing a required claim: sub")
    if not (claims.get("azp") or claims.get("aud")):
        raise _invalid("Missing a required claim: aud")
    for name in ("exp", "iat"):
        if not _is_integer(claims.get(name)):
            raise _invalid(f"Missing or malformed required claim: {name}")
    if "nbf" in claims and not _is_integer(claims["nbf"]):
        raise _invalid("Malformed claim: nbf")
    return Token(text=text, header=header, claims=claims)


def verify(token: Token, issuers: Issuers, client_ids: list[str], now: float) -> None:
    """Check signature, times and audience; raises StsError. Blocking: it may fetch the issuer's keys."""
    try:
        key = _key(token, issuers)
    except IssuerError as error:
        raise StsError("IDPCommunicationError", str(error)) from error
    try:
        jws.deserialize_compact(token.text, key, algorithms=ALGORITHMS)
    except (JoseError, ValueError) as error:
        raise _invalid("The web identity token that was passed could not be validated: bad signature") from error
    if token.claims["exp"] + SKEW_SECONDS < now:
        raise StsError(
            "ExpiredTokenException", f"Token expired: current date/time {int(now)} must be before the expiration {token.claims['exp']}"
        )
    if token.claims.get("nbf", 0) - SKEW_SECONDS > now or token.claims["iat"] - SKEW_SECONDS > now:
        raise _invalid("The web identity token is not valid yet")
    if not any(audience in client_ids for audience in token.audiences):
        raise _invalid("Incorrect token audience")


def _key(token: Token, issuers: Issuers) -> RSAKey | ECKey:
    kid = token.header.get("kid")
    found = _find(issuers.keys(token.issuer), kid) or _find(issuers.keys(token.issuer, missing=str(kid)), kid)
    if found is None:
        raise _invalid(
            "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation"
        )
    kind = RSAKey if str(token.header["alg"]).startswith("RS") else ECKey
    try:
        return kind.import_key(found)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise _invalid("The verification key of the identity provider does not fit the token's algorithm") from error


def _find(keys: Mapping[str, Any], kid: object) -> dict[str, Any] | None:
    rows = [row for row in keys["keys"] if isinstance(row, dict)]
    if kid is None:
        return rows[0] if len(rows) == 1 else None
    return next((row for row in rows if row.get("kid") == kid), None)


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=_without_duplicates)
    except (ValueError, binascii.Error, UnicodeDecodeError, RecursionError) as error:
        raise _invalid("The ID Token provided is not a valid JWT") from error
    if not isinstance(value, dict):
        raise _invalid("The ID Token provided is not a valid JWT")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _invalid("The ID Token provided names a claim twice")
    return value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _invalid(message: str) -> StsError:
    return StsError("InvalidIdentityToken", message)
