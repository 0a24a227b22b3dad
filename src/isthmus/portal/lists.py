"""Windows of long lists: one part read from the API, and the addresses of the parts before and behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.portal.page import Visit, local
from isthmus.portal.words import number

MAX_SKIP = 9_999_900


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Which part of a list is shown: rows before it, in it, and in all (None: not counted); addresses of its neighbours or nothing."""

    skip: int
    shown: int
    total: int | None
    newer: str
    older: str

    @property
    def text(self) -> str:
        """`1 to 50 of 1,204`; empty for an empty part."""
        if not self.shown:
            return ""
        of = "" if self.total is None else f" of {number(self.total)}"
        return f"{number(self.skip + 1)} to {number(self.skip + self.shown)}{of}"


def read_window(
    visit: Visit, list_path: str, query: Mapping[str, str], *, size: int, page_path: str, kept: Mapping[str, str] | None = None
) -> tuple[list[dict[str, Any]], Span]:
    """The part of a windowed list that the visit's `skip` names, counted; `kept` are the query parameters of the page's own address."""
    skip = visit.number("skip", 0, most=MAX_SKIP) // size * size
    asked = {name: value for name, value in query.items() if value}
    body = visit.client.get(list_path, query={**asked, "$top": str(size), "$skip": str(skip), "$count": "true"})
    found = list(body["value"])
    own = dict(kept or {})
    span = Span(
        skip=skip,
        shown=len(found),
        total=body.get("count"),
        newer=local(page_path, **own, skip=str(skip - size) if skip > size else "") if skip else "",
        older=local(page_path, **own, skip=str(skip + size)) if body.get("nextLink") else "",
    )
    return found, span
