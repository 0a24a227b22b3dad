"""The list as a file: CSV for sheets, JSON for programs. It is read in pages and sent as it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Download, Page, Visit
from isthmus.portal.pages.inventory.filters import LIST, Looked, looked_at

MOST_ROWS = 100_000
"""Rows of one file; what lies beyond is left out, which the file says at its end."""
_PAGE = 1000
_FIELDS = ("resourceId", "displayName", "awsId", "arn", "resourceType", "service", "awsAccountId", "awsRegion", "changedAt")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CUT = f"Cut after {MOST_ROWS} rows: there are more. Narrow the list and save it again."

Told = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Rows that follow each other, and whether more rows follow that are not to be read."""

    rows: tuple[Told, ...]
    is_cut: bool = False


def view(visit: Visit) -> Download:
    """The first page is read at once, so that a refusal is told as a page; the rest while the file is sent."""
    looked = looked_at(visit)
    kind = visit.query.get("format", "csv")
    if kind not in _KINDS:
        raise ArmError("UnknownFormat", "The list is saved as csv or json.", status=400, target="format")
    media_type, write = _KINDS[kind]
    batches = _batches(visit, looked)
    first = next(batches)
    return Download(name=f"resources.{kind}", content=write(_chained(first, batches)), media_type=media_type)


def _batches(visit: Visit, looked: Looked) -> Iterator[Batch]:
    for skip in range(0, MOST_ROWS, _PAGE):
        query = {**looked.query(), "$top": str(_PAGE), "$skip": str(skip), "$orderby": looked.order}
        answer = visit.client.get(looked.collection(visit), query=query)
        goes_on = "nextLink" in answer
        yield Batch(rows=tuple(one["properties"] for one in answer["value"]), is_cut=goes_on and skip + _PAGE >= MOST_ROWS)
        if not goes_on:
            return


def _chained(first: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from rest


def as_csv(batches: Iterator[Batch]) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, with the mark that spreadsheets look for. What they would take for a formula gets an apostrophe before."""
    yield "\ufeff".encode() + _lines([_FIELDS])
    for batch in batches:
        yield _lines([[_plain(str(row.get(name) or "")) for name in _FIELDS] for row in batch.rows])
        if batch.is_cut:
            yield _lines([[_CUT]])


def as_json(batches: Iterator[Batch]) -> Iterator[bytes]:
    """`{"value": [...], "isComplete": true}` with the rows as the API tells them; `message` says why it is not complete."""
    yield b'{"value":['
    is_cut, divider = False, b""
    for batch in batches:
        text = orjson.dumps([dict(row) for row in batch.rows])[1:-1]
        yield divider + text
        divider = b"," if text else divider
        is_cut = batch.is_cut
    yield b'],"isComplete":false,"message":' + orjson.dumps(_CUT) + b"}" if is_cut else b'],"isComplete":true}'


def _lines(rows: Iterator[Any] | list[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(errors="replace")


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


_KINDS = {"csv": ("text/csv; charset=utf-8", as_csv), "json": ("application/json", as_json)}

PAGES = (Page(path=f"{LIST}/download", template="inventory.html", view=view),)
