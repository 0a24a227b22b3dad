"""The one database: SQLite (WAL) by default, PostgreSQL by URL. Tables, migrations and dialect differences live here alone."""

from isthmus.store.database import Store, schemas, typed_outage

__all__ = ["Store", "schemas", "typed_outage"]
