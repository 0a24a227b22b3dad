"""Operations that a tab started: how they stand, and what the last one of a kind has told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import parse_resource
from isthmus.client import Answer
from isthmus.portal.page import Visit
from isthmus.portal.pages.connector.subject import unless_forbidden

_ID = re.compile(r"[0-9a-f-]{36}")
_ENDS = {"succeeded": "succeeded", "failed": "failed", "canceled": "failed"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """An operation. `state` is running, succeeded or failed; `told` is what it has answered, so far or in the end."""

    id: str
    state: str
    started: str
    ended: str
    problem: str
    code: str
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.state == "running"


def started_by(answer: Answer) -> str:
    """The id of the operation that a call started."""
    return answer.poll.partition("?")[0].rpartition("/")[2]


def follow(visit: Visit) -> Followed | None:
    """The operation that the address names, if it is about the connector of the address; one call, none where none is named."""
    name, connector = visit.query.get("operation", ""), visit.id()
    if not _ID.fullmatch(name):
        return None
    root = f"/subscriptions/{connector.subscription}"
    try:
        body = visit.client.get(f"{root}/providers/Microsoft.HybridConnectivity/locations/GLOBAL/operationStatuses/{name}")
    except ArmError as error:
        if error.status not in (403, 404):
            raise
        return None
    if connector.key not in {one.key for one in parse_resource(body["resourceId"]).chain}:
        return None
    return _followed(name, body, body.get("properties"))


def latest(visit: Visit, kind: str) -> Followed | None:
    """The last operation of a kind about the connector; one call. None where there is none, or the visitor may not list operations."""
    connector = visit.id()
    path = f"/subscriptions/{connector.subscription}/providers/Isthmus.Operations/longRunningOperations"
    query = {"kind": kind, "resource": str(connector), "$top": "1"}
    try:
        found = visit.client.get(path, query=query)["value"]
    except ArmError as error:
        unless_forbidden(error)
        return None
    if not found:
        return None
    properties = found[0]["properties"]
    return _followed(found[0]["name"], properties, properties["result"])


def _followed(name: str, body: Mapping[str, Any], told: object) -> Followed:
    error = body.get("error") or {}
    return Followed(
        id=name,
        state=_ENDS.get(str(body["status"]).lower(), "running"),
        started=body["startTime"],
        ended=body.get("endTime") or "",
        problem=error.get("message", ""),
        code=error.get("code", ""),
        told=told if isinstance(told, Mapping) else {},
    )
