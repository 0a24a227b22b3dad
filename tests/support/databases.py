"""Fresh databases, cheaply: a SQLite file is a copy of one migrated file, a PostgreSQL database is emptied and used again."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import psycopg

from isthmus.store import Store
from isthmus.work import Work
from tests.support.postgres import Postgres

_END_SESSIONS = b"select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"

# Dropping and creating costs ten times as much; what says how far the schema is migrated stays.
_EMPTY = b"""
do $$
declare found record;
begin
    set local session_replication_role = replica;
    for found in select schemaname, tablename from pg_tables
        where schemaname in ('public', 'dbos') and tablename not in ('alembic_version', 'dbos_migrations')
    loop
        execute format('delete from %I.%I', found.schemaname, found.tablename);
    end loop;
end $$
"""


class Databases:
    """Makes databases with all tables of the product and of the durable engine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sqlite: Path | None = None
        self._made = 0
        self._free: list[str] = []
        self._version: object = None

    def fresh_sqlite(self, path: Path) -> str:
        """A migrated database file at `path`; answers its URL."""
        if self._sqlite is None:
            template = self._folder / "template.db"
            migrate(f"sqlite:///{template}")
            self._sqlite = template
        shutil.copyfile(self._sqlite, path)
        return f"sqlite:///{path}"

    def fresh_postgresql(self, server: Postgres) -> str:
        """A migrated, empty database on the server; answers its URL. Give it back with `clear`."""
        if self._free:
            return self._free.pop()
        self._made += 1
        url = server.create(f"isthmus_{self._made}")
        migrate(url)
        with psycopg.connect(url) as connection:
            self._version = _version(connection)
        return url

    def clear(self, url: str) -> None:
        """End every session on a PostgreSQL database, empty it and keep it for the next, unless a test changed its schema's version."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_END_SESSIONS)
            connection.execute(_EMPTY)
            is_whole = _version(connection) == self._version
        if is_whole:
            self._free.append(url)


def _version(connection: psycopg.Connection[Any]) -> object:
    if connection.execute("select to_regclass('public.alembic_version')").fetchone() == (None,):
        return None
    return connection.execute("select version_num from alembic_version").fetchall()


def migrate(url: str) -> None:
    """Create every table of the product and of the engine, and let go of the database."""
    store = Store(url)
    store.migrate()
    Work(store, jobs=[], queues=[], clock=time.time).migrate()
    store.close()
