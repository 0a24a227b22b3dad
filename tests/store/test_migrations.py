"""Migrations and tables say the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table, insert, select
from sqlalchemy.exc import IntegrityError

from isthmus.store import Store
from isthmus.store.database import MIGRATIONS, schemas
from isthmus.store.tables import metadata, trail_events, trail_sessions, trail_use
from tests.support.postgres import Postgres

_numbers = itertools.count()


def test_a_migrated_database_has_exactly_the_tables(store: Store) -> None:
    own = set(metadata.tables)

    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return kind != "table" or name in own

    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        found = compare_metadata(context, metadata)
    assert found == [], "write a migration for what changed in the tables"


def test_migrating_twice_changes_nothing(store: Store) -> None:
    store.migrate()
    store.migrate()
    with store.read() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == schemas()[0]


@pytest.fixture(params=["sqlite", "postgresql"])
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database as version 0006 of the schema left it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'earlier.db'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.create(f"earlier_{next(_numbers)}")
    store = Store(url)
    with store.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
    yield store
    store.close()


def event(seq: int, name: str, grant: str | None, at: int, outcome: str = "") -> dict[str, object]:
    return {
        "seq": seq,
        "id": f"e{seq}",
        "account": "1",
        "region": "r",
        "at": at,
        "source": "ec2.amazonaws.com",
        "name": name,
        "kind": "AssumedRole",
        "principal": "p",
        "source_identity": "i",
        "began_at": 0,
        "outcome": outcome,
        "read_only": True,
        "resources": "[]",
        "grant": grant,
        "foreign": "",
        "digest": "d",
        "document": b"",
    }


def test_what_the_timeline_held_is_kept_and_counted_as_used(earlier: Store) -> None:
    events = Table("trail_events", MetaData(), autoload_with=earlier.engine)
    given = [
        event(1, "DescribeRegions", "G-1", 10),
        event(2, "DescribeRegions", "G-1", 30),
        event(3, "DescribeInstances", "G-1", 20, "Client.UnauthorizedOperation"),
        event(4, "DescribeInstances", "G-2", 20),
        event(5, "DescribeVpcs", None, 20),
    ]
    with earlier.begin() as connection:
        connection.execute(insert(events), given)
    earlier.migrate()
    with earlier.read() as connection:
        kept = connection.execute(select(trail_events.c.seq, trail_events.c.id, trail_events.c.at).order_by(trail_events.c.seq)).all()
        used = connection.execute(select(trail_use).order_by(trail_use.c.grant)).all()
    assert [tuple(row) for row in kept] == [(one["seq"], one["id"], one["at"]) for one in given]
    assert [tuple(row) for row in used] == [
        ("G-1", "ec2.amazonaws.com", "DescribeRegions", 30),
        ("G-2", "ec2.amazonaws.com", "DescribeInstances", 20),
    ]
    with earlier.begin() as connection, pytest.raises(IntegrityError):
        connection.execute(insert(trail_events), [event(6, "DescribeVpcs", None, 20) | {"id": "e5"}])
    with earlier.begin() as connection:
        connection.execute(insert(trail_events), [event(6, "DescribeVpcs", None, 20) | {"id": "e5", "account": "2"}])


def test_sessions_that_trails_told_of_keep_their_account(earlier: Store) -> None:
    """One of a token, one made with it in the same account, one in another account whose trail tells of it, one that nobody made."""
    events, sessions = (Table(name, MetaData(), autoload_with=earlier.engine) for name in ("trail_events", "trail_sessions"))
    made = {"made": "ASIAABROAD", "principal": "AROA:a"}
    told = [
        event(1, "AssumeRoleWithWebIdentity", "G-1", 10) | {"made": "ASIAROOT"},
        event(2, "AssumeRole", "G-1", 20) | {"made": "ASIAINNER"},
        event(3, "AssumeRole", "G-1", 30) | made,
        event(4, "AssumeRole", "G-1", 30) | made | {"account": "2", "kind": "AWSAccount"},
    ]
    row = {"principal": "p", "began_at": 10, "source_identity": "i", "is_root": False, "grant": "G-1", "foreign": ""}
    with earlier.begin() as connection:
        connection.execute(insert(events), [{"made": None, **one} for one in told])
        rows = [
            row | {"id": id, "event": name}
            for id, name in (("ASIAROOT", "e1"), ("ASIAINNER", "e2"), ("ASIAABROAD", "e3"), ("ASIALOST", "e0"))
        ]
        connection.execute(insert(sessions), rows)
    earlier.migrate()
    table = trail_sessions.c
    with earlier.read() as connection:
        kept = connection.execute(select(table.id, table.account, table.event, table.home, table.grant).order_by(table.id, table.account))
        found = [tuple(one) for one in kept]
    assert found == [
        ("ASIAABROAD", "1", "e3", "2", "G-1"),
        ("ASIAABROAD", "2", "e4", None, "G-1"),
        ("ASIAINNER", "1", "e2", None, "G-1"),
        ("ASIALOST", "", "e0", None, "G-1"),
        ("ASIAROOT", "1", "e1", None, "G-1"),
    ]
