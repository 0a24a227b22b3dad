"""Where SQLite and PostgreSQL differ, and nothing else: engines, upserts, the writer lock."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    ClauseElement,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Table,
    UnaryExpression,
    bindparam,
    create_engine,
    event,
    func,
    or_,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.sql.operators import custom_op

_PRAGMAS = ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL")


_POOL: Final[Mapping[str, int]] = {"pool_size": 20, "max_overflow": 0}
_STEPS = 20_000
"""Steps of SQLite's machine between two looks at the clock: about a millisecond."""
_CANCELED = "57014"
_PAIRS = 100


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
    SQLite in memory, which each connection would see as a database of its own. `busy_seconds` is how long a statement waits for what others
    hold. On PostgreSQL a transaction that does nothing for twice as long is ended by the server, so that nobody frozen in one holds up all
    others (not right after a batch of rows: what psycopg sends as a pipeline was seen not to start that clock).
    """
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("SQLite in memory is not supported: use sqlite:///<path>")
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, **_POOL, connect_args={"check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite(busy_seconds))
        return engine
    if backend == "postgresql":
        patience = int(busy_seconds * 1000)
        ours = {"connect_timeout": "10", "tcp_user_timeout": str(patience), "application_name": "isthmus"}
        options = {name: value for name, value in ours.items() if name not in parsed.query}
        engine = create_engine(parsed.set(drivername="postgresql+psycopg"), connect_args=options, **_POOL, pool_pre_ping=True)
        event.listen(engine, "connect", _prepare_postgresql(patience, str(parsed.query.get("options", ""))))
        return engine
    raise ValueError(f"database '{backend}' is not supported: use sqlite:///<path> or postgresql://<user>@<host>/<database>")


def _prepare_sqlite(busy_seconds: float) -> Any:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (f"busy_timeout={int(busy_seconds * 1000)}", *_PRAGMAS[1:]):
            connection.execute(f"PRAGMA {pragma}")
        # The durable engine asks for sub-second time on newer Pythons; SQLite before 3.42 has no such modifier.
        connection.create_function("unixepoch", 1, lambda _: round(time.time(), 3))

    return prepare


def _prepare_postgresql(patience: int, options: str) -> Any:
    """Limits in milliseconds, unless the URL's `options` name one."""
    limits = {"lock_timeout": patience, "idle_in_transaction_session_timeout": 2 * patience}

    def prepare(connection: Any, _record: object) -> None:
        for name, limit in limits.items():
            if name not in options:
                connection.execute(f"set {name} = {limit}")
        connection.commit()

    return prepare


def wait_for_ever(connection: Connection) -> None:
    """Let this transaction wait for what others hold as long as it takes, and take its time itself."""
    if not is_sqlite(connection):
        connection.exec_driver_sql("set local lock_timeout = 0")
        connection.exec_driver_sql("set local idle_in_transaction_session_timeout = 0")


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
            wait_for_ever(connection)
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


def upsert(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, keep: Sequence[str] = (), on: Sequence[str] = ()
) -> None:
    """Insert rows or replace those with the same primary key, except the columns in `keep`, which stay as they were.

    `on` names the columns of another unique constraint that tells what is the same.
    """
    if rows:
        columns = tuple(column.name for column in table.columns if column.name in rows[0])
        values = [tuple([row[name] for name in columns]) for row in rows]
        _many(connection, _upsert(connection.dialect.name, table, columns, tuple(keep), tuple(on)), columns, values)


def upsert_latest(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], column: str) -> None:
    """Insert rows; of those with the same primary key the one stays whose number in a column is higher."""
    if rows:
        columns = tuple(one.name for one in table.columns)
        values = [tuple([row[name] for name in columns]) for row in rows]
        _many(connection, _latest(connection.dialect.name, table, columns, column), columns, values)


