"""A search for secrets: what a secret looks like, the real ones of a run in the forms they could be written down, and where to look."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PATTERNS: Mapping[str, re.Pattern[bytes]] = {
    "a private key in PEM": re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[\s\\]"),
    "a token": re.compile(rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}"),
    # DER in base64: SEQUENCE, INTEGER 0, then the modulus (PKCS#1); rsaEncryption with version 0 (PKCS#8); the same for curves.
    "an RSA key (PKCS#1)": re.compile(rb"MII[A-Za-z0-9+/_-]{3}IBAAKCA[A-Za-z0-9+/_-]{2}A"),
    "an RSA key (PKCS#8)": re.compile(rb"MII[A-Za-z0-9+/_-]{3}IBADANBgkqhkiG9w0BAQEFAASC"),
    "a curve's key": re.compile(
        rb"MI[A-Za-z0-9+/_-]{0,6}AgE[AB][A-Za-z0-9+/_-]{0,24}BggqhkjOPQMBBw[A-Za-z0-9+/_-]{0,8}(?:wawIBAQQg|awIBAQ)"
    ),
    # The same DER as bytes.
    "an RSA key (DER)": re.compile(rb"\x30\x82..\x02\x01\x00\x02\x82.\x01\x00[\x80-\xff]", re.DOTALL),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Find:
    """Something that should not be there."""

    place: str
    what: str
    text: bytes


def forms(secret: bytes) -> set[bytes]:
    """A binary secret as it could stand somewhere: raw, hexadecimal, base64 at each alignment (plain, URL-safe)."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for offset in range(3):
        padded = base64.b64encode(b"\0" * offset + secret)
        middle = padded[4 if offset else 0 : -4]  # whole groups only: those at the ends depend on the neighbours
        found |= {middle, middle.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def key_forms(pem: bytes) -> set[bytes]:
    """Every form of the private key in a PEM file: the numbers that make it private."""
    key = serialization.load_pem_private_key(pem, None)
    if isinstance(key, rsa.RSAPrivateKey):
        # Every container of the whole key holds these two numbers; either of them alone gives the key away.
        secret = [key.private_numbers().d, key.private_numbers().p]
        size = key.key_size // 8
        parts = [secret[0].to_bytes((secret[0].bit_length() + 7) // 8, "big"), secret[1].to_bytes(size // 2, "big")]
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        secret = [key.private_numbers().private_value]
        parts = [secret[0].to_bytes((key.key_size + 7) // 8, "big")]
    return set().union(*map(forms, parts), (str(number).encode() for number in secret))


def text_forms(secret: str) -> set[bytes]:
    """A secret text: as it is, and in base64."""
    raw = secret.encode()
    return {raw} | {form for form in forms(raw) if len(form) >= 16}


def content_of(file: Path) -> bytes:
    """What a file holds; nothing when it has gone since it was found."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


class Search:
    """Looks for patterns and for named secrets. `secrets` maps what a thing is to its forms."""

    def __init__(self, secrets: Mapping[str, Iterable[bytes]]) -> None:
        self._named = {form: name for name, of_one in secrets.items() for form in of_one}
        assert all(len(form) >= 16 for form in self._named), "a short needle would be found everywhere"

    def look(self, place: str, content: bytes) -> Iterator[Find]:
        """What is found in a text or in bytes."""
        for what, pattern in PATTERNS.items():
            for match in pattern.finditer(content):
                yield Find(place=place, what=what, text=match.group()[:60])
        for form, name in self._named.items():
            if form in content:
                yield Find(place=place, what=name, text=form[:60])

    def look_at_files(self, folder: Path, *, without: Iterable[Path] = ()) -> tuple[list[Path], list[Find]]:
        """Every file below a folder, outside `without`: which were read, and what was found in them (in their names too)."""
        closed = tuple(without)
        read = [path for path in sorted(folder.rglob("*")) if path.is_file() and not any(path.is_relative_to(one) for one in closed)]
        found = [find for path in read for find in self.look(str(path), str(path).encode() + b"\n" + content_of(path))]
        return read, found
