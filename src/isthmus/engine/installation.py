"""What an installation mints once: its tenant, its default subscription, its administrator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from isthmus.store import Store, dialect
from isthmus.store.tables import installation


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """Ids (GUIDs) that never change. `is_new` says that they were minted by this very start."""

    tenant: str
    subscription: str
    admin: str
    is_new: bool


def settle(store: Store, new_guid: Callable[[], str], *, tenant: str | None = None, subscription: str | None = None) -> Installation:
    """Read the installation, or mint it at first start from the given ids or fresh ones. Later starts ignore other given ids."""
    with store.begin() as connection:
        dialect.lock_name(connection, "installation")
        found = _read(connection)
        is_new = not found
        for name, given in (("tenant", tenant), ("subscription", subscription), ("admin", None)):
            if name not in found:
                dialect.insert_new(connection, installation, {"name": name, "value": (given or new_guid()).lower()})
        found = _read(connection)
    return Installation(tenant=found["tenant"], subscription=found["subscription"], admin=found["admin"], is_new=is_new)


def _read(connection: Connection) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(select(installation))}
