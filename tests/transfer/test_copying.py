"""A copy holds every row and a whole chain; whatever is refused leaves the target empty."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from isthmus.arm.errors import ArmError
from isthmus.audit import verify
from isthmus.store import Store
from isthmus.store.tables import audit_records, resources, signing_keys
from isthmus.transfer import copy_database
from isthmus.work import Job, Queue, Work
from tests.support.databases import Databases
from tests.support.postgres import Postgres
from tests.transfer.conftest import contents, fill, ignore
from tests.work.conftest import ordered

pytestmark = pytest.mark.slow


@pytest.fixture
def target(postgres: Postgres, databases: Databases) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    url = databases.fresh_postgresql(postgres)
    yield url
    databases.clear(url)


@pytest.mark.postgresql
def test_every_row_arrives_and_the_chain_holds(filled: Store, target: str) -> None:
    said: list[str] = []
    counts = copy_database(filled.url, target, said.append)
    arrived = Store(target)
    assert contents(arrived) == contents(filled)
    assert counts == {name: len(rows) for name, rows in contents(filled).items()}
    assert min(counts.values()) > 0, "no table was left out"
    with arrived.read() as connection:
        assert verify(connection) is None
    assert "Copying audit_records: 2500 of 2500 rows" in said
    assert not any("postgres:" in line and ":***@" not in line for line in said), "no password is told"
    arrived.close()


@pytest.mark.postgresql
def test_into_a_database_without_tables(filled: Store, postgres: Postgres) -> None:
    url = postgres.create(f"bare_{time.monotonic_ns()}")
    copy_database(filled.url, url, ignore)
    arrived = Store(url)
    assert contents(arrived) == contents(filled)
    work = Work(arrived, jobs=[], queues=[], clock=time.time)
    work.launch()
    assert (work.is_running, ordered(work)) == (True, [])
    work.stop()
    arrived.close()


@pytest.mark.postgresql
def test_the_target_may_wait_longer_than_servers_let_transactions_wait(filled: Store, target: str) -> None:
    def tell(line: str) -> None:
        if line == "Checking the audit chain":
            time.sleep(1.5)

    counts = copy_database(filled.url, f"{target}?options=-c%20idle_in_transaction_session_timeout%3D1000", tell)
    assert counts["audit_records"] == 2500


def test_to_a_file(filled: Store, tmp_path: Path) -> None:
    copy_database(filled.url, f"sqlite:///{tmp_path / 'copy.db'}", ignore)
    arrived = Store(f"sqlite:///{tmp_path / 'copy.db'}")
    assert contents(arrived) == contents(filled)
    arrived.close()


@pytest.mark.postgresql
def test_a_target_with_rows_is_refused(filled: Store, target: str) -> None:
    other = Store(target)
    fill(other)
    before = contents(other)
    with pytest.raises(ArmError, match=r"is not empty: the table '\w+' has rows") as caught:
        copy_database(filled.url, target, ignore)
    assert (caught.value.code, caught.value.status) == ("TargetNotEmpty", 409)
    assert ":***@" in caught.value.message
    assert contents(other) == before
    with pytest.raises(ArmError, match=r"TargetNotEmpty|DatabaseInUse"):
        copy_database(target, target, ignore)
    other.close()


def test_a_served_source_is_refused(filled: Store, tmp_path: Path) -> None:
    work = Work(filled, jobs=[], queues=[], clock=time.time, on_lost=lambda: None)
    work.launch()
    try:
        with pytest.raises(ArmError, match="DatabaseInUse"):
            copy_database(filled.url, f"sqlite:///{tmp_path / 'copy.db'}", ignore)
    finally:
        work.stop()


def test_unfinished_jobs_are_named(filled: Store, tmp_path: Path) -> None:
    queue = Queue(name="main", worker_concurrency=1)
    work = Work(filled, jobs=[Job(name="a.job", queue="main", run=lambda _: None)], queues=[queue], clock=time.time)
    for delay in (0, 3600):
        with filled.begin() as connection:
            work.enqueue(connection, "a.job", f"job-{delay}", {}, delay_seconds=delay)
    with pytest.raises(ArmError, match=r"job-\d+ \((ENQUEUED|DELAYED)\), job-") as caught:
        copy_database(filled.url, f"sqlite:///{tmp_path / 'copy.db'}", ignore)
    assert caught.value.code == "JobsUnfinished"


@pytest.mark.postgresql
@pytest.mark.parametrize("wrong", ["n" * 513, "nul\0nul"])
def test_what_postgresql_cannot_hold_is_named_and_nothing_is_kept(tmp_path: Path, databases: Databases, target: str, wrong: str) -> None:
    source = Store(databases.fresh_sqlite(tmp_path / "isthmus.db"))
    fill(source)
    with source.begin() as connection:
        connection.execute(update(resources).where(resources.c.key == "key-ü2").values(name=wrong))
    with pytest.raises(ArmError, match=r"'name' of 'key-ü2' in 'resources' (is longer than 512|holds a NUL)"):
        copy_database(source.url, target, ignore)
    arrived = Store(target)
    assert not any(contents(arrived).values())
    arrived.close()
    source.close()


def test_a_chain_that_is_broken_already_is_copied_as_it_is(filled: Store, tmp_path: Path) -> None:
    with filled.begin() as connection:
        connection.execute(update(audit_records).where(audit_records.c.seq == 7).values(actor="somebody else"))
    copy_database(filled.url, f"sqlite:///{tmp_path / 'copy.db'}", ignore)
    arrived = Store(f"sqlite:///{tmp_path / 'copy.db'}")
    with arrived.read() as connection:
        assert verify(connection) == 7
    arrived.close()


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [
        ("sqlite:///{folder}/none.db", "sqlite:///{folder}/copy.db", "NoDatabase"),
        ("sqlite:///{folder}/some.db", "mysql://u:secret@h/d", "InvalidDatabaseUrl"),
        ("sqlite:///{folder}/some.db", "::secret::", "InvalidDatabaseUrl"),
        ("sqlite:///{folder}/bare.db", "sqlite:///{folder}/copy.db", "SchemaDiffers"),
        ("sqlite:///{folder}/some.db", "postgresql://u:secret@127.0.0.1:9/d", "ServiceUnavailable"),
    ],
)
def test_what_cannot_be_copied(tmp_path: Path, databases: Databases, source: str, target: str, code: str) -> None:
    databases.fresh_sqlite(tmp_path / "some.db")
    (tmp_path / "bare.db").touch()
    with pytest.raises(ArmError) as caught:
        copy_database(source.format(folder=tmp_path), target.format(folder=tmp_path), ignore)
    assert caught.value.code == code
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "none.db").exists()
    assert not (tmp_path / "copy.db").exists()


def test_a_copy_knows_the_keys_of_its_source(filled: Store, tmp_path: Path) -> None:
    """So a server on the copy goes on with the same key folder, and with no other."""
    copy_database(filled.url, f"sqlite:///{tmp_path / 'copy.db'}", ignore)
    arrived = Store(f"sqlite:///{tmp_path / 'copy.db'}")
    with arrived.read() as ours, filled.read() as theirs:
        assert set(ours.execute(signing_keys.select())) == set(theirs.execute(signing_keys.select()))
    arrived.close()
