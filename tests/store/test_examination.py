"""Looking at a database without changing it, on both."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from isthmus.arm.errors import ArmError
from isthmus.store import Store, inspect


def test_a_migrated_database_is_well(database_url: str) -> None:
    found = inspect(database_url)
    assert found is not None
    assert (found.revision, found.is_older, found.obstacle, found.damage) == (found.expected, False, "", ())
    assert found.server.split()[0] in ("SQLite", "PostgreSQL")
    assert found.journal == ("wal" if found.server.startswith("SQLite") else "")


def test_older_and_unknown_revisions_are_told_apart(store: Store) -> None:
    for revision, is_older in (("0001", True), ("9999", False)):
        with store.begin() as connection:
            connection.execute(text("update alembic_version set version_num = :revision"), {"revision": revision})
        found = inspect(store.url)
        assert found is not None
        assert (found.revision, found.is_older) == (revision, is_older)
    with store.begin() as connection:
        connection.execute(text("drop table alembic_version"))
    found = inspect(store.url)
    assert found is not None
    assert (found.revision, found.is_older) == ("", False)


def test_a_check_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'large.db'}")
    with store.begin() as connection:
        connection.execute(text("create table t (x text)"))
        connection.execute(text("insert into t values (hex(randomblob(100)))"))
        for _ in range(14):
            connection.execute(text("insert into t select hex(randomblob(100)) from t"))
    store.close()
    now = iter(range(1_000_000))
    found = inspect(store.url, seconds=0, clock=lambda: next(now))
    assert found is not None
    assert found.damage is None


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert inspect(f"sqlite:///{tmp_path / 'folder' / 'isthmus.db'}") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ArmError, match="ISTHMUS_DATABASE_URL"):
        inspect(url)


@pytest.mark.postgresql
def test_a_standby_cannot_be_written_to(postgresql_url: str) -> None:
    found = inspect(f"{postgresql_url}?options=-c%20default_transaction_read_only%3Don")
    assert found is not None
    assert "read-only" in found.obstacle
    with pytest.raises(ArmError, match="password") as refused:
        inspect(postgresql_url.replace("@", "x@"))
    secret = postgresql_url.partition("@")[0].rpartition(":")[2]
    assert secret not in str(refused.value)
