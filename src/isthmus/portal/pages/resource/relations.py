"""What a resource is joined to: what it uses and what uses it, what hosts it and what it hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from isthmus.portal.page import Visit, local
from isthmus.portal.words import resource_path

SIZE = 200
_MOST_SKIP = 1_000_000
_TITLES = {"hostedOn": "Hosted on", "hosts": "Hosts", "uses": "Uses", "usedBy": "Used by"}
_UNKNOWN = "Not in the inventory"


@dataclass(frozen=True, kw_only=True, slots=True)
class Other:
    """One resource at the other end. `to` is empty for an id that its properties name and that nobody has projected."""

    name: str
    aws_id: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """Others of one type."""

    type: str
    is_known: bool
    others: tuple[Other, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """Everything in one direction, by type."""

    title: str
    count: int
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Relations:
    """A window of the relations, and the addresses of its neighbours."""

    sides: tuple[Side, ...]
    newer: str
    older: str


def relations_of(visit: Visit, id: str) -> Relations:
    """One read."""
    skip = visit.number("skip", 0, most=_MOST_SKIP)
    answer = visit.client.get(f"{id}/providers/Isthmus.Inventory/relations", query={"$top": str(SIZE), "$skip": str(skip)})
    path = resource_path(id)
    return Relations(
        sides=sides_of([one["properties"] for one in answer["value"]]),
        newer=local(path, tab="relations", skip=str(skip - SIZE) if skip > SIZE else "") if skip else "",
        older=local(path, tab="relations", skip=str(skip + SIZE)) if "nextLink" in answer else "",
    )


def sides_of(told: list[Mapping[str, Any]]) -> tuple[Side, ...]:
    """Relations by direction, in each by type and name; what is not known comes last."""
    return tuple(_side(title, [one for one in told if one["direction"] == key]) for key, title in _TITLES.items() if _any(told, key))


def _any(told: list[Mapping[str, Any]], direction: str) -> bool:
    return any(one["direction"] == direction for one in told)


def _side(title: str, told: list[Mapping[str, Any]]) -> Side:
    def kind(one: Mapping[str, Any]) -> tuple[bool, str]:
        return (not one["known"], one["resourceType"] or "")

    ordered = sorted(told, key=lambda one: (*kind(one), one["displayName"], one["awsId"]))
    kinds = [
        Kind(type=type or _UNKNOWN, is_known=not unknown, others=tuple(map(_other, found)))
        for (unknown, type), found in groupby(ordered, key=kind)
    ]
    return Side(title=title, count=len(told), kinds=tuple(kinds))


def _other(told: Mapping[str, Any]) -> Other:
    to = resource_path(told["resourceId"]) if told["known"] else ""
    return Other(name=told["displayName"], aws_id=told["awsId"] if told["awsId"] != told["displayName"] else "", to=to)
