"""From one database to another one that is empty: rows whole and unchanged, job history left behind."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing

from sqlalchemy.exc import ArgumentError, DBAPIError

from isthmus.arm.errors import ArmError, conflict
from isthmus.store import Store, dialect, schemas
from isthmus.transfer.rows import Tell, copy_rows, require_empty
from isthmus.work import Work, alone

_SHOWN = 3


def copy_database(source_url: str, target_url: str, tell: Tell) -> Mapping[str, int]:
    """Copy every product table of one database into another, in one transaction; rows per table.

    Raises ArmError, and changes nothing, when a process works on either, when jobs are unfinished, when the schema of the source is not
    this program's, or when the target is not empty. Afterwards the target's schema is there in any case; its rows are all there or none.
    """
    with closing(open_existing(source_url)) as source, closing(open_store(target_url)) as target, alone(source):
        require_schema(source)
        _require_idle(source)
        prepare(target, tell)
        with alone(target), source.snapshot() as reader, target.begin() as writer:
            dialect.wait_for_ever(writer)  # it waits while the chain is proven
            require_empty(writer, target.name)
            return copy_rows(reader, writer, tell)


def open_store(url: str) -> Store:
    """The store behind a URL; ArmError `InvalidDatabaseUrl` that does not repeat it, since it may hold a password."""
    try:
        return Store(url)
    except (ValueError, ArgumentError, ImportError) as error:
        raise _invalid_url() from error


def open_existing(url: str) -> Store:
    """Like `open_store`; ArmError 404 `NoDatabase` where a SQLite file would have to be made first."""
    try:
        file = dialect.database_file(url)
    except ArgumentError as error:
        raise _invalid_url() from error
    if file is not None and not file.is_file():
        message = f"There is no database '{file}'. Name the data folder with --data, or set ISTHMUS_DATABASE_URL."
        raise ArmError("NoDatabase", message, status=404, target=str(file))
    return open_store(url)


def prepare(target: Store, tell: Tell) -> None:
    """Make the tables of an empty database; ArmError `TargetNotEmpty`, or `DatabaseRefused` with what its server says."""
    try:
        with target.read() as connection:
            require_empty(connection, target.name)
        tell(f"Preparing {target.name}")
        target.migrate()
        Work(target, jobs=[], queues=[], clock=time.time).migrate()
    except DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        raise ArmError("DatabaseRefused", f"The database {target.name} refuses: {reason}. Check the role's rights on it.") from error


def require_schema(store: Store) -> None:
    """ArmError 409 `SchemaDiffers` unless the database has the schema of this program."""
    newest, found = schemas()[0], store.schema
    if found != newest:
        what = f"schema {found}" if found else "no schema"
        raise conflict(
            f"The database {store.name} has {what}, this program {newest}. Use the program that last served it, or serve it with this one.",
            target=store.name,
            code="SchemaDiffers",
        )


def _require_idle(source: Store) -> None:
    """What was ordered and not done would be lost; runs of timetables come again by themselves."""
    work = Work(source, jobs=[], queues=[], clock=time.time)
    work.migrate()
    waiting = [job for job in work.list(limit=1000) if not job.job.startswith("timetable.")]
    if waiting:
        names = ", ".join(f"{job.id} ({job.state})" for job in waiting[:_SHOWN])
        more = f" and {len(waiting) - _SHOWN} more" if len(waiting) > _SHOWN else ""
        raise conflict(
            f"Jobs are not finished: {names}{more}. Start the server, wait until 'isthmus operation list' shows nothing running, stop it "
            "and copy again.",
            target=source.name,
            code="JobsUnfinished",
        )


def _invalid_url() -> ArmError:
    message = "The database URL cannot be used: write postgresql://user@host/name or sqlite:///path. It is not repeated here."
    return ArmError("InvalidDatabaseUrl", message, target="database_url")
