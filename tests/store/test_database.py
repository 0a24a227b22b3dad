"""Transactions, writers and outages, on both databases."""

from __future__ import annotations

import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from isthmus.arm.errors import ArmError
from isthmus.store import Store
from isthmus.store.dialect import insert_new, is_sqlite, lock_name, upsert, wait_for_ever
from isthmus.store.tables import installation, metadata, resource_tags
from isthmus.work import Work
from tests.support.databases import Databases
from tests.support.postgres import Postgres


def value(connection: Connection, name: str) -> str | None:
    return connection.scalar(select(installation.c.value).where(installation.c.name == name))


def test_a_fresh_database_has_every_table_and_migrating_again_changes_nothing(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(insert(installation).values(name="tenant", value="1"))
    store.migrate()
    with store.read() as connection:
        for table in metadata.sorted_tables:
            connection.execute(select(table).limit(1))
        assert value(connection, "tenant") == "1"


def test_an_error_undoes_the_transaction(store: Store) -> None:
    def fail() -> None:
        with store.begin() as connection:
            connection.execute(insert(installation).values(name="half", value="1"))
            raise KeyError("half way")

    with pytest.raises(KeyError):
        fail()
    with store.read() as connection:
        assert value(connection, "half") is None


def test_concurrent_writers_lose_no_update(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(insert(installation).values(name="count", value="0"))

    def add(_number: int) -> None:
        with store.begin() as connection:
            lock_name(connection, "count")
            count = int(value(connection, "count") or "")
            connection.execute(update(installation).where(installation.c.name == "count").values(value=str(count + 1)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(100)))
    with store.read() as connection:
        assert value(connection, "count") == "100"


def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    with store.begin() as writer:
        writer.execute(insert(installation).values(name="new", value="1"))
        with store.read() as reader:
            assert value(reader, "new") is None


def test_of_many_callers_one_inserts(store: Store) -> None:
    def claim(number: int) -> bool:
        with store.begin() as connection:
            return insert_new(connection, installation, {"name": "once", "value": str(number)})

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(16)))
    assert won.count(True) == 1
    with store.read() as connection:
        assert value(connection, "once") == str(won.index(True))


def test_upsert_inserts_replaces_and_keeps(store: Store) -> None:
    with store.begin() as connection:
        upsert(connection, installation, [])
        upsert(connection, installation, [{"name": "a", "value": "1"}, {"name": "b", "value": "1"}])
        upsert(connection, installation, [{"name": "b", "value": "2"}, {"name": "c", "value": "2"}])
        upsert(connection, installation, [{"name": "a", "value": "3"}], keep=["value"])
        rows = connection.execute(select(installation).order_by(installation.c.name)).all()
        assert [tuple(row) for row in rows] == [("a", "1"), ("b", "2"), ("c", "2")]
        upsert(connection, resource_tags, [{"resource": "r", "name": "n", "value": "1"}])
        upsert(connection, resource_tags, [{"resource": "r", "name": "n", "value": "2"}])
        assert connection.scalars(select(resource_tags.c.value)).all() == ["2"]


def test_a_programming_error_is_not_an_outage(store: Store) -> None:
    with pytest.raises(DBAPIError), store.begin() as connection:
        connection.execute(text("select * from nowhere"))


def test_sqlite_is_durable_and_checks_foreign_keys(databases: Databases, tmp_path: Path) -> None:
    store = Store(databases.fresh_sqlite(tmp_path / "pragmas.db"))
    with store.read() as connection:
        found = {name: connection.exec_driver_sql(f"pragma {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")}
        assert is_sqlite(connection)
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    store.close()


def test_a_locked_file_is_a_503(databases: Databases, tmp_path: Path) -> None:
    store = Store(databases.fresh_sqlite(tmp_path / "locked.db"), busy_seconds=0.05)
    other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(ArmError) as refused, store.begin():
        pytest.fail("the writer lock was taken")
    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (503, "ServiceUnavailable", 5)
    with store.read() as connection:
        assert value(connection, "tenant") is None
    other.execute("rollback")
    other.close()
    with store.begin() as connection:
        connection.execute(insert(installation).values(name="tenant", value="1"))
    store.close()


