"""Digest files of a trail: each names the log files of an hour with their hashes and the digest before it, and is signed by AWS.

Source: CloudTrail User Guide, "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file integrity validation":
hashes are SHA-256 of contents without compression; the signature (hex, in the object's metadata) is RSA PKCS #1 v1.5 over end time, place,
hash of the digest, and signature of the digest before.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_HASH = re.compile(r"[0-9a-f]{64}")
_LONGEST_KEY = 1_024


class NoDigestFile(Exception):
    """This is no digest file of CloudTrail, or not that of its place; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Digest:
    """What a digest file says. `files` are keys with the hashes of their contents; `previous` is the digest before it by key and hash, None
    for the first of a trail. `signed` is the text that AWS signed, `fingerprint` names the key."""

    files: Mapping[str, str]
    previous: tuple[str, str] | None
    fingerprint: str
    signed: bytes


def read_digest(content: bytes, bucket: str, key: str) -> Digest:
    """The digest file that lies at a key, by its content without compression. Raises NoDigestFile."""
    try:
        document = json.loads(content)
        if (document["digestS3Bucket"], document["digestS3Object"]) != (bucket, key):
            raise NoDigestFile("It is the digest of another place.")
        files = {_key(one["s3Object"]): _hash(one) for one in document["logFiles"] if one["s3Bucket"] == bucket}
        if len(files) != len(document["logFiles"]):
            raise NoDigestFile("It names a file twice, or one in another bucket.")
        before = document.get("previousDigestS3Object")
        previous = (_key(before), str(document.get("previousDigestHashValue") or "")) if before else None
        last = document.get("previousDigestSignature") or "null"
        digest = hashlib.sha256(content).hexdigest()
        signed = f"{document['digestEndTime']}\n{bucket}/{key}\n{digest}\n{last}".encode()
        return Digest(files=files, previous=previous, fingerprint=str(document["digestPublicKeyFingerprint"]), signed=signed)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NoDigestFile("It does not have the parts of a digest file.") from error


def _key(name: object) -> str:
    """A name as it can be kept: no half of a character (ValueError), no NUL."""
    if not isinstance(name, str) or "\0" in name or len(name.encode()) > _LONGEST_KEY:
        raise NoDigestFile("It names something that is no key of a file.")
    return name


def _hash(entry: Mapping[str, Any]) -> str:
    found = entry["hashValue"]
    if entry["hashAlgorithm"] != "SHA-256" or not isinstance(found, str) or not _HASH.fullmatch(found):
        raise NoDigestFile("It has a hash that is not SHA-256.")
    return found


def signature_fault(digest: Digest, signature: str, keys: Iterable[tuple[str, bytes]]) -> str:
    """Why a signature (hex) does not prove a digest; empty when it does. `keys` are AWS' public keys (DER, PKCS #1) by fingerprint."""
    key = next((value for fingerprint, value in keys if fingerprint == digest.fingerprint), None)
    if key is None:
        return "its signature was not checked: AWS does not tell the key that it names"
    try:
        public = serialization.load_der_public_key(key)
        if not isinstance(public, rsa.RSAPublicKey):
            return "its signature was not checked: the key is not RSA"
        public.verify(bytes.fromhex(signature), digest.signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return "its signature does not hold: it was changed"
    except ValueError:
        return "its signature, or the key, cannot be read"
    return ""
