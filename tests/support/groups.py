"""Groups that a directory has provisioned, written as its SCIM client would leave them."""

from __future__ import annotations

import json

from sqlalchemy import Connection

from isthmus.store.tables import directory_groups


def provision_group(connection: Connection, object_id: str, name: str) -> None:
    """A group of nobody with a name."""
    row = {"id": f"scim-{object_id}", "object_id": object_id, "display_name": name.lower(), "document": json.dumps({"displayName": name})}
    connection.execute(directory_groups.insert().values({**row, "version": 1, "created_at": 0, "changed_at": 0}))
