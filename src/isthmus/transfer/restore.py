"""An archive becomes an installation again, where there is none: everything is checked before anything is put in its place."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, desc, func, select, table, update
from sqlalchemy.exc import DatabaseError

from isthmus import keys
from isthmus.arm.errors import ArmError, conflict
from isthmus.audit import Record, append, verify
from isthmus.settings import Settings
from isthmus.store import Store, dialect, schemas
from isthmus.store.tables import audit_records, operations, scans, signing_keys
from isthmus.transfer.archive import Facts, Unpacked, unpack
from isthmus.transfer.backup import settle_file
from isthmus.transfer.copying import open_store, prepare
from isthmus.transfer.rows import Tell, copy_rows, require_empty
from isthmus.work import alone

_NO_DATA = {"lost+found", "keys"}
_NAME = re.compile(r"[a-z_]{1,63}")


def restore(settings: Settings, file: Path, passphrase: str, tell: Tell) -> Mapping[str, Any]:
    """Bring an archive to the data folder, key folder and database of the settings; what came. `passphrase` is for the keys, if it has any.

    Raises ArmError, and leaves everything as it was, when one of them is not empty, or the archive is damaged, unsafe, sealed with another
    passphrase, or made by a newer program.
    """
    data = settings.data_folder
    _require_room(data)
    made = _missing(data)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".restoring-", dir=data))
    try:
        tell(f"Checking {file}")
        found = unpack(file, staging)
        if found.keys is not None and not keys.is_empty(settings.keys):
            raise conflict(f"The key folder '{settings.keys}' holds keys already. Nothing was restored.", code="KeysExist")
        files = keys.unseal_files(found.keys, passphrase, bound=found.bound) if found.keys is not None else {}
        renew = not files and keys.is_empty(settings.keys)
        with closing(Store(f"sqlite:///{found.database}")) as staged:
            _check(staged, found.facts, tell)
            with closing(open_store(settings.database)) as target:
                _place(staged, found, target, files, settings.keys, renew=renew, tell=tell)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise
    shutil.rmtree(staging, ignore_errors=True)
    return {"database": dialect.shown(settings.database), "rows": sum(found.facts.tables.values()), "keys": bool(files), "newKeys": renew}


def _missing(folder: Path) -> list[Path]:
    """The folders that have to be made, the innermost first."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def _require_room(data: Path) -> None:
    present = [entry.name for entry in data.iterdir()] if data.exists() else []
    if [name for name in present if name not in _NO_DATA] or not keys.is_empty(data / "keys"):
        raise conflict(
            f"The data folder '{data}' is not empty. Nothing was restored. Move what is in it away, or name another with --data.",
            target=str(data),
            code="DataFolderNotEmpty",
        )


def _check(staged: Store, facts: Facts, tell: Tell) -> None:
    """The database is whole, says what the manifest says, and gets the schema of this program."""
    known = schemas()
    if facts.schema not in known:
        message = f"The archive was made by version {facts.program} with schema {facts.schema}, which this program does not know."
        raise ArmError("NewerArchive", f"{message} Nothing was restored; install that version or a later one.")
    try:
        with staged.read() as connection:
            damage = dialect.find_damage(connection) or _contradiction(connection, facts)
        damage = damage or ("" if staged.schema == facts.schema else f"its schema is {staged.schema or 'missing'}")
    except DatabaseError as error:
        damage = str(error.orig)
    if damage:
        raise ArmError("DamagedArchive", f"The database in the archive is damaged: {damage}. Nothing was restored; take another archive.")
    tell("Bringing the schema up to date")
    staged.migrate()
    tell("Checking the audit chain")
    with staged.read() as connection:
        if (broken := verify(connection)) is not None:
            raise ArmError(
                "DamagedArchive", f"The audit chain in the archive does not hold: record {broken} was changed. Nothing was restored."
            )


def _contradiction(connection: Connection, facts: Facts) -> str:
    for name, count in facts.tables.items():
        if not _NAME.fullmatch(name) or connection.execute(select(func.count()).select_from(table(name))).scalar() != count:
            return f"the table '{name[:63]}' does not have {count} rows"
    last = select(audit_records.c.seq, audit_records.c.hash).order_by(desc(audit_records.c.seq)).limit(1)
    row = connection.execute(last).first()
    return "" if ((row.seq, row.hash) if row else (0, "")) == facts.audited else "the audit chain has another end"


def _place(staged: Store, found: Unpacked, target: Store, files: Mapping[str, bytes], folder: Path, *, renew: bool, tell: Tell) -> None:
    """Keys first, then the database; what was placed is taken away again when the rest fails."""
    path = dialect.database_file(target.engine)
    if path is not None and path.exists():
        raise conflict(f"The database '{path}' exists. Nothing was restored.", target=str(path), code="TargetNotEmpty")
    keeps_jobs = found.facts.has_jobs and path is not None
    with staged.begin() as connection:
        if not keeps_jobs:
            _end_lost_work(connection)
        if renew:
            connection.execute(signing_keys.delete())
        append(connection, [_restored(found.facts, keeps_jobs=keeps_jobs)])
    settle_file(staged)
    if path is None:
        prepare(target, tell)
    with ExitStack() as undo:
        if files:
            tell(f"Writing the keys to {folder}")
            keys.write_files(folder, files)
            undo.callback(keys.remove_files, folder, files)
        tell(f"Writing {target.name}")
        if path is not None:
            _move(found.database, path)
        else:
            with alone(target), staged.snapshot() as reader, target.begin() as writer:
                dialect.wait_for_ever(writer)  # it waits while the chain is proven
                require_empty(writer, target.name)
                copy_rows(reader, writer, tell)
        undo.pop_all()


def _move(staged: Path, path: Path) -> None:
    """Put a file in its place, whole or not at all, also on another disk."""
    partial = path.with_name(f".{path.name}.restoring")
    try:
        shutil.copyfile(staged, partial)
        partial.chmod(0o600)
        with partial.open("rb+") as copied:
            os.fsync(copied.fileno())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def _end_lost_work(connection: Connection) -> None:
    """Whoever waits for what no job does any more is told so."""
    now = int(time.time() * 1000)
    lost = ArmError("LostInRestore", "The job was under way when the backup was made, and did not come along. Ask again.", status=409)
    ended = {"ended_at": now, "status": "Failed"}
    body = json.dumps(lost.body())
    connection.execute(update(operations).where(operations.c.ended_at.is_(None)).values(**ended, percent=100, error=body))
    summary = json.dumps({"error": lost.body()})
    connection.execute(update(scans).where(scans.c.ended_at.is_(None)).values(**ended, summary=summary))


def _restored(facts: Facts, *, keeps_jobs: bool) -> Record:
    """The chain says that it was cut off here: what happened after the backup is not in it."""
    detail = {"backupMadeAt": facts.made_at, "program": facts.program, "records": facts.audited[0], "jobs": keeps_jobs}
    return Record(
        at=int(time.time() * 1000), actor="operator", action="installation/restore", target="/", outcome="accepted", detail=detail
    )
