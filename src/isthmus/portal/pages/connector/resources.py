"""The resources of the connector's account in numbers; the list of them is the inventory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Visit, local
from isthmus.portal.pages.connector.subject import INVENTORY, Connector, Head, head_of, read_connector, tab_path, unless_forbidden


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """How many resources have a value, and where they are listed."""

    value: str
    count: int
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourcesPage:
    """The tab. `total` is None where the visitor may not see the subscription; `is_complete` is false when counting took too long."""

    head: Head
    total: int | None
    is_complete: bool
    types: tuple[Count, ...]
    regions: tuple[Count, ...]
    all_to: str
    has_inventory: bool
    scan_to: str
    solutions_to: str


def view(visit: Visit) -> ResourcesPage:
    """Read it: connector, solutions, counts, rights."""
    connector = read_connector(visit)
    told: Mapping[str, Any] | None = None
    path = f"{connector.root}/providers/Isthmus.Inventory/facets/default"
    try:
        told = visit.client.get(path, query={"account": connector.account})["properties"]
    except ArmError as error:
        unless_forbidden(error)
    return ResourcesPage(
        head=head_of(visit, connector, "resources"),
        total=told["total"] if told else None,
        is_complete=told["isComplete"] if told else True,
        types=_counts(connector, told["types"], "type") if told else (),
        regions=_counts(connector, told["regions"], "region") if told else (),
        all_to=_inventory(connector),
        has_inventory=connector.solution(INVENTORY) is not None,
        scan_to=tab_path(connector.id, "scan"),
        solutions_to=tab_path(connector.id, "solutions"),
    )


def _counts(connector: Connector, found: list[dict[str, Any]], name: str) -> tuple[Count, ...]:
    return tuple(Count(value=one["value"], count=one["count"], to=_inventory(connector, **{name: one["value"]})) for one in found)


def _inventory(connector: Connector, **query: str) -> str:
    return local("/portal/inventory", account=connector.account, **query)
