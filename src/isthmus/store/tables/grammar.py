"""What every table is made with."""

from __future__ import annotations

from sqlalchemy import MetaData, String

metadata = MetaData()


def exact(length: int) -> String:
    """Text that is compared by code points, as Python and SQLite do: whatever the database's own collation makes of case and signs."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
