"""Keys of other parties and the tokens they sign or forge, made with joserfc and not with the code under test."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

TENANT = "11111111-1111-1111-1111-111111111111"
BASE = "https://localhost:8443"
_ALGORITHMS = ["RS256", "RS512", "PS256"]
TOKEN_URL = f"{BASE}/{TENANT}/oauth2/v2.0/token"


class TestKey:
    """An RSA key of somebody else: a client, a machine, a foreign issuer, an attacker."""

    __test__ = False

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._joserfc = RSAKey.import_key(pem)

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A JWT over exactly these claims; header members with the value None are left out."""
        members = {"alg": "RS256", "typ": "JWT", "kid": self.kid, **header}
        return jwt.encode(
            {name: value for name, value in members.items() if value is not None}, claims, self._joserfc, algorithms=_ALGORITHMS
        )

    @property
    def pem(self) -> str:
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def pkcs1(self) -> str:
        der = self.private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
        return base64.b64encode(der).decode()

    @property
    def jwk(self) -> dict[str, Any]:
        return {**RSAKey.import_key(self.pem).as_dict(private=False), "kid": self.kid, "use": "sig"}
