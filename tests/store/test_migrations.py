"""Migrations and tables say the same."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from isthmus.store import Store
from isthmus.store.tables import metadata


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
        assert MigrationContext.configure(connection).get_current_revision() == "0004"
