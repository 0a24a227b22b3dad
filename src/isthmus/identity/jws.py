"""Reading signed tokens strictly: one compact form (RFC 7515 7.1), no duplicate keys, no header that could choose the key or the rules.

`cryptography` is called directly: the header rules below have to stand before any library looks at a token, and what is left is one call
(18 µs against 30 µs through joserfc for an RS256 token).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

MAX_TOKEN = 16_384
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\Z")
# Thumbprints are tolerated because MSAL sends them; they choose nothing. Everything else (jwk, jku, x5u, x5c, crit, b64, ...) is refused.
_HEADERS = frozenset({"alg", "typ", "kid", "x5t", "x5t#S256"})

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Refused(Exception):
    """A token is not accepted; the text is a reason that may be shown to its sender."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerificationKey:
    """A public key and the one algorithm it is used with: an RSA key never verifies anything but RS256."""

    kid: str
    alg: str
    key: PublicKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """A token taken apart. Nothing of it is true before its signature was verified."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def parse(token: str) -> Parsed:
    """Take a compact JWS apart; Refused when it is anything else."""
    if len(token) > MAX_TOKEN:
        raise Refused("it is too large")
    if not _COMPACT.match(token):
        raise Refused("it is not a signed JWT in compact form")
    head, body, tail = token.split(".")
    header, claims = _object(head), _object(body)
    if not _HEADERS.issuperset(header) or not all(isinstance(value, str) for value in header.values()):
        raise Refused("its header holds members that are not accepted")
    return Parsed(header=header, claims=claims, signed=f"{head}.{body}".encode(), signature=_bytes(tail))


def signature_holds(parsed: Parsed, key: VerificationKey) -> bool:
    """Whether the token was signed with this key, under this key's algorithm."""
    if parsed.header.get("alg") != key.alg:
        return False
    try:
        if isinstance(key.key, rsa.RSAPublicKey):
            key.key.verify(parsed.signature, parsed.signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            if len(parsed.signature) != 64:
                return False
            pair = (int.from_bytes(parsed.signature[:32], "big"), int.from_bytes(parsed.signature[32:], "big"))
            key.key.verify(encode_dss_signature(*pair), parsed.signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def keys_of_jwks(document: Mapping[str, Any]) -> tuple[VerificationKey, ...]:
    """The usable keys of a JWK Set: RSA from 2048 bits (RS256) and P-256 (ES256) with a kid; others are passed over, as RFC 7517 5 asks."""
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise ValueError("a JWK Set is an object with a list 'keys'")
    return tuple(key for entry in keys[:100] if isinstance(entry, dict) and (key := _of_jwk(entry)) is not None)


def key_of_pem(text: str) -> VerificationKey:
    """A registered key from SubjectPublicKeyInfo PEM. ValueError unless it is RSA of 2048 to 8192 bits."""
    return _of_rsa(serialization.load_pem_public_key(text.encode()))


def key_of_pkcs1(text: str) -> VerificationKey:
    """A registered key from base64 PKCS#1 RSAPublicKey, as `azcmagent genkey` prints it. ValueError unless RSA of 2048 to 8192 bits."""
    return _of_rsa(serialization.load_der_public_key(base64.b64decode(text, validate=True)))


def key_digest(key: VerificationKey) -> str:
    """SHA-256 of the key's SubjectPublicKeyInfo in hexadecimal; the `key_hash` of a registration."""
    encoded = key.key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def with_kid(keys: Iterable[VerificationKey], kid: str) -> VerificationKey | None:
    """The key of this id."""
    return next((key for key in keys if key.kid == kid), None)


def _of_rsa(key: object, kid: str = "") -> VerificationKey:
    if not isinstance(key, rsa.RSAPublicKey) or not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise ValueError(f"the key must be RSA with {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    if key.public_numbers().e < 3:
        raise ValueError("the key's exponent is unusable")
    return VerificationKey(kid=kid, alg="RS256", key=key)


def _of_jwk(entry: Mapping[str, Any]) -> VerificationKey | None:
    kid, use = entry.get("kid"), entry.get("use", "sig")
    if not isinstance(kid, str) or not kid or use != "sig":
        return None
    try:
        if entry.get("kty") == "RSA" and entry.get("alg", "RS256") == "RS256":
            return _of_rsa(rsa.RSAPublicNumbers(_number(entry["e"]), _number(entry["n"])).public_key(), kid)
        if entry.get("kty") == "EC" and entry.get("crv") == "P-256" and entry.get("alg", "ES256") == "ES256":
            numbers = ec.EllipticCurvePublicNumbers(_number(entry["x"]), _number(entry["y"]), ec.SECP256R1())
            return VerificationKey(kid=kid, alg="ES256", key=numbers.public_key())
    except (KeyError, ValueError, TypeError, Refused):
        return None
    return None


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _bytes(text: str) -> bytes:
    """Bytes have one spelling (RFC 4648 3.5): of the last letter, bits that stand for nothing are zero."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("it is not a signed JWT in compact form") from error
    if base64.urlsafe_b64encode(data[len(data) // 3 * 3 :]).rstrip(b"=") != text[len(text) // 4 * 4 :].encode():
        raise Refused("it is not a signed JWT in compact form")
    return data


def _object(part: str) -> dict[str, Any]:
    try:
        # Given bytes, the reader would guess among UTF-8, 16 and 32; JSON of a token is UTF-8 (RFC 7515 2).
        value = json.loads(_bytes(part).decode(), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused("its parts are not JSON objects") from error
    if not isinstance(value, dict):
        raise Refused("its parts are not JSON objects")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON readers differ in which of two equal keys they believe; a token that has them is refused (RFC 7519 4 allows it)."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refused("it names a member twice")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
