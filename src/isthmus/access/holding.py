"""A mapping that stays as it was decided upon: directories may take their time, and owners change mappings meanwhile."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from isthmus.access.federation import directory_at
from isthmus.access.mappings import BROKER, RoleMapping, mapping_of
from isthmus.arm.errors import ArmError, conflict
from isthmus.engine import lookup
from isthmus.store.tables import resources

# Written once: every session that is given asks it.
_HELD = select(resources.c.key).where(resources.c.key == bindparam("held_key")).with_for_update(read=True)


def hold_mapping(connection: Connection, mapping: RoleMapping) -> None:
    """Keep the mapping from changing until the transaction ends, and make sure that it is what was decided upon.

    ArmError: 404 `RoleNotFound`, 409 `RoleChanged`; also when the account has come to trust somebody else about people."""
    connection.execute(_HELD, {"held_key": mapping.key})
    found = lookup.find(connection, mapping.key)
    connector = lookup.find(connection, mapping.connector) if found else None
    if found is None or connector is None:
        raise ArmError("RoleNotFound", f"{mapping.label} was deleted in the meantime.", status=404, target=mapping.id)
    directory = directory_at(connection, mapping.connector)
    if mapping_of(found, connector, federation=directory.mode if directory else BROKER) != mapping:
        raise conflict(f"{mapping.label} was changed in the meantime. Try again.", code="RoleChanged", target=mapping.id)
