"""What state a database is in, found out without changing it: nothing is created, migrated or repaired."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from isthmus.arm.errors import ArmError
from isthmus.store.database import MIGRATIONS

_SECONDS = 5
_REVISION = "select version_num from alembic_version"


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseState:
    """A database that answered.

    `name` says where it is, without user and password; `server` which program and version. `revision` is the one its tables have (empty: it
    has none), `expected` this program's, `is_older` whether this program can bring it there. `obstacle` says why it cannot be written to
    (empty: it can). `journal` and `damage` are SQLite's: the journal mode, and what an integrity check found (None: it took too long).
    """

    name: str
    server: str
    revision: str
    expected: str
    is_older: bool
    obstacle: str = ""
    journal: str = ""
    damage: tuple[str, ...] | None = ()


def inspect(url: str, *, seconds: float = 20.0, clock: Callable[[], float] = time.monotonic) -> DatabaseState | None:
    """The state of the database at `url`; None for a SQLite file that does not exist yet. An integrity check gives up after `seconds`.

    Raises ArmError `DatabaseNotReachable`, or `InvalidDatabaseUrl` for what is no URL of a database that Isthmus can use.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ArmError("InvalidDatabaseUrl", "ISTHMUS_DATABASE_URL is not a database URL.", target="database_url") from error
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return _sqlite(Path(str(parsed.database)), seconds, clock)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed)
    raise ArmError("InvalidDatabaseUrl", "ISTHMUS_DATABASE_URL names neither a SQLite file nor PostgreSQL.", target="database_url")


def documents(url: str, unique: str) -> list[tuple[str, str]]:
    """(id, document) of the resources whose unique key matches a LIKE pattern, read and nothing else; none where there is no table yet.

    Raises what `inspect` raises.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(str(parsed.database))
        mode = "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro"
        try:
            with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, timeout=1.0)) as connection:
                found = connection.execute("select id, document from resources where unique_key like ?", (unique,))
                return [(str(id), str(document)) for id, document in found]
        except sqlite3.Error as error:
            raise ArmError("DatabaseNotReachable", f"SQLite file '{path}': {error}.", status=503, target=str(path)) from error
    engine = create_engine(parsed.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": _SECONDS}, pool_size=1)
    try:
        with engine.connect() as reading:
            rows = reading.execute(text("select id, document from resources where unique_key like :unique"), {"unique": unique})
            return [(str(id), str(document)) for id, document in rows]
    except DBAPIError as error:
        raise ArmError("DatabaseNotReachable", _first_line(error), status=503, target=str(parsed.host)) from error
    finally:
        engine.dispose()


def _sqlite(path: Path, seconds: float, clock: Callable[[], float]) -> DatabaseState | None:
    if not path.exists():
        return None
    can_write = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    # Opened for writing where that is possible: SQLite removes its side files only then, so the folder is left as it was.
    uri = f"file:{quote(str(path.absolute()))}?mode={'rw' if can_write else 'ro'}"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None)) as connection:
            journal = str(connection.execute("pragma journal_mode").fetchone()[0])
            damage = _damage(connection, clock() + seconds, clock)
            revision = _sqlite_revision(connection)
            obstacle = _sqlite_obstacle(connection) if can_write else "the file or its folder is read-only for this user"
    except sqlite3.Error as error:
        raise ArmError("DatabaseNotReachable", f"SQLite file '{path}': {error}.", status=503, target=str(path)) from error
    return _state(f"SQLite file '{path}'", f"SQLite {sqlite3.sqlite_version}", revision, obstacle, journal=journal, damage=damage)


def _damage(connection: sqlite3.Connection, deadline: float, clock: Callable[[], float]) -> tuple[str, ...] | None:
    connection.set_progress_handler(lambda: int(clock() > deadline), 1_000)
    try:
        found = tuple(str(row[0]) for row in connection.execute("pragma quick_check(3)"))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    except sqlite3.DatabaseError as error:
        return (str(error),)
    finally:
        connection.set_progress_handler(None, 0)
    return () if found == ("ok",) else found


def _sqlite_revision(connection: sqlite3.Connection) -> str:
    try:
        row = connection.execute(_REVISION).fetchone()
    except sqlite3.DatabaseError:
        return ""
    return str(row[0]) if row else ""


def _sqlite_obstacle(connection: sqlite3.Connection) -> str:
    """Becomes the writer for a moment and writes nothing."""
    try:
        connection.execute("begin immediate")
        connection.execute("rollback")
    except sqlite3.OperationalError as error:
        return str(error)
    return ""


def _postgresql(url: URL) -> DatabaseState:
    name = f"PostgreSQL at {url.host or 'the local socket'}{f':{url.port}' if url.port else ''}, database '{url.database or ''}'"
    engine = create_engine(url.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": _SECONDS}, pool_size=1)
    try:
        with engine.connect() as connection:
            version = str(connection.execute(text("show server_version")).scalar_one()).split()[0]
            read_only = connection.execute(text("show transaction_read_only")).scalar_one() == "on"
            has_tables = connection.execute(text("select to_regclass('alembic_version') is not null")).scalar_one()
            revision = str(connection.execute(text(_REVISION)).scalar() or "") if has_tables else ""
            creates = connection.execute(text("select has_schema_privilege(current_schema(), 'CREATE')")).scalar()
    except DBAPIError as error:
        raise ArmError("DatabaseNotReachable", f"{name}: {_first_line(error)}", status=503, target=str(url.host)) from error
    finally:
        engine.dispose()
    obstacle = "it is read-only (a standby, or so configured)" if read_only else "" if creates else "the user may not create tables"
    return _state(name, f"PostgreSQL {version}", revision, obstacle)


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0].rstrip(".") + "." if lines else "it does not answer."


def _state(
    name: str, server: str, revision: str, obstacle: str, *, journal: str = "", damage: tuple[str, ...] | None = ()
) -> DatabaseState:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    known = [script.revision for script in scripts.walk_revisions()]
    return DatabaseState(
        name=name,
        server=server,
        revision=revision,
        expected=known[0],
        is_older=revision in known[1:],
        obstacle=obstacle,
        journal=journal,
        damage=damage,
    )
