"""Long-running operations over HTTP: the URLs that clients poll and what they answer there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy import Row, select

from isthmus.api.wire import Incoming, Reply, link
from isthmus.arm.change import OperationOrder
from isthmus.arm.envelope import instant
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import ResourceId
from isthmus.store import Store
from isthmus.store.tables import operations

RETRY_AFTER = "1"
STATUSES = "operationstatuses"
RESULTS = "operationresults"


def is_operation(id: ResourceId) -> bool:
    """Whether an id names a poll URL of an operation."""
    return not id.is_collection and id.types[-1].lower() in (STATUSES, RESULTS)


def headers(incoming: Incoming, order: OperationOrder, namespace: str, version: str, *, both: bool) -> dict[str, str]:
    """`Location` (and, with `both`, `Azure-AsyncOperation`, the same URL) and `Retry-After` for a started operation.

    `both` polls a status document; `Location` alone polls for the final answer (ARM RPC, asynchronous operations).
    """
    subscription = f"/subscriptions/{order.resource.subscription}" if order.resource.subscription else ""
    if namespace == "Microsoft.Resources":
        path = f"{subscription}/operationresults/{order.id}"
    else:
        kind = "operationStatuses" if both else "operationResults"
        path = f"{subscription}/providers/{namespace}/locations/{order.location.upper()}/{kind}/{order.id}"
    url = link(incoming.base_url, path, {"api-version": version})
    return {"Location": url, "Retry-After": RETRY_AFTER} | ({"Azure-AsyncOperation": url} if both else {})


def poll(store: Store, id: ResourceId, incoming: Incoming, may_read: Callable[[str, str], None]) -> Reply:
    """Answer a poll. `may_read(resource id, caller)` raises when this client may not see the operation."""
    with store.read() as connection:
        row = connection.execute(select(operations).where(operations.c.id == id.name)).first()
    if row is None or row.subscription != id.subscription.lower():
        raise ArmError("OperationNotFound", f"The operation '{id.name[:80]}' was not found. It may have ended long ago.", status=404)
    may_read(row.resource, row.caller)
    running = row.ended_at is None
    again = link(incoming.base_url, incoming.path, dict(incoming.query))
    if id.types[-1].lower() == STATUSES:
        waiting = {"Location": again, "Azure-AsyncOperation": again, "Retry-After": RETRY_AFTER} if running else {}
        return Reply(status=202 if running else 200, body=status_of(row, str(id)), headers=waiting)
    if running:
        return Reply(status=202, headers={"Location": again, "Retry-After": RETRY_AFTER})
    if row.error is not None:
        found = orjson.loads(row.error)
        raise ArmError(found["code"], found["message"], status=409, target=found.get("target"))
    return Reply(status=200, body=orjson.loads(row.result)) if row.result else Reply(status=200 if row.kind == "delete-group" else 204)


def status_of(row: Row[Any], id: str) -> dict[str, Any]:
    """ARM's OperationStatusResult."""
    answer: dict[str, Any] = {
        "id": id,
        "name": row.id,
        "resourceId": row.resource,
        "status": row.status,
        "startTime": instant(row.started_at),
    }
    if row.percent is not None:
        answer["percentComplete"] = row.percent
    if row.ended_at is not None:
        answer["endTime"] = instant(row.ended_at)
    if row.result is not None:
        answer["properties"] = orjson.loads(row.result)
    if row.error is not None:
        answer["error"] = orjson.loads(row.error)
    return answer
