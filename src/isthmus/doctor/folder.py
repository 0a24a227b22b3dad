"""The data folder: is it there, is it ours alone, has it room, and can its file system lock."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from isthmus.doctor.findings import Finding, failed, ok, unchecked, warning
from isthmus.doctor.patient import ELSEWHERE, Patient

FOLDER, ROOM, LOCKS = "data folder", "free space", "file system"
_LITTLE, _TOO_LITTLE = 1_000_000_000, 100_000_000
# Locks of these reach no other computer, or come and go with the connection; SQLite's own pages warn of them.
_REMOTE = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "vboxsf", "drvfs")


def examine(patient: Patient) -> Iterator[Finding]:
    """Everything about the folder itself; what lies in it has checks of its own."""
    data = patient.data
    if patient.is_elsewhere:
        yield from (unchecked(check, ELSEWHERE) for check in (FOLDER, ROOM, LOCKS))
        return
    if not data.exists():
        remedy = "Start the server once: isthmus serve. For another folder: --data or ISTHMUS_DATA."
        yield warning(FOLDER, f"'{data}' does not exist yet.", remedy)
        yield from (unchecked(check, "There is no data folder yet.") for check in (ROOM, LOCKS))
        return
    yield _owned(patient)
    yield _room(patient)
    yield _locks(patient)


def _owned(patient: Patient) -> Finding:
    data, seen = patient.data, patient.data.stat()
    mode = stat.S_IMODE(seen.st_mode)
    if not stat.S_ISDIR(seen.st_mode):
        return failed(FOLDER, f"'{data}' is not a folder.", "Name a folder with --data or ISTHMUS_DATA.")
    if seen.st_uid != os.geteuid():
        return failed(FOLDER, f"'{data}' belongs to user {seen.st_uid}, you are {os.geteuid()}.", "Run Isthmus as the owner of its folder.")
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        return failed(FOLDER, f"'{data}' cannot be read and written.", f"Run: chmod 700 '{data}'")
    if mode & 0o022:
        return failed(FOLDER, f"Others may write to '{data}' (mode {mode:04o}).", f"Run: chmod 700 '{data}'")
    if mode & 0o077:
        return warning(FOLDER, f"Others may look into '{data}' (mode {mode:04o}).", f"Run: chmod 700 '{data}'")
    return ok(FOLDER, f"'{data}', mode {mode:04o}")


def _room(patient: Patient) -> Finding:
    free = patient.probes.free_bytes(patient.data)
    said = f"{free / 1_000_000_000:.1f} GB free"
    remedy = "Make room, or move the folder: the database cannot write when it is full."
    if free < _TOO_LITTLE:
        return failed(ROOM, said, remedy)
    return warning(ROOM, said, remedy) if free < _LITTLE else ok(ROOM, said)


def _locks(patient: Patient) -> Finding:
    kind = patient.probes.file_system(patient.data)
    remedy = "Put the data folder on a local disk; a database for several computers is PostgreSQL (ISTHMUS_DATABASE_URL)."
    if not patient.probes.can_lock(patient.data):
        return failed(LOCKS, f"{kind or 'The file system'} knows no locks, so two servers could write at once.", remedy)
    if kind.startswith(_REMOTE):
        is_sqlite = patient.settings.database.startswith("sqlite")
        told = f"{kind} is a network file system, whose locks are not to be trusted."
        return failed(LOCKS, told, remedy) if is_sqlite else warning(LOCKS, told, remedy)
    return ok(LOCKS, f"{kind or 'unknown kind'}, with locks")
