"""The one database: SQLite (WAL) by default, PostgreSQL by URL. Tables, migrations and dialect differences live here alone."""

from isthmus.store.database import Store, schemas, typed_outage
from isthmus.store.examination import DatabaseState, documents, inspect

__all__ = ["DatabaseState", "Store", "documents", "inspect", "schemas", "typed_outage"]
