"""Long-running operations of the subscription: what runs, what came of the rest, and another try for what failed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form
from isthmus.portal.lists import Span, read_window
from isthmus.portal.page import Live, Page, Piece, Redirect, Visit
from isthmus.portal.subjects import Subject, subject_of
from isthmus.portal.words import anchor, lasted

PATH = "/portal/operations"
_SIZE = 50
_WORDS = MappingProxyType(
    {
        "sync": "Sync",
        "detect": "Look for the stack",
        "remove": "Remove the connector",
        "delete-group": "Delete the resource group",
        "delete": "Delete",
        "test-permissions": "Test permissions",
        "compare-template": "Compare with the deployed template",
    }
)
_AGAIN = MappingProxyType({"sync": "syncNow", "test-permissions": "testPermissions", "compare-template": "compareTemplate"})
"""Kinds that can be asked for again as they were, and the action that does it."""
_DONE = MappingProxyType({"again": "It was started again. This is the new operation."})
FILTERS = ("", "running", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """Why something failed."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One operation. `status` is ARM's word, `anchor` the id of its element, `again` says that another try can be asked for."""

    id: str
    anchor: str
    to: str
    what: str
    about: Subject
    status: str
    percent: int | None
    started: str
    ended: str
    took: str
    started_by: str
    trouble: Trouble | None
    again: bool

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return not self.ended


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationsPage:
    """Operations of the subscription, what runs first, then the newest. `chosen` is the filter, `shape` changes when rows do."""

    chosen: str
    operations: tuple[Operation, ...]
    span: Span
    shape: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationPage:
    """One operation with what it answered (JSON text, empty when that is nothing) and further things that went wrong."""

    operation: Operation
    result: str
    details: tuple[Trouble, ...]
    toast: str


def list_view(visit: Visit) -> OperationsPage:
    """Read a part of the list."""
    chosen = visit.query.get("status", "")
    chosen = chosen if chosen in FILTERS else ""
    query = {"$orderby": "endTime desc", "status": chosen}
    found, span = read_window(visit, _list_path(visit), query, size=_SIZE, page_path=PATH, kept={"status": chosen})
    shown = tuple(map(_shown, found))
    shape = hashlib.blake2s("|".join(f"{one.id}:{one.status}" for one in shown).encode()).hexdigest()
    return OperationsPage(chosen=chosen, operations=shown, span=span, shape=shape)


def list_live(visit: Visit, piece: Piece) -> Live:
    """States of what runs; the list is fetched again when operations come, end or go."""
    page = list_view(visit)
    parts = {one.anchor: piece("state", operation=one) for one in page.operations if one.is_running}
    return Live(parts=parts, shape=page.shape)


def view(visit: Visit) -> OperationPage:
    """Read one operation."""
    properties = _read(visit)["properties"]
    result, error = properties["result"], properties["error"] or {}
    return OperationPage(
        operation=_shown(_read_body(visit.path["id"], properties)),
        result="" if result is None else json.dumps(result, indent=2, ensure_ascii=False),
        details=tuple(_trouble(one) for one in error.get("details", ())),
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def live(visit: Visit, piece: Piece) -> Live:
    """How it is going, until it has ended."""
    operation = _shown(_read(visit))
    parts = {operation.anchor: piece("state", operation=operation)}
    return Live(parts=parts, shape=operation.status, ended=not operation.is_running)


def act(visit: Visit, _form: Form) -> Redirect:
    """Ask for the same again, where that can be done; ArmError 409 where it cannot."""
    properties = _read(visit)["properties"]
    action = _AGAIN.get(properties["kind"])
    if action is None:
        raise ArmError("NotRepeatable", "This operation cannot be started again from here.", status=409)
    answer = visit.client.post(f"{properties['resourceId']}/{action}")
    started = answer.poll.partition("?")[0].rpartition("/")[2]
    return Redirect(to=f"{PATH}/{started}?done=again")


def _list_path(visit: Visit) -> str:
    return f"{visit.root}/providers/Isthmus.Operations/longRunningOperations"


def _read(visit: Visit) -> Mapping[str, Any]:
    found: Mapping[str, Any] = visit.client.get(f"{_list_path(visit)}/{visit.path['id']}")
    return found


def _read_body(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "properties": properties}


def _shown(body: Mapping[str, Any]) -> Operation:
    properties, name = body["properties"], str(body["name"])
    ended = properties["endTime"] or ""
    return Operation(
        id=name,
        anchor=anchor("op", name),
        to=f"{PATH}/{name}",
        what=_WORDS.get(properties["kind"], properties["kind"]),
        about=subject_of(properties["resourceId"]),
        status=properties["status"],
        percent=properties["percentComplete"] if not ended else None,
        started=properties["startTime"],
        ended=ended,
        took=lasted(properties["startTime"], ended),
        started_by=properties["startedBy"],
        trouble=_trouble(properties["error"]) if properties["error"] else None,
        again=properties["status"] in ("Failed", "Canceled") and properties["kind"] in _AGAIN,
    )


def _trouble(error: Mapping[str, Any]) -> Trouble:
    return Trouble(code=str(error.get("code", "")), message=str(error.get("message", "")))


PAGES = (
    Page(path=PATH, template="operations.html", view=list_view, nav="operations", live=list_live, live_key=("status", "skip")),
    Page(path=f"{PATH}/{{id}}", template="operation.html", view=view, act=act, nav="operations", live=live),
)
