"""Where SQLite and PostgreSQL differ, and nothing else: engines, upserts, the writer lock."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Executable, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

_PRAGMAS = ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL")


_PASSING_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


_PASSING_STATES = frozenset({"08", "40", "53", "55", "57"})
"""SQLSTATE classes of PostgreSQL that pass: connection, rollback (deadlock), resources, not in state (lock), operator intervention."""


def open_engine(url: str, *, busy_seconds: float = 30.0) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://…`.

    SQLite: WAL, FULL (an acknowledged write survives power loss), IMMEDIATE transactions. Raises ValueError for any other database, and for
    SQLite in memory, which each connection would see as a database of its own.
    """
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("SQLite in memory is not supported: use sqlite:///<path>")
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, pool_size=20, max_overflow=0, connect_args={"check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite(busy_seconds))
        return engine
    if backend == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_size=20, max_overflow=0, pool_pre_ping=True)
    raise ValueError(f"database '{backend}' is not supported: use sqlite:///<path> or postgresql://<user>@<host>/<database>")


def _prepare_sqlite(busy_seconds: float) -> Any:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (f"busy_timeout={int(busy_seconds * 1000)}", *_PRAGMAS[1:]):
            connection.execute(f"PRAGMA {pragma}")
        # The durable engine asks for sub-second time on newer Pythons; SQLite before 3.42 has no such modifier.
        connection.create_function("unixepoch", 1, lambda _: round(time.time(), 3))

    return prepare


def shown(url: str | URL) -> str:
    """A database URL as people may see it: without passwords, wherever they stand in it."""
    parsed = make_url(url)
    secret = [name for name in parsed.query if "password" in name.lower()]
    return parsed.difference_update_query(secret).render_as_string(hide_password=True)


def has_password(url: str) -> bool:
    """Whether a database URL carries a password."""
    parsed = make_url(url)
    return parsed.password is not None or any("password" in name.lower() for name in parsed.query)


def database_file(database: Engine | str) -> Path | None:
    """The file of a SQLite database, by its engine or its URL; None on PostgreSQL."""
    url = make_url(database) if isinstance(database, str) else database.url
    return Path(str(url.database)).absolute() if url.get_backend_name() == "sqlite" else None


def is_sqlite(connection: Connection | Engine) -> bool:
    """Whether this is SQLite."""
    return connection.dialect.name == "sqlite"


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection whose reads all see the database as it is now."""
    with engine.connect() as connection:
        if is_sqlite(connection):
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection
        connection.rollback()


def copy_file(engine: Engine, path: Path) -> bool:
    """Write a SQLite database as one file, whole and of one moment, while others write to it; False on PostgreSQL, which has no file.

    The new file is readable for its owner only (https://sqlite.org/backup.html).
    """
    if not is_sqlite(engine):
        return False
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with engine.connect() as connection, closing(sqlite3.connect(path)) as copy:
        source = connection.connection.dbapi_connection
        assert isinstance(source, sqlite3.Connection)
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    return True


def find_damage(connection: Connection) -> str:
    """What SQLite finds wrong in its own file, in one line; empty when nothing is."""
    found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    return "" if found == "ok" else str(found)


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, keep: Sequence[str] = ()) -> None:
    """Insert rows or replace those with the same primary key, except the columns in `keep`, which stay as they were."""
    if rows:
        connection.execute(_upsert(connection.dialect.name, table, tuple(rows[0]), tuple(keep)), list(rows))


@cache
def _upsert(backend: str, table: Table, columns: tuple[str, ...], keep: tuple[str, ...]) -> Executable:
    """The statement, kept: building its columns anew costs more than running it."""
    insert = sqlite.insert(table) if backend == "sqlite" else postgresql.insert(table)
    keys = [column.name for column in table.primary_key.columns]
    offered = insert.excluded
    changed = {name: offered[name] for name in columns if name not in keys and name not in keep}
    return insert.on_conflict_do_update(index_elements=keys, set_=changed) if changed else insert.on_conflict_do_nothing()


def insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert unless a row with the same unique value exists; whether it was inserted. Atomic: of two callers one gets True."""
    insert = sqlite.insert(table) if is_sqlite(connection) else postgresql.insert(table)
    # Asked by RETURNING: on PostgreSQL the count of rows is not kept for inserts.
    key = next(iter(table.primary_key.columns))
    return connection.execute(insert.values(**row).on_conflict_do_nothing().returning(key)).first() is not None


def start_write(connection: Connection) -> None:
    """Become the writer before the first read, so that what is read still holds when it is written (SQLite begins only at a write)."""
    if is_sqlite(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def lock_name(connection: Connection, name: str) -> None:
    """Serialise the transactions that use one name until this one ends (a SQLite writer is alone already)."""
    if not is_sqlite(connection):
        connection.execute(text("select pg_advisory_xact_lock(hashtext(:name))"), {"name": name})


def is_outage(error: DBAPIError) -> bool:
    """Whether the database is locked or gone, so that the same request may succeed later.

    SQLite reports a missing table as an OperationalError too; its result code tells that apart (https://sqlite.org/rescode.html).
    """
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state[:2] in _PASSING_STATES
    code = getattr(error.orig, "sqlite_errorcode", None)
    return isinstance(error, OperationalError) and (code is None or code & 0xFF in _PASSING_CODES)
