"""Resources as rows of the store, both ways."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Row

from isthmus.arm.envelope import Resource, SystemData
from isthmus.arm.ids import stored


def to_row(resource: Resource, etag: str) -> dict[str, Any]:
    """The row of `resources` for a resource whose `system` is set."""
    system = resource.system
    assert system is not None
    parent = resource.id.parent
    document = {
        "tags": dict(resource.tags),
        "extra": dict(resource.extra),
        "properties": resource.properties,
        "system": [system.created_by, system.created_by_kind, system.changed_by, system.changed_by_kind],
    }
    return {
        "key": resource.id.key,
        "id": str(resource.id),
        "type": resource.id.type.lower(),
        "name": resource.id.name,
        "subscription": resource.id.subscription.lower(),
        "resource_group": resource.id.group.lower(),
        "parent": "" if parent is None or parent.namespace == "Microsoft.Resources" else parent.key,
        "location": resource.location,
        "etag": etag,
        "unique_key": resource.unique,
        "source": resource.source,
        "digest": resource.digest,
        "created_at": system.created_at,
        "changed_at": system.changed_at,
        "document": orjson.dumps(document).decode(),
    }


def from_row(row: Row[Any]) -> Resource:
    """The resource that a row of `resources` holds."""
    document = orjson.loads(row.document)
    created_by, created_kind, changed_by, changed_kind = document["system"]
    return Resource(
        id=stored(row.id),
        location=row.location,
        tags=document["tags"],
        properties=document["properties"],
        extra=document["extra"],
        system=SystemData(
            created_by=created_by,
            created_by_kind=created_kind,
            created_at=row.created_at,
            changed_by=changed_by,
            changed_by_kind=changed_kind,
            changed_at=row.changed_at,
        ),
        etag=row.etag,
        unique=row.unique_key,
        source=row.source,
        digest=row.digest,
    )
