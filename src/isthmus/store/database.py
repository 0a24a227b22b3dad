"""The store: one engine, its migrations, and transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.pool import QueuePool

from isthmus.arm.errors import unavailable
from isthmus.store import dialect


@contextmanager
def typed_outage() -> Iterator[None]:
    """Around any use of the store's engine: raises ArmError 503 when the database is locked, gone or out of connections."""
    try:
        yield
    except PoolExhausted as error:
        raise unavailable("All connections to the database are in use. Nothing was changed; try again.") from error
    except DBAPIError as error:
        if dialect.is_outage(error):
            raise unavailable("The database is locked or does not answer. Nothing was changed; try again.") from error
        raise


MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def schemas() -> tuple[str, ...]:
    """The revisions of the schema that this program knows, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


class Store:
    """The database at `url`. `begin` writes, `read` reads; both raise ArmError 503 when the database is locked or gone."""

    def __init__(self, url: str, *, busy_seconds: float = 30.0) -> None:
        self.url = url
        self.engine = dialect.open_engine(url, busy_seconds=busy_seconds)
        self._patience = busy_seconds
        self._turn = threading.Lock() if dialect.is_sqlite(self.engine) else None

    @property
    def name(self) -> str:
        """The URL as people may see it: without a password."""
        return dialect.shown(self.engine.url)

    @property
    def schema(self) -> str:
        """The revision of the schema that the database has; empty when it has none."""
        with self.read() as connection:
            return MigrationContext.configure(connection).get_current_revision() or ""

    def migrate(self) -> None:
        """Bring the schema to this program's version. Safe to repeat; several processes may call it at once on PostgreSQL."""
        if self.schema == schemas()[0]:
            return
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.begin() as connection:
            dialect.wait_for_ever(connection)
            dialect.lock_name(connection, "isthmus-migrations")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction that commits at the end and rolls back on any error. On SQLite it holds the writer lock from its start."""
        with self._in_turn(), typed_outage(), self.engine.begin() as connection:
            dialect.start_write(connection)
            yield connection

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """One writer of this process at a time where the database knows one: SQLite lets those who wait sleep ever longer, so that some of
        many threads would wait for seconds."""
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=self._patience):
            raise unavailable("The database is locked or does not answer. Nothing was changed; try again.")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading; it never waits for writers."""
        with typed_outage(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database, whoever writes meanwhile. For reading only."""
        with typed_outage(), dialect.snapshot(self.engine) as connection:
            yield connection

    def watch(self, observe: Callable[[float], None]) -> None:
        """Have the seconds of every statement told."""

        def begin(*given: Any) -> None:
            given[4].began = perf_counter()

        def end(*given: Any) -> None:
            observe(perf_counter() - given[4].began)

        event.listen(self.engine, "before_cursor_execute", begin)
        event.listen(self.engine, "after_cursor_execute", end)

    @property
    def connections(self) -> tuple[int, int]:
        """Connections of the pool that are in use, and that are idle."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedout(), pool.checkedin()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()
