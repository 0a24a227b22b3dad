"""The archive: a tar file (0600) with `manifest.json` first, then `database.sqlite` and, unless they were left out, `keys.sealed`.

The manifest names every other member with its size and SHA-256. The keys are sealed together with the manifest, so that an archive which
was changed by somebody who does not know the passphrase cannot be opened.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from isthmus.arm.errors import ArmError, conflict

FORMAT = 1
MANIFEST, DATABASE, KEYS = "manifest.json", "database.sqlite", "keys.sealed"
_MEMBERS = (DATABASE, KEYS)
_LARGEST_MANIFEST = 1 << 20
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What an archive says of itself.

    `schema` is the database's revision, `made_at` epoch seconds, `tables` rows per table, `audited` the number of audit records and the
    hash of the last one, `has_jobs` whether unfinished jobs came along.
    """

    program: str
    schema: str
    made_at: int
    tables: Mapping[str, int]
    audited: tuple[int, str]
    has_jobs: bool

    def document(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {
            "format": FORMAT,
            "program": self.program,
            "schema": self.schema,
            "madeAt": self.made_at,
            "tables": dict(self.tables),
            "auditRecords": self.audited[0],
            "auditHash": self.audited[1],
            "hasJobs": self.has_jobs,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpacked:
    """An archive whose members are what its manifest says. `bound` is what the keys are sealed with."""

    facts: Facts
    database: Path
    keys: bytes | None
    bound: bytes


def bound_of(facts: Facts, database: Mapping[str, Any]) -> bytes:
    """What the keys are sealed with: everything the archive says, and the digest of its database."""
    return json.dumps({**facts.document(), "database": dict(database)}, sort_keys=True, separators=(",", ":")).encode()


def describe(content: IO[bytes]) -> dict[str, Any]:
    """Size and SHA-256 of a member."""
    digest, size = hashlib.sha256(), 0
    while part := content.read(_CHUNK):
        digest.update(part)
        size += len(part)
    return {"bytes": size, "sha256": digest.hexdigest()}


def pack(file: Path, facts: Facts, members: Mapping[str, Path], described: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the archive. It appears under its name when it is whole; ArmError 409 `FileExists` when that name is taken."""
    manifest = json.dumps({**facts.document(), "members": described}, indent=1).encode()
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                tar.addfile(_entry(MANIFEST, len(manifest), facts.made_at), io.BytesIO(manifest))
                for name, path in members.items():
                    with path.open("rb") as content:
                        tar.addfile(_entry(name, path.stat().st_size, facts.made_at), content)
            out.flush()
            os.fsync(out.fileno())
        if file.exists():
            raise file_exists(file)
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)


def file_exists(file: Path) -> ArmError:
    """Nothing is ever overwritten."""
    return conflict(f"'{file}' exists. Name another file; archives are not overwritten.", target=str(file), code="FileExists")


def has_keys(file: Path) -> bool:
    """Whether an archive holds keys, so that a passphrase is needed; raises what `unpack` raises for what is no archive."""
    with _reading(file), tarfile.open(file, mode="r:") as tar:
        return KEYS in _read_manifest(tar, tar.next())["members"]


def unpack(file: Path, folder: Path) -> Unpacked:
    """Check an archive and lay its database into `folder`.

    Raises ArmError 404 `NoArchive`, 400 `UnsafeArchive` for members that no archive of ours has (links, paths, strangers), 400
    `DamagedArchive` for what is cut off or changed, 400 `NewerArchive` for a format that this program does not know.
    """
    with _reading(file), tarfile.open(file, mode="r:") as tar:
        members = iter(tar)
        manifest = _read_manifest(tar, next(members, None))
        described = manifest["members"]
        taken = {member.name: _take(tar, member, described, folder) for member in members}
    if missing := sorted(set(described) - set(taken)):
        raise _damaged(f"{', '.join(missing)} is cut off")
    facts = _facts(manifest)
    keys = taken[KEYS].read_bytes() if KEYS in taken else None
    return Unpacked(facts=facts, database=taken[DATABASE], keys=keys, bound=bound_of(facts, described[DATABASE]))


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ArmError("NoArchive", f"There is no file '{file}'.", status=404, target=str(file)) from error
    except (tarfile.TarError, EOFError, FileExistsError, ValueError, KeyError, TypeError) as error:
        raise _damaged(f"it cannot be read ({error})") from error


def _entry(name: str, size: int, at: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, at
    return entry


def _read_manifest(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> dict[str, Any]:
    if member is None or member.name != MANIFEST or not member.isreg() or member.size > _LARGEST_MANIFEST:
        raise ArmError("UnsafeArchive", "This is no archive of Isthmus: it does not begin with a manifest. Nothing was restored.")
    content = tar.extractfile(member)
    assert content is not None
    manifest: dict[str, Any] = json.loads(content.read())
    if manifest["format"] != FORMAT:
        message = f"The archive has format {manifest['format']!r}, this program reads {FORMAT}. Install the program that made it."
        raise ArmError("NewerArchive", message)
    if DATABASE not in manifest["members"] or not set(manifest["members"]) <= set(_MEMBERS):
        raise ArmError("UnsafeArchive", "The manifest names members that no archive of Isthmus has. Nothing was restored.")
    return manifest


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, described: Mapping[str, Any], folder: Path) -> Path:
    """Lay one member into the folder, under its own plain name, and check it against the manifest."""
    if member.name not in described or not member.isreg():
        raise ArmError("UnsafeArchive", f"The archive holds '{member.name[:200]}', which does not belong there. Nothing was restored.")
    wanted = described[member.name]
    if member.size != wanted["bytes"]:
        raise _damaged(f"{member.name} has {member.size} bytes instead of {wanted['bytes']}")
    path = folder / member.name
    content = tar.extractfile(member)
    assert content is not None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as out:
        while part := content.read(_CHUNK):
            out.write(part)
        out.flush()
        os.fsync(out.fileno())
        out.seek(0)
        if describe(out) != wanted:
            raise _damaged(f"{member.name} is not what the manifest says")
    return path


def _facts(manifest: Mapping[str, Any]) -> Facts:
    try:
        return Facts(
            program=str(manifest["program"]),
            schema=str(manifest["schema"]),
            made_at=int(manifest["madeAt"]),
            tables={str(name): int(count) for name, count in manifest["tables"].items()},
            audited=(int(manifest["auditRecords"]), str(manifest["auditHash"])),
            has_jobs=bool(manifest["hasJobs"]),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _damaged("its manifest is not complete") from error


def _damaged(how: str) -> ArmError:
    return ArmError("DamagedArchive", f"The archive is damaged: {how}. Nothing was restored; take another archive.")