@pytest.mark.postgresql
def test_a_stopped_server_is_a_503_and_a_restarted_one_is_used_again() -> None:
    server = Postgres()
    server.start()
    store = Store(server.create("outage"))
    store.migrate()
    server.halt()
    with pytest.raises(ArmError) as refused, store.begin():
        pytest.fail("a stopped server took a transaction")
    assert refused.value.status == 503
    work = Work(store, jobs=[], queues=[], clock=time.time)
    for call in (work.launch, work.list, lambda: work.state("x"), lambda: work.retry("x")):
        with pytest.raises(ArmError, match="ServiceUnavailable"):
            call()
    assert json.dumps(refused.value.body()).count("postgres:") == 0
    server.start()
    with store.begin() as connection:
        connection.execute(insert(installation).values(name="tenant", value="1"))
    with store.read() as connection:
        assert value(connection, "tenant") == "1"
    store.close()
    server.stop()


@pytest.mark.postgresql
def test_who_waits_for_a_held_name_gives_up(postgresql_url: str) -> None:
    store, hasty = Store(postgresql_url), Store(postgresql_url, busy_seconds=0.5)
    with store.begin() as first:
        lock_name(first, "audit")
        with pytest.raises(ArmError) as refused, hasty.begin() as second:
            lock_name(second, "audit")
        assert (refused.value.status, refused.value.code) == (503, "ServiceUnavailable")
        first.execute(insert(installation).values(name="tenant", value="1"))
    with hasty.begin() as second:
        lock_name(second, "audit")
        assert value(second, "tenant") == "1"
    store.close()
    hasty.close()


@pytest.mark.postgresql
def test_whoever_is_frozen_in_a_transaction_holds_up_nobody(postgresql_url: str) -> None:
    store, frozen = Store(postgresql_url), Store(postgresql_url, busy_seconds=1)

    def write(value: str) -> None:
        with store.begin() as second:
            lock_name(second, "audit")
            second.execute(insert(installation).values(name="tenant", value=value))

    def freeze() -> None:
        with frozen.begin() as first:
            lock_name(first, "audit")
            first.execute(insert(installation).values(name="tenant", value="frozen"))
            write("1")

    with pytest.raises(ArmError) as refused:
        freeze()
    assert refused.value.status == 503
    with store.read() as connection:
        assert value(connection, "tenant") == "1"
    with frozen.begin() as connection:
        assert value(connection, "tenant") == "1", "the pool has another connection for who comes back"
    store.close()
    frozen.close()


@pytest.mark.postgresql
def test_snapshots_and_migrations_take_their_time(postgresql_url: str) -> None:
    store = Store(postgresql_url, busy_seconds=0.5)
    with store.snapshot() as connection:
        before = value(connection, "tenant")
        time.sleep(1.5)
        assert value(connection, "tenant") == before
    with store.begin() as connection:
        wait_for_ever(connection)
        time.sleep(1.5)
        assert value(connection, "tenant") == before
    with store.begin() as connection:
        assert connection.exec_driver_sql("show lock_timeout").scalar() == "500ms", "only that transaction had more time"
    store.close()


@pytest.mark.postgresql
def test_what_the_url_says_of_a_connection_holds(postgresql_url: str) -> None:
    said = "?application_name=ours&options=-c%20lock_timeout%3D5s"
    for query, name, limit in (("", "isthmus", "30s"), (said, "ours", "5s")):
        store = Store(postgresql_url + query)
        with store.read() as connection:
            shown = [connection.exec_driver_sql(f"show {one}").scalar() for one in ("application_name", "lock_timeout")]
            assert shown == [name, limit]
            assert connection.exec_driver_sql("show idle_in_transaction_session_timeout").scalar() == "1min"
        store.close()


@pytest.mark.postgresql
def test_one_name_serialises_and_another_does_not(postgresql_url: str) -> None:
    store = Store(postgresql_url)

    def lock(name: str) -> None:
        with store.begin() as second:
            second.execute(text("set local lock_timeout = '50ms'"))
            lock_name(second, name)

    with store.begin() as first:
        lock_name(first, "a")
        lock("b")
        with pytest.raises(ArmError):
            lock("a")
    lock("a")
    store.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/x"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="supported"):
        Store(url)
