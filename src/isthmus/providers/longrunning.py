"""Isthmus.Operations/longRunningOperations: what was asked of a subscription and takes a while, for whoever may read all of it.

The URL that a client polls needs no such right (see `isthmus.api.operations`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select

from isthmus.arm import paging
from isthmus.arm.envelope import instant
from isthmus.arm.errors import invalid
from isthmus.arm.types import Ask, ResourceType, Scope, Window
from isthmus.engine import Engine
from isthmus.store.tables import operations

OPERATIONS = "Isthmus.Operations/longRunningOperations"
VERSIONS = ("2026-11-01",)
_STILL = 1 << 53
"""Stands for an end that has not come: later than all others, so that what runs comes first by `endTime desc`."""

STATUSES: Mapping[str, ColumnElement[bool]] = MappingProxyType(
    {
        "running": operations.c.ended_at.is_(None),
        "succeeded": operations.c.status == "Succeeded",
        "failed": operations.c.status == "Failed",
        "canceled": operations.c.status == "Canceled",
    }
)
"""What `status` may ask for."""
_ORDERS = MappingProxyType({"startTime": operations.c.started_at, "endTime": func.coalesce(operations.c.ended_at, _STILL)})


def row(engine: Engine) -> ResourceType:
    """The row: a window with the filters `status`, `kind` and `resource` (an id: what it is about) and the orders `startTime` (descending
    unless asked) and `endTime`."""

    def listed(ask: Ask) -> Window:
        wanted = (operations.c.subscription == ask.id.subscription.lower(), *_status(ask.query), *_about(ask.query))
        field, descends = paging.order_of(ask.query, tuple(_ORDERS), default="startTime desc")
        skip, top = paging.skip_of(ask.query), paging.page_size(ask.query)
        columns = (_ORDERS[field], operations.c.started_at, operations.c.id)
        order = [column.desc() if descends else column for column in columns]
        query = select(operations).where(*wanted).order_by(*order).offset(skip).limit(top + 1)
        with engine.store.read() as connection:
            found = connection.execute(query).all()
            counted = connection.execute(select(func.count()).where(*wanted)).scalar() if paging.wants_count(ask.query) else None
        return Window(items=[_body(one, ask.id.subscription) for one in found[:top]], count=counted, more=len(found) > top)

    def one(ask: Ask) -> Mapping[str, Any] | None:
        wanted = (operations.c.subscription == ask.id.subscription.lower(), operations.c.id == ask.id.name.lower())
        with engine.store.read() as connection:
            found = connection.execute(select(operations).where(*wanted)).first()
        return _body(found, ask.id.subscription) if found is not None else None

    here = frozenset({Scope.SUBSCRIPTION})
    return ResourceType(name=OPERATIONS, scopes=here, lists=here, versions=VERSIONS, window=listed, read=one)


def _status(query: Mapping[str, str]) -> tuple[ColumnElement[bool], ...]:
    given = query.get("status")
    if given is None:
        return ()
    found = STATUSES.get(given.lower())
    if found is None:
        raise invalid(f"status must be one of {', '.join(STATUSES)}, not '{given[:32]}'.", target="status", code="InvalidFilter")
    return (found,)


def _about(query: Mapping[str, str]) -> Iterator[ColumnElement[bool]]:
    if kind := query.get("kind"):
        yield operations.c.kind == kind.lower()
    if resource := query.get("resource"):
        yield func.lower(operations.c.resource) == resource.rstrip("/").lower()


def _body(found: Row[Any], subscription: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{subscription}/providers/{OPERATIONS}/{found.id}",
        "name": found.id,
        "type": OPERATIONS,
        "properties": {
            "kind": found.kind,
            "resourceId": found.resource,
            "status": found.status,
            "startTime": instant(found.started_at),
            "endTime": instant(found.ended_at) if found.ended_at is not None else None,
            "percentComplete": found.percent,
            "startedBy": found.caller,
            "result": json.loads(found.result) if found.result is not None else None,
            "error": json.loads(found.error) if found.error is not None else None,
        },
    }
