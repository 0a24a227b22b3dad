"""Everything that makes an installation, in one archive, of one moment, while the server goes on."""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import desc, select

from isthmus import keys
from isthmus.arm.errors import ArmError
from isthmus.settings import Settings
from isthmus.store import Store, dialect
from isthmus.store.tables import audit_records
from isthmus.transfer.archive import DATABASE, KEYS, Facts, bound_of, describe, file_exists, pack
from isthmus.transfer.copying import open_existing, require_schema
from isthmus.transfer.rows import Tell, copy_rows, count_rows


def back_up(settings: Settings, file: Path, passphrase: str | None, tell: Tell) -> Mapping[str, Any]:
    """Write an archive of database and keys; what is in it. Without a passphrase the keys stay out.

    SQLite comes with its unfinished jobs. PostgreSQL comes as a SQLite file too, copied table by table in one transaction that sees one
    moment, without jobs. ArmError when the file exists, the database is missing or has another schema, or there are no keys; then there is
    no file.
    """
    if file.exists():
        raise file_exists(file)
    if not file.parent.is_dir():
        raise ArmError("NoFolder", f"There is no folder '{file.parent}'.", status=404, target=str(file.parent))
    staging = Path(tempfile.mkdtemp(prefix=".isthmus-backup-", dir=file.parent))
    try:
        with closing(open_existing(settings.database)) as source:
            require_schema(source)
            tell(f"Reading {source.name}")
            has_jobs = _lay_down(source, staging / DATABASE, tell)
        facts = _facts_of(staging / DATABASE, has_jobs=has_jobs)
        members, described = {DATABASE: staging / DATABASE}, {}
        with (staging / DATABASE).open("rb") as content:
            described[DATABASE] = describe(content)
        if passphrase is not None:
            tell("Sealing the keys")
            sealed = keys.seal_folder(settings.keys, passphrase, bound=bound_of(facts, described[DATABASE]))
            (staging / KEYS).write_bytes(sealed)
            members[KEYS], described[KEYS] = staging / KEYS, describe(io.BytesIO(sealed))
        tell(f"Writing {file}")
        pack(file, facts, members, described)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return {"file": str(file), "bytes": file.stat().st_size, "rows": sum(facts.tables.values()), "keys": passphrase is not None}


def _lay_down(source: Store, path: Path, tell: Tell) -> bool:
    """The database as one SQLite file; whether its jobs came along."""
    if dialect.copy_file(source.engine, path):
        return True
    with closing(Store(f"sqlite:///{path}")) as copy:
        copy.migrate()
        with source.snapshot() as reader, copy.begin() as writer:
            copy_rows(reader, writer, tell)
        settle_file(copy)
    return False


def settle_file(store: Store) -> None:
    """Make a SQLite database that nobody uses one file, without the log beside it."""
    with store.engine.connect() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode=DELETE").scalar()
        assert mode == "delete", mode


def _facts_of(path: Path, *, has_jobs: bool) -> Facts:
    with closing(Store(f"sqlite:///{path}")) as copy:
        with copy.read() as connection:
            newest = select(audit_records.c.seq, audit_records.c.hash).order_by(desc(audit_records.c.seq)).limit(1)
            last = connection.execute(newest).first()
            tables = count_rows(connection)
        schema = copy.schema
        settle_file(copy)
    audited = (last.seq, last.hash) if last else (0, "")
    return Facts(program=version("isthmus"), schema=schema, made_at=int(time.time()), tables=tables, audited=audited, has_jobs=has_jobs)
