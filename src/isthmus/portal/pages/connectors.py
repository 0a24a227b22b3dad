"""Connectors: every AWS account that is joined, with its figures; and the drafts of those that are not yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from isthmus.portal.lists import Span, read_window
from isthmus.portal.page import Page, Visit, local
from isthmus.portal.pages.add import DraftLine, drafts_of
from isthmus.portal.pages.connector.subject import tab_path, title_of
from isthmus.portal.words import connector_path

PATH = "/portal/connectors"
_SIZE = 50
_DONE: Mapping[str, str] = MappingProxyType(
    {
        "created": "The connector was created.",
        "kept": "What you typed is kept as a draft.",
        "discarded": "The draft was discarded.",
    }
)
STATUSES = ("AuthorizationPending", "InProgress", "Completed", "CompletedWithGaps", "Failed")
_ORDERS = (("name", "Name", ""), ("account", "AWS account", ""), ("lastScan", "Last scan", "desc"), ("resources", "Resources", "desc"))
"""Columns that the API can order by: key, title, and the direction that people want first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SolutionLine:
    """A solution of a connector in the list: what it is, its status, and that in a sentence."""

    title: str
    status: str
    details: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectorLine:
    """A connector in the list. `last_scan` is an instant or empty; `state` its provisioning state; `…_to` are addresses."""

    name: str
    account: str
    kind: str
    group: str
    solutions: tuple[SolutionLine, ...]
    state: str
    last_scan: str
    resources: int
    machines_found: int
    machines_connected: int
    gaps: int
    to: str
    gaps_to: str
    machines_to: str
    resources_to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column that can be sorted by: `sorted` is ascending, descending or none, `to` the address that sorts by it (the other way)."""

    key: str
    title: str
    sorted: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectorsPage:
    """A part of the list with its filters, and drafts."""

    lines: tuple[ConnectorLine, ...]
    span: Span
    columns: tuple[Column, ...]
    drafts: tuple[DraftLine, ...]
    name: str
    status: str
    order: str
    statuses: tuple[str, ...]
    toast: str

    @property
    def is_filtered(self) -> bool:
        """Whether something was chosen."""
        return bool(self.name or self.status)


def view(visit: Visit) -> ConnectorsPage:
    """Read a part of the list, and the drafts: two calls."""
    name, status = visit.query.get("name", "").strip()[:128], visit.query.get("status", "")
    status = status if status in STATUSES else ""
    field, descends = _order(visit.query.get("order", ""))
    order = f"{field} desc" if descends else field
    kept = {"name": name, "status": status, "order": "" if order == "name" else order}
    path = f"{visit.root}/providers/Isthmus.Insights/connectors"
    asked = {"name": name if name.isprintable() else "", "status": status, "$orderby": order}
    found, span = read_window(visit, path, asked, size=_SIZE, page_path=PATH, kept=kept)
    return ConnectorsPage(
        lines=tuple(_line(one["properties"]) for one in found),
        span=span,
        columns=tuple(_column(key, title, first, field, kept, descends=descends) for key, title, first in _ORDERS),
        drafts=drafts_of(visit),
        name=name,
        status=status,
        order=kept["order"],
        statuses=STATUSES,
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def _order(given: str) -> tuple[str, bool]:
    field, _, direction = given.partition(" ")
    known = {key for key, _, _ in _ORDERS}
    return (field, direction == "desc") if field in known else ("name", False)


def _column(key: str, title: str, first: str, field: str, kept: Mapping[str, str], *, descends: bool) -> Column:
    is_this = key == field
    following = ("" if descends else "desc") if is_this else first
    order = f"{key} {following}".strip()
    return Column(
        key=key,
        title=title,
        sorted=("descending" if descends else "ascending") if is_this else "none",
        to=local(PATH, **{**kept, "order": "" if order == "name" else order}),
    )


def _line(told: Mapping[str, Any]) -> ConnectorLine:
    id = told["connectorId"]
    return ConnectorLine(
        name=told["displayName"],
        account=told["accountId"],
        kind="Organization" if told["isOrganization"] else "Single account",
        group=told["resourceGroup"],
        solutions=tuple(
            SolutionLine(title=title_of(one["type"]), status=one["status"] or "", details=one["statusDetails"] or "")
            for one in told["solutions"]
        ),
        state=told["provisioningState"],
        last_scan=told["lastScan"] or "",
        resources=told["resources"],
        machines_found=told["machinesFound"],
        machines_connected=told["machinesConnected"],
        gaps=told["gaps"],
        to=connector_path(id),
        gaps_to=f"{tab_path(id, 'scan')}#gaps-title",
        machines_to=local("/portal/machines", connector=id),
        resources_to=local("/portal/inventory", account=told["accountId"]),
    )


PAGES = (Page(path=PATH, template="connectors.html", view=view, nav="connectors"),)
