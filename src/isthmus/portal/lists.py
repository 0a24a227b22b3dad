"""Parts of long lists, read from the API: by number with both neighbours, or by key, from where one goes on or starts again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """A part of a list that goes on by key: how many there are in all (None: not counted), the addresses of its beginning, where this part
    is not that, and of what follows; or nothing."""

    total: int | None
    newest: str
    older: str


def read_leaf(
    visit: Visit, list_path: str, query: Mapping[str, str], *, size: int, page_path: str, kept: Mapping[str, str] | None = None
) -> tuple[list[dict[str, Any]], Leaf]:
    """The part of a list that the visit's `after` names; `kept` are the query parameters of the page's own address."""
    asked = {name: value for name, value in query.items() if value}
    after, own = visit.query.get("after", ""), dict(kept or {})
    body = visit.client.get(list_path, query={**asked, "$top": str(size), **({"$skiptoken": after} if after else {})})
    following = parse_qs(urlsplit(body.get("nextLink", "")).query).get("$skiptoken", [""])[0]
    leaf = Leaf(
        total=body.get("count"),
        newest=local(page_path, **own) if after else "",
        older=local(page_path, **own, after=following) if following else "",
    )
    return list(body["value"]), leaf
