"""What happened to a resource: who changed what and when, as the API keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Visit, local
from isthmus.portal.pages.resource.tree import LONG, short_text
from isthmus.portal.words import resource_path

SIZE = 30
_MOST_SKIP = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A value before or after a change; a long one is folded behind its beginning. `is_none`: there was or is none."""

    text: str
    is_none: bool
    is_long: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One path (a JSON pointer) and what it held before and after."""

    path: str
    before: Told
    after: Told


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """One change: Create, Update or Delete. `is_own`: it was the visitor's. `is_complete`: False when more changed than is kept."""

    at: str
    actor: str
    is_own: bool
    kind: str
    differences: tuple[Difference, ...]
    is_complete: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """A window of what happened, the newest first, and the addresses of its neighbours."""

    happenings: tuple[Happening, ...]
    newer: str
    older: str


def history_of(visit: Visit, id: str) -> History:
    """One read."""
    skip = visit.number("skip", 0, most=_MOST_SKIP)
    answer = visit.client.get(f"{id}/providers/Isthmus.Inventory/changes", query={"$top": str(SIZE), "$skip": str(skip)})
    path = resource_path(id)
    return History(
        happenings=tuple(_happening(one["properties"], visit) for one in answer["value"]),
        newer=local(path, tab="history", skip=str(skip - SIZE) if skip > SIZE else "") if skip else "",
        older=local(path, tab="history", skip=str(skip + SIZE)) if "nextLink" in answer else "",
    )


def history_of_gone(visit: Visit, id: str) -> History:
    """What is known of something that is not there any more; nothing when that may not be read."""
    try:
        return history_of(visit, id)
    except ArmError:
        return History(happenings=(), newer="", older="")


def _happening(told: Mapping[str, Any], visit: Visit) -> Happening:
    return Happening(
        at=told["at"],
        actor=told["actor"],
        is_own=visit.person is not None and told["actor"] == visit.person.object_id,
        kind=told["kind"],
        differences=tuple(Difference(path=one["path"], before=_told(one["before"]), after=_told(one["after"])) for one in told["changes"]),
        is_complete=told["isComplete"],
    )


def _told(value: Any) -> Told:
    text = short_text(value)
    return Told(text=text or "", is_none=text is None, is_long=len(text or "") > LONG)
