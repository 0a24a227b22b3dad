"""What the connector is, how it is doing, and what needs a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Visit, local
from isthmus.portal.pages.connector.subject import Connector, Head, Solution, head_of, read_connector, tab_path, unless_forbidden

_SEVERITIES = {"error": "error", "warning": "warning", "information": "note"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Something that needs a person: how grave (error, warning, information), what, why, what to do and where, since when."""

    severity: str
    word: str
    title: str
    detail: str
    remedy: str
    to: str
    where: str
    since: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Numbers of a connector."""

    resources: int
    gaps: int
    machines_found: int
    machines_connected: int


@dataclass(frozen=True, kw_only=True, slots=True)
class OverviewPage:
    """The tab. `needs` and `figures` are None where the visitor may not see the subscription."""

    head: Head
    facts: tuple[tuple[str, str], ...]
    created_at: str
    tags: tuple[tuple[str, str], ...]
    solutions: tuple[Solution, ...]
    needs: tuple[Need, ...] | None
    figures: Figures | None
    last_scan: str
    can_scan: bool
    scan_to: str
    solutions_to: str
    machines_to: str
    resources_to: str


def view(visit: Visit) -> OverviewPage:
    """Read it: connector, solutions, needs, figures, rights."""
    connector = read_connector(visit)
    inventory = next((one for one in connector.solutions if one.title == "Inventory"), None)
    return OverviewPage(
        head=head_of(visit, connector, "overview"),
        facts=(
            ("AWS account", connector.account),
            ("Account type", "Organization" if connector.is_organization else "Single account"),
            ("Region", connector.location),
            ("Resource group", connector.group),
            ("Subscription", next((name for id, name in visit.subscriptions if id == connector.subscription), connector.subscription)),
            ("Identifier", connector.guid),
            ("Resource id", connector.id),
        ),
        created_at=connector.created_at,
        tags=tuple(connector.tags.items()),
        solutions=connector.solutions,
        needs=_needs(visit, connector),
        figures=figures_of(visit, connector),
        last_scan=inventory.last_sync if inventory else "",
        can_scan=inventory is not None,
        scan_to=tab_path(connector.id, "scan"),
        solutions_to=tab_path(connector.id, "solutions"),
        machines_to=tab_path(connector.id, "machines"),
        resources_to=tab_path(connector.id, "resources"),
    )


def figures_of(visit: Visit, connector: Connector) -> Figures | None:
    """The numbers of the connector; None where the visitor may not see the subscription."""
    path = f"{connector.root}/providers/Isthmus.Insights/connectors"
    try:
        found = visit.client.get(path, query={"connector": connector.id, "$top": "1"})["value"]
    except ArmError as error:
        unless_forbidden(error)
        return None
    if not found:
        return None
    told = found[0]["properties"]
    return Figures(
        resources=told["resources"],
        gaps=told["gaps"],
        machines_found=told["machinesFound"],
        machines_connected=told["machinesConnected"],
    )


def _needs(visit: Visit, connector: Connector) -> tuple[Need, ...] | None:
    path = f"{connector.root}/providers/Isthmus.Insights/attention"
    try:
        found = visit.client.get(path, query={"target": connector.id, "$top": "100"})["value"]
    except ArmError as error:
        unless_forbidden(error)
        return None
    return tuple(_need(connector, one["properties"]) for one in found)


def _need(connector: Connector, told: Mapping[str, Any]) -> Need:
    to, where = place_of(connector, told["kind"], told["subject"])
    return Need(
        severity=told["severity"],
        word=_SEVERITIES.get(told["severity"], told["severity"]),
        title=told["title"],
        detail=told["detail"],
        remedy=told["remedy"],
        to=to,
        where=where,
        since=told["since"] or "",
    )


def place_of(connector: Connector, kind: str, subject: str) -> tuple[str, str]:
    """Where something that needs a person is mended, and what that place is called."""
    match kind:
        case "gap":
            return f"{tab_path(connector.id, 'scan')}#gaps-title", "See the gaps"
        case "frozenDeletions":
            return tab_path(connector.id, "scan"), "Scan and decide"
        case "pendingAuthorization":
            return tab_path(connector.id, "template"), "Get the template"
        case "failedSync":
            return tab_path(connector.id, "permissions"), "Test permissions"
        case "failedRemoval":
            return tab_path(connector.id, "delete"), "Remove it again"
        case "blockedMachines":
            return local("/portal/machines", connector=connector.id, status="blocked", code=subject), "See these machines"
        case _:
            return local("/portal/machines", connector=connector.id), "See the machines"
