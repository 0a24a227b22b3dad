"""A key read from a damaged file either signs as its public half says, or says that it is unreadable."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from isthmus.arm.errors import ArmError
from isthmus.keys.signer import load_signer, make_signer


def test_no_flipped_bit_makes_a_key_that_signs_wrongly() -> None:
    whole = make_signer().private_pem()
    content = base64.b64decode(b"".join(whole.splitlines()[1:-1]))
    refused = 0
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        try:
            signer = load_signer(_pem(bytes(damaged)), "aws/key.pem")
        except ArmError as error:
            refused += error.code == "UnreadableKeyFile"
            continue
        public = serialization.load_pem_public_key(signer.public_pem.encode())
        assert isinstance(public, rsa.RSAPublicKey)
        public.verify(signer.sign(b"something else"), b"something else", padding.PKCS1v15(), hashes.SHA256())
    assert refused > 256 // 7


def _pem(content: bytes) -> bytes:
    return b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(content) + b"-----END PRIVATE KEY-----\n"
