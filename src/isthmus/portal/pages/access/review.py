"""The access review: who holds or held which role, why, and how much it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.portal.lists import Span, read_window
from isthmus.portal.page import Visit
from isthmus.portal.pages.access.mapped import Role
from isthmus.portal.pages.access.reading import PATH, Book, labelled, named, small_book
from isthmus.portal.principals import Principal

HERE = f"{PATH}/review"
_REVIEWS = "/providers/Isthmus.Access/reviews"
_SIZE = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Reviewed:
    """One person and one role. `living` are grants that can be used, `until` when the last of them ends; instants are ISO 8601 or empty.
    `unused` is since when nobody took it, empty where it was taken within 30 days."""

    who: Principal
    role: Role
    because: str
    first: str
    living: int
    until: str
    last: str
    month: int
    quarter: int
    unused: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewPage:
    """A part of the review, by name of the person."""

    rows: tuple[Reviewed, ...]
    span: Span


def view(visit: Visit) -> ReviewPage:
    """Read a part of it."""
    found, span = read_window(visit, _REVIEWS, {}, size=_SIZE, page_path=HERE)
    book = small_book(visit)
    return ReviewPage(rows=tuple(_reviewed(one["properties"], book) for one in found), span=span)


def _reviewed(told: Mapping[str, Any], book: Book) -> Reviewed:
    return Reviewed(
        who=named(book.principals.find(told["person"], "User"), told["personName"]),
        role=labelled(book.role(told["mapping"]), told["role"]),
        because=told["because"],
        first=told["firstGrant"],
        living=told["livingGrants"],
        until=told["livingUntil"] or "",
        last=told["lastSession"] or "",
        month=told["sessions30Days"],
        quarter=told["sessions90Days"],
        unused=told["unusedSince"] or "",
    )
