"""What principals are called, for lists that are read by people."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from isthmus.store.tables import clients, people


def names_of(connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
    """Names of people and applications by object id, as far as they are known; two queries whatever the number."""
    found: dict[str, str] = {}
    for table in (clients, people):
        rows = connection.execute(select(table.c.object_id, table.c.name).where(table.c.object_id.in_(ids)))
        found |= {str(row.object_id): str(row.name) for row in rows}
    return found
