"""Reads the public key that `azcmagent genkey` printed, out of whatever surrounds it, into the one form that ARM takes.

`properties.clientPublicKey` is base64 of the PKCS#1 DER `RSAPublicKey`. The exact output of the official agent is not public, and on its
way through Run Command it meets carriage returns, byte order marks, colour codes and log prefixes; so the key is searched for: in PEM
blocks, in JSON strings, and as bare base64 (PKCS#1 or SubjectPublicKeyInfo). What is found must be exactly one RSA key of at least 2048
bits with the exponent 65537. The output is not trusted: a key only becomes a machine's when the machine proves to hold its private half.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

KEY_BEGIN = "-----BEGIN ISTHMUS KEY-----"
KEY_END = "-----END ISTHMUS KEY-----"
MAX_OUTPUT = 32_768
MAX_JSON_TRIES = 64
MIN_BITS = 2048
MAX_BITS = 16_384
EXPONENT = 65537

KeyParseReason = Literal["empty", "too-long", "cut", "private", "none", "several", "not-rsa", "too-small", "too-large", "exponent"]

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\ufeff\u200b\x00\x07\x08]")
_PEM = re.compile(r"-----BEGIN (?:RSA )?PUBLIC KEY-----(.*?)-----END (?:RSA )?PUBLIC KEY-----", re.DOTALL)
_PRIVATE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
# A DER SEQUENCE whose length takes one or two bytes: every RSA key of 512 bits and more begins so. Words of a log are shorter.
_START = re.compile(r"(?<![A-Za-z0-9+/_-])MI[GHIJ][A-Za-z0-9+/_-]{29}")
_JSON_START = re.compile(r"[{\[]")
_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")


class KeyParseError(ValueError):
    """No usable public key (code KEY_PARSE). `reason` is for programs, the message for people; neither quotes the output."""

    def __init__(self, reason: KeyParseReason, message: str) -> None:
        super().__init__(message)
        self.reason: KeyParseReason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicKey:
    """A usable public key. `base64` is PKCS#1 DER in base64 (ARM's `clientPublicKey`), `spki_sha256` lower-case hex over its SPKI DER."""

    base64: str
    bits: int
    spki_sha256: str


def parse_public_key(text: str) -> PublicKey:
    """The one RSA key in the output of genkey; KeyParseError says why there is none."""
    if len(text) > MAX_OUTPUT:
        raise KeyParseError("too-long", f"The output has more than {MAX_OUTPUT} characters; genkey prints one line.")
    body = _between_sentinels(_CONTROL.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))
    if not body.strip():
        raise KeyParseError("empty", "The output holds nothing where the public key should be.")
    if _PRIVATE.search(body):
        raise KeyParseError("private", "The output holds a private key. Consider it disclosed: make a new one with a new generation.")
    cut = False
    found: dict[bytes, Any] = {}
    for candidate in _candidates(body):
        der = _der(candidate)
        if der is None:
            cut = True
            continue
        try:
            key = load_der_public_key(der)
            found[key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)] = key
        except (ValueError, UnsupportedAlgorithm):
            continue
    if len(found) > 1:
        raise KeyParseError("several", "The output holds several different public keys; it does not say which one is meant.")
    if found:
        return _usable(*found.popitem())
    if cut:
        raise KeyParseError("cut", "The output breaks off in the middle of the public key.")
    raise KeyParseError("none", "No public key in the output.")


def _between_sentinels(text: str) -> str:
    """The part between the sentinel lines; the whole text where there are none, since genkey may have been run by hand."""
    begins = text.count(KEY_BEGIN)
    if not begins:
        return text
    if begins > 1:
        raise KeyParseError("several", "The output holds more than one key block.")
    body, end, _ = text.partition(KEY_BEGIN)[2].partition(KEY_END)
    if not end:
        raise KeyParseError("cut", "The output breaks off before the end of the key block.")
    return body


def _candidates(body: str) -> Iterator[str]:
    """Texts that may begin with a key in base64: inside PEM blocks, inside JSON strings, anywhere else."""
    for block in _PEM.findall(body):
        # A log prefix may stand before each line; the last word is the content.
        lines = block.replace("\\r", "").replace("\\n", "\n").splitlines()
        yield "".join(line.split()[-1] for line in lines if line.split())
    rest = _PEM.sub("\n", body)
    for value in _strings(body):
        yield from _candidates(value)
    for start in _START.finditer(rest):
        yield rest[start.start() :]


def _strings(text: str) -> Iterator[str]:
    """Every string inside the JSON objects and arrays of a text."""
    decoder = json.JSONDecoder()
    position = 0
    for _ in range(MAX_JSON_TRIES):
        opening = _JSON_START.search(text, position)
        if opening is None:
            return
        try:
            value, position = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            position = opening.start() + 1
            continue
        yield from _leaves(value)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)


def _der(candidate: str) -> bytes | None:
    """As many base64 characters as the DER header announces, whatever follows them; None when there are fewer."""
    taken: list[str] = []
    needed = 8
    for character in candidate:
        if character in _CHARACTERS:
            taken.append({"-": "+", "_": "/"}.get(character, character))
            if len(taken) == 8:
                needed = max(8, -(-_total(base64.b64decode("".join(taken))) * 4 // 3))
        elif not character.isspace():
            break
        if len(taken) == needed:
            return base64.b64decode("".join(taken) + "=" * (-needed % 4))
    return None


def _total(header: bytes) -> int:
    """Bytes of a DER element, header included, by its first bytes."""
    size = header[1]
    if size < 0x80:
        return 2 + size
    length = size - 0x80
    return 2 + length + int.from_bytes(header[2 : 2 + length], "big")


def _usable(spki: bytes, key: Any) -> PublicKey:
    if not isinstance(key, RSAPublicKey):
        raise KeyParseError("not-rsa", "The public key is not an RSA key.")
    if key.key_size < MIN_BITS:
        raise KeyParseError("too-small", f"The key has {key.key_size} bits; at least {MIN_BITS} are required.")
    if key.key_size > MAX_BITS:
        raise KeyParseError("too-large", f"The key has {key.key_size} bits; at most {MAX_BITS} are accepted.")
    if key.public_numbers().e != EXPONENT:
        raise KeyParseError("exponent", f"The key's exponent is {key.public_numbers().e}, not {EXPONENT}.")
    der = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return PublicKey(base64=base64.b64encode(der).decode(), bits=key.key_size, spki_sha256=hashlib.sha256(spki).hexdigest())
