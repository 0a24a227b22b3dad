"""Encryption under a passphrase, for key files that leave their folder: scrypt (RFC 7914) and AES-256-GCM (NIST SP 800-38D).

A sealed text is one line of JSON (how the key was derived, the nonce), a line break, and the ciphertext. Whoever opens it gives the same
`bound` bytes again: what is sealed and what it was sealed with belong together, and a change of either shows.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from isthmus.arm.errors import ArmError, invalid

SHORTEST = 12
"""Characters of a passphrase: who has the archive may try as many as they like."""
COST = 2**17
_MOST_COST = 2**20
_BLOCK, _LANES = 8, 1
_LONGEST_HEADER = 1024


def seal(content: bytes, passphrase: str, *, bound: bytes, cost: int = COST, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """`content`, readable for who knows the passphrase. ArmError `WeakPassphrase` for one of fewer than 12 characters."""
    if len(passphrase) < SHORTEST:
        raise invalid(f"The passphrase is shorter than {SHORTEST} characters. Choose a longer one.", code="WeakPassphrase")
    salt, nonce = entropy(16), entropy(12)
    facts = {"kdf": "scrypt", "n": cost, "r": _BLOCK, "p": _LANES, "cipher": "AES-256-GCM"}
    header = json.dumps({**facts, "salt": base64.b64encode(salt).decode(), "nonce": base64.b64encode(nonce).decode()}).encode()
    return header + b"\n" + AESGCM(_derive(passphrase, salt, cost)).encrypt(nonce, content, header + b"\n" + bound)


def unseal(sealed: bytes, passphrase: str, *, bound: bytes) -> bytes:
    """What was sealed. ArmError `WrongPassphrase` when the passphrase is another one, or the text or `bound` is."""
    header, line_break, ciphertext = sealed.partition(b"\n")
    try:
        if not line_break or len(header) > _LONGEST_HEADER:
            raise ValueError("no header")
        facts = json.loads(header)
        if (facts["kdf"], facts["r"], facts["p"], facts["cipher"]) != ("scrypt", _BLOCK, _LANES, "AES-256-GCM"):
            raise ValueError("another way of sealing")
        cost = int(facts["n"])
        if not 2 <= cost <= _MOST_COST or cost & (cost - 1):
            raise ValueError("a cost that nobody chose")
        salt, nonce = (base64.b64decode(facts[name], validate=True) for name in ("salt", "nonce"))
        return AESGCM(_derive(passphrase, salt, cost)).decrypt(nonce, ciphertext, header + b"\n" + bound)
    except InvalidTag as error:
        message = "The passphrase is not the one that the keys were sealed with, or somebody changed the archive. Nothing was restored."
        raise ArmError("WrongPassphrase", message) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ArmError("DamagedArchive", f"The sealed keys cannot be read: {error}. Take another archive.") from error


def _derive(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=_BLOCK, p=_LANES).derive(passphrase.encode())