def insert_many(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows that are not there yet: a value for each column of the table, in its order."""
    if rows:
        columns = tuple(column.name for column in table.columns)
        _many(connection, _insert(connection.dialect.name, table, columns), columns, rows)


def _many(connection: Connection, statement: Executable, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """One statement for many rows of plain values. SQLite gets them as they are: SQLAlchemy's care for each costs more than the row."""
    if is_sqlite(connection):
        connection.exec_driver_sql(_text(statement), list(rows))
    else:
        connection.execute(statement, [dict(zip(columns, row, strict=True)) for row in rows])


@cache
def _text(statement: Executable) -> str:
    """SQLite's text of a statement: a question mark for each column, in the order of the table."""
    assert isinstance(statement, ClauseElement)
    return str(statement.compile(dialect=sqlite.dialect()))


@cache
def _insert(backend: str, table: Table, columns: tuple[str, ...]) -> Executable:
    statement: Executable = _into(backend, table).values({name: bindparam(name) for name in columns})
    return statement


def _into(backend: str, table: Table) -> Any:
    return sqlite.insert(table) if backend == "sqlite" else postgresql.insert(table)


@cache
def _upsert(backend: str, table: Table, columns: tuple[str, ...], keep: tuple[str, ...], on: tuple[str, ...]) -> Executable:
    """The statement, kept: building its columns anew costs more than running it."""
    insert = _into(backend, table).values({name: bindparam(name) for name in columns})
    keys = on or tuple(column.name for column in table.primary_key.columns)
    offered = insert.excluded
    changed = {name: offered[name] for name in columns if name not in keys and name not in keep}
    statement: Executable = insert.on_conflict_do_update(index_elements=keys, set_=changed) if changed else insert.on_conflict_do_nothing()
    return statement


@cache
def _latest(backend: str, table: Table, columns: tuple[str, ...], column: str) -> Executable:
    insert = _into(backend, table).values({name: bindparam(name) for name in columns})
    keys, offered = tuple(one.name for one in table.primary_key.columns), insert.excluded[column]
    higher: Executable = insert.on_conflict_do_update(index_elements=keys, set_={column: offered}, where=table.c[column] < offered)
    return higher


def insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert unless a row with the same unique value exists; whether it was inserted. Atomic: of two callers one gets True."""
    insert = _into(connection.dialect.name, table)
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


class TimeIsUp(Exception):
    """A statement was broken off because it took longer than it may."""


@contextmanager
def limit_time(connection: Connection, seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Break off statements within that do not end in time; raises TimeIsUp, after which the connection is good for nothing but to be given
    back. On PostgreSQL each statement has the time for itself.
    """
    try:
        if is_sqlite(connection):
            raw: Any = connection.connection.dbapi_connection
            end = clock() + seconds
            raw.set_progress_handler(lambda: clock() >= end, _STEPS)
            try:
                yield
            finally:
                raw.set_progress_handler(None, 0)
        else:
            connection.exec_driver_sql(f"set local statement_timeout = {max(1, int(seconds * 1000))}")
            yield
            connection.exec_driver_sql("set local statement_timeout = 0")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _CANCELED or getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise TimeIsUp from error
        raise


def in_pairs(first: ColumnElement[Any], second: ColumnElement[Any], pairs: Sequence[tuple[Any, Any]]) -> Iterator[ColumnElement[bool]]:
    """Conditions for rows with one of some pairs of values, of a bounded length each. SQLite looks pairs up in an index only when they are
    spelled out: a list of rows makes it read the whole index."""
    for start in range(0, len(pairs), _PAIRS):
        yield or_(*[(first == one) & (second == other) for one, other in pairs[start : start + _PAIRS]])


def contains(connection: Connection, column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether a column holds a text, sign by sign: nothing in it is a pattern."""
    place = func.instr(column, text) if is_sqlite(connection) else func.strpos(column, text)
    return place > 0


def unindexed(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column that is not to be looked up in an index, where reading the whole table is faster (SQLite keeps no figures to tell)."""
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type) if is_sqlite(connection) else column


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
