"""Mappings as they are stored: many by few queries, each with its connector and with what its account trusts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import Connection, select

from isthmus.access.federation import directories_at
from isthmus.access.mappings import BROKER, RoleMapping, mapping_of
from isthmus.arm.envelope import Resource
from isthmus.engine.rows import from_row
from isthmus.store.tables import resources

_CHUNK: Final = 400


def mappings_of_keys(connection: Connection, keys: Collection[str], *, is_shown: bool = False) -> dict[str, RoleMapping]:
    """Those of the mappings that are there, by key; where one only `is_shown`, without what its account trusts."""
    return mappings_of(connection, _resources(connection, keys), is_shown=is_shown)


def mappings_of(connection: Connection, stored: Iterable[Resource], *, is_shown: bool = False) -> dict[str, RoleMapping]:
    """Stored mappings by key, in their order; without those whose connector is gone. `is_shown` as in `mappings_of_keys`."""
    each = [(one, one.id.parent.key) for one in stored if one.id.parent is not None]
    connectors = {one.id.key: one for one in _resources(connection, {above for _, above in each})}
    trusted = {} if is_shown else directories_at(connection, connectors)
    found: dict[str, RoleMapping] = {}
    for one, above in each:
        if connector := connectors.get(above):
            directory = trusted.get(above)
            found[one.id.key] = mapping_of(one, connector, federation=directory.mode if directory else BROKER)
    return found


def _resources(connection: Connection, keys: Collection[str]) -> list[Resource]:
    wanted, found = sorted(keys), list[Resource]()
    for start in range(0, len(wanted), _CHUNK):
        part = select(resources).where(resources.c.key.in_(wanted[start : start + _CHUNK]))
        found += [from_row(row) for row in connection.execute(part)]
    return found
