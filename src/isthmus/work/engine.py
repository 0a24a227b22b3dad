"""The only builder of the durable engine and of its client, so that both always agree on serializer, schema, name and version."""

from __future__ import annotations

import os
import socket
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig
from sqlalchemy import Engine

from isthmus.store import Store
from isthmus.store.dialect import is_sqlite
from isthmus.work.logs import route_engine_log
from isthmus.work.serializer import JsonSerializer

APPLICATION = "isthmus"
SCHEMA = "dbos"
# Recovery takes up only work begun under the same version: raise it when a workflow's order of steps changes, never otherwise.
VERSION = "1"
_POOL = 10


def executor_name(engine: Engine) -> str:
    """SQLite: one name for ever, since its file has one worker and the next start takes over. PostgreSQL: one per start."""
    return APPLICATION if is_sqlite(engine) else f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"


def build_engine(store: Store, executor: str) -> None:
    """Construct the process's one DBOS.

    SQLite shares the store's engine (one writer, one set of pragmas). PostgreSQL gets a pool of its own, whose sessions the server ends
    when they sit in an open transaction for 15 s, since a frozen process must not hold up the queues.
    """
    route_engine_log()
    config: DBOSConfig = {
        "name": APPLICATION,
        "application_version": VERSION,
        "executor_id": executor,
        "serializer": JsonSerializer(),
        "use_listen_notify": False,
        "run_migrations": True,
        "log_level": "WARNING",
        # The listener's thread sleeps so long between looks at nothing (events are not used here); stopping waits for it.
        "notification_listener_polling_interval_sec": 0.1,
    }
    if is_sqlite(store.engine):
        config["system_database_engine"] = store.engine
    else:
        config["system_database_url"] = store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        config["dbos_system_schema"] = SCHEMA
        config["sys_db_pool_size"] = _POOL
        config["sys_db_idle_transaction_timeout_sec"] = 15.0
    DBOS(config=config)


def build_client(store: Store) -> DBOSClient:
    """A client on the store's own engine: what it enqueues commits with the caller's rows. An outage raises instead of blocking."""
    return DBOSClient(
        system_database_engine=store.engine,
        dbos_system_schema=SCHEMA,
        serializer=JsonSerializer(),
        application_name=APPLICATION,
        use_listen_notify=False,
        lazy=True,
        retry_connection_errors=False,
    )


def migrate_engine(client: DBOSClient) -> None:
    """Create or upgrade the engine's own tables. (The engine's public way opens a second pool with pragmas of its own.)"""
    system: Any = client._sys_db
    system.run_migrations()


def recover_executor(executor: str) -> None:
    """Put the unfinished work of a dead executor back on its queues, keeping attempts, ids and deadlines.

    The public `resume_workflows` resets the count of recoveries, so that a workflow which kills its process would do so for ever.
    """
    DBOS._recover_pending_workflows([executor])
