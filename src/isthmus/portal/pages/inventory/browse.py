"""The list: a window of it with the page, further rows as they come into view, and how many there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Problems, problems_of
from isthmus.portal.page import Invalid, Page, Redirect, Rows, Visit, local
from isthmus.portal.pages.inventory.download import MOST_ROWS
from isthmus.portal.pages.inventory.facets import FacetsPart, read_facets
from isthmus.portal.pages.inventory.filters import LIST, Applied, Column, Filters, Looked, looked_at
from isthmus.portal.words import plural, resource_path

SIZE = 100
"""Rows of a page; the virtual table asks for as many at a time."""
MOST_SKIP = 10_000_000
_DONE = {
    "projection": "The projection was deleted. The next scan brings it back while the resource exists in AWS.",
    "machine": "The machine was deleted from Isthmus. The EC2 instance runs on.",
    "cluster": "The cluster was deleted from Isthmus. It runs on in AWS.",
}
_TARGETS = {name: name for name in ("account", "region", "type", "name", "tag")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One resource. `place` counts from 0 in the whole list; `service` is the AWS service's own word."""

    place: int
    id: str
    name: str
    type: str
    service: str
    account: str
    region: str
    changed: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RowsPart:
    """Rows that follow each other."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CountPart:
    """How many rows there are, in words; `total` is None when counting took too long."""

    text: str
    total: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """Addresses: of rows and figures that come later, of the pages before and behind, of the files to save."""

    rows: str
    count: str
    facets: str
    before: str
    behind: str
    counted: str
    csv: str
    json: str


@dataclass(frozen=True, kw_only=True, slots=True)
class InventoryPage:
    """A window of the list. `start` is the place of its first row, `at` the one to stand at; `narrowing` only where they were asked for."""

    filters: Filters
    order: str
    applied: tuple[Applied, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    start: int
    at: int
    more: bool
    count: CountPart
    ways: Ways
    most_rows: int = MOST_ROWS
    narrowing: FacetsPart | None = None
    problems: Problems = field(default_factory=Problems)
    done: str = ""


def view(visit: Visit) -> InventoryPage | Invalid | Redirect:
    """One read; with `count` in the query, for browsers without scripts, two more."""
    looked, at = looked_at(visit), _place(visit)
    start = at // SIZE * SIZE
    try:
        rows, more = _read(visit, looked, start)
        counted = _count(visit, looked) if visit.query.get("count") or (start and not rows) else None
    except ArmError as error:
        if error.status != 400:
            raise
        return Invalid(context=_page(visit, looked, (), 0, False, None, problems_of(error, _TARGETS)))
    if start and not rows:
        last = ((counted or 0) - 1) // SIZE * SIZE
        return Redirect(to=looked.address(skip=str(last) if last > 0 else ""))
    return _page(visit, looked, rows, at, more, counted)


def view_rows(visit: Visit) -> Rows:
    """Rows for the virtual table."""
    start = visit.number("skip", 0, most=MOST_SKIP)
    rows, more = _read(visit, looked_at(visit), start)
    return Rows(context=RowsPart(rows=rows), total=None if more or not rows else start + len(rows))


def view_count(visit: Visit) -> Rows:
    """How many there are, for the virtual table."""
    total = _count(visit, looked_at(visit))
    return Rows(context=CountPart(text=_counted(total), total=total), total=total)


def _place(visit: Visit) -> int:
    """Where to stand: `row` counts from 1 and is what people type, `skip` counts from 0."""
    row = visit.number("row", 0, most=MOST_SKIP)
    return row - 1 if row else visit.number("skip", 0, most=MOST_SKIP)


def _read(visit: Visit, looked: Looked, start: int) -> tuple[tuple[Row, ...], bool]:
    query = {**looked.query(), "$top": str(SIZE), "$skip": str(start), "$orderby": looked.order}
    answer = visit.client.get(looked.collection(visit), query=query)
    rows = tuple(row_of(one["properties"], start + place) for place, one in enumerate(answer["value"]))
    return rows, "nextLink" in answer


def _count(visit: Visit, looked: Looked) -> int | None:
    answer = visit.client.get(looked.collection(visit), query={**looked.query(), "$top": "1", "$count": "true"})
    count = answer.get("count")
    return int(count) if count is not None else None


def row_of(told: Mapping[str, Any], place: int) -> Row:
    """A row as the API tells it."""
    return Row(
        place=place,
        id=told["resourceId"],
        name=told["displayName"],
        type=told["resourceType"],
        service=told["service"],
        account=told["awsAccountId"],
        region=told["awsRegion"] or "global",
        changed=told["changedAt"],
        to=resource_path(told["resourceId"]),
    )


def _page(
    visit: Visit, looked: Looked, rows: tuple[Row, ...], at: int, more: bool, counted: int | None, problems: Problems | None = None
) -> InventoryPage:
    start = at // SIZE * SIZE
    total = counted if counted is not None or more else start + len(rows)
    asked = "1" if visit.query.get("count") else ""
    return InventoryPage(
        filters=looked.filters,
        order=looked.order,
        applied=looked.applied(),
        columns=looked.columns(),
        rows=rows,
        start=start,
        at=at,
        more=more,
        count=CountPart(text=_counted(total) if total is not None else f"More than {plural(start + len(rows), 'resource')}", total=total),
        ways=Ways(
            rows=looked.address(f"{LIST}/rows"),
            count=looked.address(f"{LIST}/count"),
            facets=looked.address(f"{LIST}/facets"),
            before=looked.address(skip=str(start - SIZE) if start > SIZE else "", count=asked) if start else "",
            behind=looked.address(skip=str(start + SIZE), count=asked) if more else "",
            counted=looked.address(skip=str(at) if at else "", count="1"),
            csv=looked.address(f"{LIST}/download", format="csv"),
            json=looked.address(f"{LIST}/download", format="json"),
        ),
        narrowing=read_facets(visit, looked) if asked and not problems else None,
        problems=problems or Problems(),
        done=_DONE.get(visit.query.get("done", ""), ""),
    )


def _counted(total: int | None) -> str:
    return plural(total, "resource") if total is not None else "Many resources: counting them takes too long. Narrow the list."


def list_path(**filters: str) -> str:
    """The address of the list, narrowed: for pages that lead to it."""
    return local(LIST, **filters)


PAGES = (
    Page(path=LIST, template="inventory.html", view=view, nav="inventory"),
    Page(path=f"{LIST}/rows", template="inventory.html", block="rows", view=view_rows),
    Page(path=f"{LIST}/count", template="inventory.html", block="count", view=view_count),
)
