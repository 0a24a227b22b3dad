"""RSA keys and the signatures made with them: JWS compact serialization with RS256 (RFC 7515, RFC 7518 section 3.3)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from isthmus_agent.exits import AgentError, Exit

BITS = 2048
LIFETIME = 240
"""Seconds that a signed statement is good for; the control plane accepts at most 300."""


class Key:
    """A private RSA key. Its text forms show the thumbprint of the public half only."""

    __slots__ = ("_private", "public", "spki_sha256", "thumbprint")

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        self._private = private
        der = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
        self.public = base64.b64encode(der).decode()
        self.thumbprint = hashlib.sha256(der).hexdigest()
        spki = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.spki_sha256 = hashlib.sha256(spki).hexdigest()

    def __repr__(self) -> str:
        return f"Key({self.thumbprint[:16]})"

    @classmethod
    def generate(cls) -> Key:
        """A new RSA-2048 key with exponent 65537, the only form that `clientPublicKey` takes."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=BITS))

    @classmethod
    def from_pem(cls, pem: bytes) -> Key:
        """Read an unencrypted PEM; text before the first line of the PEM is skipped. AgentError 104 on anything else."""
        begin = pem.find(b"-----BEGIN ")
        try:
            # The full check of an RSA key takes 35 ms; the file is our own and a damaged key only makes signatures that are refused.
            private = serialization.load_pem_private_key(pem[max(begin, 0) :], password=None, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError) as error:
            raise AgentError(Exit.READ_PRIVATE_KEY, "The saved private key cannot be read; run genkey again.") from error
        if not isinstance(private, rsa.RSAPrivateKey):
            raise AgentError(Exit.READ_PRIVATE_KEY, "The saved private key is not an RSA key; run genkey again.")
        return cls(private)

    def pem(self) -> bytes:
        """The private key for its file, and for nothing else."""
        return self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def sign(self, claims: Mapping[str, Any], *, kind: str) -> str:
        """Compact JWS over the claims; `kind` is the header's `typ`, which keeps one kind of statement from passing for another."""
        header = _encode({"alg": "RS256", "typ": kind})
        signed = f"{header}.{_encode(claims)}"
        signature = self._private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"

    def statement(self, *, kind: str, subject: str, audience: str, now: float, extra: Mapping[str, Any] | None = None) -> str:
        """A statement by this key about itself: iss = sub = `subject`, short-lived, with a random `jti`. `now` is epoch seconds."""
        issued = int(now)
        claims = {
            "iss": subject,
            "sub": subject,
            "aud": audience,
            "iat": issued,
            "exp": issued + LIFETIME,
            "jti": secrets.token_urlsafe(16),
        }
        return self.sign(claims | dict(extra or {}), kind=kind)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encode(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())
