"""Who may work on a database: one process per SQLite file, any number on PostgreSQL, each alive as long as its claim.

On PostgreSQL a claim is an advisory lock in a session of its own: no heartbeat rows, no clocks. The server drops it the moment the process
dies, and then any other process may take over what it had begun. So a process that loses its session must end: someone may be repeating its
steps already.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from isthmus.arm.errors import ArmError
from isthmus.store import Store, typed_outage
from isthmus.store.dialect import database_file

_log = structlog.get_logger("isthmus.work")


class Claim(Protocol):
    """The right to work under one executor name."""

    def take(self) -> None:
        """Take it, or raise ArmError 409 naming what is in the way."""
        ...

    def give_back(self) -> None:
        """Give it back; safe to repeat."""
        ...


class FileClaim:
    """An exclusive lock beside a SQLite file (`<file>.lock`, with the owner's process id in it)."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises ArmError 409 `DatabaseInUse` with the file's name if another process has it."""
        path = self._database.with_name(self._database.name + ".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read(32).strip() or "unknown"
            file.close()
            raise ArmError(
                "DatabaseInUse",
                f"The database file '{self._database}' is in use by another process (process id {owner}). "
                "Stop that process, choose another data folder, or use PostgreSQL, which several processes can share.",
                status=409,
                target=str(self._database),
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def give_back(self) -> None:
        """Unlock. The lock file stays: removing it would let two processes lock two files of one name."""
        if self._file is not None:
            self._file.close()
            self._file = None


_HOUSE = int.from_bytes(hashlib.sha256(b"isthmus.house").digest()[:8], "big", signed=True)
"""The advisory lock that every working process shares and that maintenance takes for itself."""


def lock_key(executor: str) -> int:
    """The advisory lock that stands for an executor: 64 bits, signed."""
    return int.from_bytes(hashlib.sha256(f"isthmus.executor.{executor}".encode()).digest()[:8], "big", signed=True)


def try_lock(connection: Connection, executor: str) -> bool:
    """Whether the executor was not alive; then this session holds its lock until `unlock` or the session's end."""
    return bool(connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": lock_key(executor)}))


def unlock(connection: Connection, executor: str) -> None:
    """Give up a lock taken by `try_lock`."""
    connection.execute(text("select pg_advisory_unlock(:key)"), {"key": lock_key(executor)})


def end_session(connection: Connection) -> None:
    """Give up the session's locks, then end it: a pool would keep it, and the server notices its end only later."""
    with suppress(SQLAlchemyError):  # a session that is gone holds no lock
        connection.execute(text("select pg_advisory_unlock_all()"))
    connection.invalidate()
    connection.close()


class SessionClaim:
    """An advisory lock held in one PostgreSQL session, watched by a thread; `on_lost` is called there when the session ends unasked."""

    def __init__(self, engine: Engine, executor: str, *, on_lost: Callable[[], None], check_seconds: float = 5.0) -> None:
        self._engine = engine
        self._executor = executor
        self._on_lost = on_lost
        self._check_seconds = check_seconds
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None
        self._bell: socket.socket | None = None

    def take(self) -> None:
        """Raises ArmError 409: `DatabaseInUse` while somebody has the database alone, `ExecutorInUse` if a living process has this name."""
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if not connection.scalar(text("select pg_try_advisory_lock_shared(:key)"), {"key": _HOUSE}):
            end_session(connection)
            raise ArmError("DatabaseInUse", "The database is being copied or restored. Start again when that has ended.", status=409)
        if not try_lock(connection, self._executor):
            end_session(connection)
            raise ArmError(
                "ExecutorInUse", f"Another process works under the name '{self._executor}'. Give each process its own.", status=409
            )
        self._connection = connection
        self._bell, listener = socket.socketpair()
        self._thread = threading.Thread(target=self._watch, args=(connection, listener), name="isthmus-claim", daemon=True)
        self._thread.start()

    def _watch(self, connection: Connection, listener: socket.socket) -> None:
        # A dropped session makes its socket readable at once; the query finds the half-open ones.
        session = connection.connection.dbapi_connection
        descriptor: int = session.fileno()  # type: ignore[union-attr]
        ears = select.poll()  # select(2) knows descriptors below 1024 only
        ears.register(descriptor, select.POLLIN)
        ears.register(listener, select.POLLIN)
        with listener:
            while True:
                if any(heard == listener.fileno() for heard, _ in ears.poll(self._check_seconds * 1000)):
                    return
                try:
                    connection.execute(text("select 1"))
                except SQLAlchemyError:
                    _log.critical(
                        "the session that proves this process alive is gone; another process may repeat its work", executor=self._executor
                    )
                    self._on_lost()
                    return

    def give_back(self) -> None:
        """Give up the locks and end the session."""
        if self._bell is not None and self._thread is not None:
            self._bell.close()
            self._thread.join(timeout=10)
            self._bell = self._thread = None
        if self._connection is not None:
            end_session(self._connection)
            self._connection = None


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """Nobody works on the database while inside: a process that starts meanwhile is refused.

    Raises ArmError 409 `DatabaseInUse` when one works on it now.
    """
    file = database_file(store.engine)
    if file is not None:
        claim = FileClaim(file)
        claim.take()
        try:
            yield
        finally:
            claim.give_back()
        return
    with typed_outage(), store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": _HOUSE}):
            raise ArmError(
                "DatabaseInUse",
                "Servers work on this database. Stop every one of them first; they take up their work again when they start.",
                status=409,
                target=store.name,
            )
        try:
            yield
        finally:
            end_session(connection)
