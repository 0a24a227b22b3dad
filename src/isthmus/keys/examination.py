"""What state the key folder is in, found out without changing it: nothing is made, renewed or swept. Private halves stay in here."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from isthmus.arm.errors import ArmError
from isthmus.keys.signer import load_signer

PURPOSES = ("api", "audit", "aws")
_OPERATOR, _CA, _CA_KEY, _SERVER, _RING = "operator.pem", "ca.pem", "ca.key.pem", "server.pem", "ring.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyFault:
    """Something wrong with a file: `problem` names it, `remedy` says what to do. `heals` when the next start mends it by itself."""

    problem: str
    remedy: str
    heals: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateState:
    """A certificate that could be read: until when it holds, for whom, and `fault`: empty, or why it does not fit its key or issuer."""

    file: Path
    until: datetime
    names: tuple[str, ...]
    fault: str = ""


def access_faults(folder: Path) -> Iterator[KeyFault]:
    """Files and folders that others may read, that somebody else owns, that are links, or that this user cannot read."""
    for path in (folder, *sorted(folder.rglob("*"))):
        seen = path.lstat()
        mode, wanted = stat.S_IMODE(seen.st_mode), "700" if stat.S_ISDIR(seen.st_mode) else "600"
        if stat.S_ISLNK(seen.st_mode):
            yield KeyFault(problem=f"'{path}' is a link.", remedy="Put the file itself in its place; links are refused.")
        elif seen.st_uid != os.geteuid():
            yield KeyFault(
                problem=f"'{path}' belongs to another user (id {seen.st_uid}).", remedy="Run as that user, or give it back: chown."
            )
        elif mode & 0o077:
            remedy = f"If nobody had access, run: chmod {wanted} '{path}'. Otherwise replace the keys."
            yield KeyFault(problem=f"'{path}' has mode {mode:04o}, so other users could read private keys.", remedy=remedy)
        elif not os.access(path, os.R_OK):
            yield KeyFault(problem=f"'{path}' cannot be read.", remedy=f"Run: chmod {wanted} '{path}'")


def key_faults(folder: Path) -> Iterator[KeyFault]:
    """Signing keys that are missing, unreadable, or not the ones that are published."""
    for purpose in PURPOSES:
        yield from _ring_faults(folder / purpose, purpose)
    if not (folder / _OPERATOR).is_file():
        yield KeyFault(problem="The operator's key is missing.", remedy="Start the server: it makes a new one.", heals=True)
    else:
        yield from _unreadable(folder / _OPERATOR)


def published_keys(folder: Path, purpose: str) -> dict[str, Mapping[str, str]]:
    """Public halves (JWK) of the keys that sign now and next, by state `current` and `next`; those of a broken ring are missing."""
    return {
        row["state"]: row["publicJwk"]
        for row in _rows(folder / purpose)
        if row.get("state") in ("current", "next") and isinstance(row.get("publicJwk"), dict)
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyAge:
    """Since when (ms since 1970) the key of a purpose exists that signs now."""

    purpose: str
    created_at: int


def key_ages(folder: Path) -> Iterator[KeyAge]:
    """Of every ring that can be read."""
    for purpose in PURPOSES:
        for row in _rows(folder / purpose):
            if row.get("state") == "current" and isinstance(row.get("createdAt"), int):
                yield KeyAge(purpose=purpose, created_at=row["createdAt"])


def authority_state(folder: Path) -> CertificateState:
    """The local authority's certificate; ArmError `UnreadableKeyFile` when it cannot be read."""
    root = _certificates(folder / _CA)[0]
    fault = "" if _is_pair(root, folder / _CA_KEY) else f"It does not fit the key in '{folder / _CA_KEY}'."
    return CertificateState(file=folder / _CA, until=root.not_valid_after_utc, names=_names(root), fault=fault)


def server_state(folder: Path) -> CertificateState:
    """The server's certificate; ArmError `UnreadableKeyFile` when it cannot be read."""
    file = folder / _SERVER
    leaf = _certificates(file)[0]
    fault = "" if _is_pair(leaf, file) else "It does not fit the key beside it."
    try:
        leaf.verify_directly_issued_by(_certificates(folder / _CA)[0])
    except (ValueError, TypeError, InvalidSignature):
        fault = fault or f"It does not come from the authority in '{folder / _CA}'."
    return CertificateState(file=file, until=leaf.not_valid_after_utc, names=_names(leaf), fault=fault)


def _ring_faults(folder: Path, purpose: str) -> Iterator[KeyFault]:
    remedy = f"Restore '{folder}' from a backup, or delete it to have new keys made; tokens signed until now are refused then."
    if not (folder / _RING).is_file():
        yield KeyFault(problem=f"There are no keys for '{purpose}'.", remedy="Start the server: it makes them.", heals=True)
        return
    rows = _rows(folder)
    for state in ("current", "next"):
        found = [row for row in rows if row.get("state") == state]
        if len(found) != 1:
            yield KeyFault(problem=f"'{folder / _RING}' names {len(found)} {state} keys instead of one.", remedy=remedy)
            continue
        kid, file = str(found[0].get("kid")), folder / f"{found[0].get('kid')}.pem"
        try:
            signer = load_signer(file.read_bytes(), str(file))
        except (OSError, ArmError):
            yield KeyFault(problem=f"The {state} key of '{purpose}' cannot be read from '{file}'.", remedy=remedy)
            continue
        if signer.kid != kid or dict(signer.public_jwk) != found[0].get("publicJwk"):
            yield KeyFault(problem=f"'{file}' is another key than the one that is published for '{purpose}'.", remedy=remedy)


def _unreadable(file: Path) -> Iterator[KeyFault]:
    try:
        load_signer(file.read_bytes(), str(file))
    except (OSError, ArmError):
        yield KeyFault(
            problem=f"'{file}' holds no readable RSA key.", remedy="Restore it from a backup, or delete it and start the server."
        )


def _rows(folder: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads((folder / _RING).read_bytes())["keys"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ArmError("UnreadableKeyFile", f"'{file}' holds no readable certificate.", status=500, target=str(file)) from error


def _is_pair(certificate: x509.Certificate, file: Path) -> bool:
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        return False
    return key.public_key() == certificate.public_key()


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in present)


def days_left(state: CertificateState, now: float) -> int:
    """Whole days until a certificate ends; negative when it has."""
    return (state.until - datetime.fromtimestamp(now, UTC)).days
