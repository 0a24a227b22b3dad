"""What the product knows of a private key: an identifier, a public half, and that it signs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from isthmus.arm.errors import ArmError

KEY_BITS = 2048


class Signer(Protocol):
    """Signs with one key. RS256 only (RFC 7518 3.3): the one algorithm that AWS STS, Entra and our own verifiers share."""

    @property
    def kid(self) -> str:
        """The key's JWK thumbprint (RFC 7638)."""
        ...

    @property
    def alg(self) -> str:
        """`RS256`."""
        ...

    @property
    def public_jwk(self) -> Mapping[str, str]:
        """Public half with kid, use and alg (RFC 7517)."""
        ...

    def sign(self, data: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256 over `data`."""
        ...


class RsaSigner:
    """A signer whose key lies in memory; its repr says nothing of it."""

    alg = "RS256"

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        numbers = key.public_key().public_numbers()
        essential = {"e": encode_number(numbers.e), "kty": "RSA", "n": encode_number(numbers.n)}
        self.kid = kid_of(essential["e"], essential["n"])
        self.public_jwk: Mapping[str, str] = {**essential, "kid": self.kid, "use": "sig", "alg": self.alg}

    @property
    def public_pem(self) -> str:
        """SubjectPublicKeyInfo as PEM."""
        encoded = self._key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return encoded.decode()

    def sign(self, data: bytes) -> bytes:
        """See `Signer.sign`."""
        return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def private_pem(self) -> bytes:
        """PKCS#8 for the key file; for this package alone."""
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def make_signer() -> RsaSigner:
    """A signer with a new key, from the operating system's random source."""
    return RsaSigner(rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS))


def load_signer(pem: bytes, name: str) -> RsaSigner:
    """A signer from its file; ArmError `UnreadableKeyFile` names the file when it is not an RSA key, or one that was damaged.

    Whether its primes are prime is not asked, which takes a hundred times as long: the file is our own. It is asked to sign
    something that its public half verifies, which tells whether the two still belong together.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unreadable(name) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise _unreadable(name)
    signer = RsaSigner(key)
    try:
        key.public_key().verify(signer.sign(b"a"), b"a", padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError) as error:
        raise _unreadable(name) from error
    return signer


def compact(signer: Signer, claims: Mapping[str, Any], *, typ: str = "JWT") -> str:
    """A signed JWT in compact form (RFC 7519, RFC 7515)."""
    header = {"alg": signer.alg, "kid": signer.kid, "typ": typ}
    signed = f"{_encode_json(header)}.{_encode_json(claims)}"
    return f"{signed}.{encode(signer.sign(signed.encode()))}"


def kid_of(exponent: str, modulus: str) -> str:
    """The thumbprint (RFC 7638) of an RSA key by its members `e` and `n`."""
    essential = {"e": exponent, "kty": "RSA", "n": modulus}
    return encode(hashlib.sha256(json.dumps(essential, separators=(",", ":"), sort_keys=True).encode()).digest())


def encode(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode_number(number: int) -> str:
    """A positive integer as JWK writes it (RFC 7518 6.3.1)."""
    return encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _encode_json(value: Mapping[str, Any]) -> str:
    return encode(json.dumps(value, separators=(",", ":")).encode())


def _unreadable(name: str) -> ArmError:
    message = f"The key file '{name}' does not hold an unencrypted RSA key. Restore it from a backup, or delete it to have a new key made."
    return ArmError("UnreadableKeyFile", message, status=500, target=name)
