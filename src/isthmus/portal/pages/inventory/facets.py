"""Facets: how the list divides by account, region and type, each value a link that narrows it. They come after the list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Page, Visit
from isthmus.portal.pages.inventory.filters import GLOBAL, LABELS, LIST, Looked, looked_at

_MOST_SHOWN = 100
_FACETS = (("account", "accounts"), ("region", "regions"), ("type", "types"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One value: how many rows have it, whether the list is narrowed to it, and the address that narrows or widens."""

    text: str
    count: int
    is_current: bool
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Facet:
    """The values of one filter, the most frequent first; `hidden` is how many more there are."""

    label: str
    values: tuple[Value, ...]
    hidden: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FacetsPart:
    """All facets of `total` rows. `is_complete` is False when there was no time to count all; `problem` says why there are none."""

    facets: tuple[Facet, ...]
    total: int
    is_complete: bool
    problem: str = ""


def view(visit: Visit) -> FacetsPart:
    """One read."""
    return read_facets(visit, looked_at(visit))


def read_facets(visit: Visit, looked: Looked) -> FacetsPart:
    """The facets of what is looked at; a refusal is told in their place, since the list stands without them."""
    try:
        told = visit.client.get(f"{looked.collection(visit, 'facets')}/default", query=looked.query())["properties"]
    except ArmError as error:
        return FacetsPart(facets=(), total=0, is_complete=False, problem=error.message)
    return FacetsPart(
        facets=tuple(_facet(looked, name, told[plural]) for name, plural in _FACETS),
        total=told["total"],
        is_complete=told["isComplete"],
    )


def _facet(looked: Looked, name: str, told: Iterable[Mapping[str, Any]]) -> Facet:
    values = [_value(looked, name, one["value"] or GLOBAL, one["count"]) for one in told]
    return Facet(label=LABELS[name], values=tuple(values[:_MOST_SHOWN]), hidden=max(0, len(values) - _MOST_SHOWN))


def _value(looked: Looked, name: str, value: str, count: int) -> Value:
    is_current = getattr(looked.filters, name) == value
    return Value(text=value, count=count, is_current=is_current, to=looked.narrowed(name, "" if is_current else value).address())


PAGES = (Page(path=f"{LIST}/facets", template="inventory.html", block="facets", view=view),)
