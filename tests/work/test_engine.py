"""Contracts with the parts of the engine that are not public. When one of these fails after an upgrade, read its release notes first."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from dbos import DBOS
from dbos._dbos import _get_dbos_instance
from sqlalchemy import text

from isthmus.store import Store
from isthmus.store.dialect import database_file
from isthmus.work import Job, Work
from isthmus.work.engine import build_client, recover_executor
from tests.support.waiting import LOADED
from tests.work.conftest import Launch, eventually, ordered


def table(store: Store, name: str) -> str:
    return name if store.engine.dialect.name == "sqlite" else f"dbos.{name}"


def test_recovery_takes_executor_names_and_is_not_public() -> None:
    parameters = inspect.signature(DBOS._recover_pending_workflows).parameters
    assert list(parameters) == ["executor_ids"]


def test_recovery_requeues_only_the_dead_executors_work_and_counts_it(store: Store, launch: Launch) -> None:
    hold, calls = threading.Event(), []

    def run(arguments: Mapping[str, Any]) -> None:
        calls.append(arguments["name"])
        if len(calls) == 1:
            hold.wait(10 * LOADED)

    work = launch(Job(name="test.hold", queue="main", run=run))
    with store.begin() as connection:
        work.enqueue(connection, "test.hold", "held", {"name": "held"})
    eventually(lambda: calls == ["held"])
    recover_executor("somebody else")
    assert work.state("held") == "PENDING"
    with store.begin() as connection:
        connection.execute(text(f"update {table(store, 'workflow_status')} set executor_id = 'dead'"))
    recover_executor("dead")
    eventually(lambda: calls == ["held", "held"])
    hold.set()
    eventually(lambda: work.state("held") == "SUCCESS")
    (record,) = ordered(work, ["SUCCESS"])
    assert (record.recoveries, record.executor) == (1, work.executor)


def test_the_engine_migrates_on_the_stores_own_connections(store: Store) -> None:
    client = build_client(store)
    assert client._sys_db.engine.pool is store.engine.pool
    assert callable(client._sys_db.run_migrations)
    work = Work(store, jobs=[], queues=[], clock=time.time)
    work.migrate()
    work.migrate()


def test_only_sqlite_lies_in_a_file(store: Store) -> None:
    file = database_file(store.engine)
    assert (file is None) == (store.engine.dialect.name == "postgresql")
    assert file is None or file.is_file()


@pytest.mark.postgresql
def test_frozen_sessions_of_the_engine_end_soon(postgresql_url: str) -> None:
    store = Store(postgresql_url)
    work = Work(store, jobs=[], queues=[], clock=time.time, on_lost=lambda: None)
    work.launch()
    with _get_dbos_instance()._sys_db.engine.connect() as connection:
        assert connection.scalar(text("show idle_in_transaction_session_timeout")) == "15s"
    work.stop()
    store.close()
