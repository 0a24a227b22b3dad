"""Home: what is connected, how it stands, and what needs a person, each line leading to its remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import parse_resource
from isthmus.portal.menu import read_rights
from isthmus.portal.page import Page, Redirect, Visit, local
from isthmus.portal.pages.access.reading import MINE, REQUESTS
from isthmus.portal.words import connector_path

_MOST_CONCERNS = 50
_MOST_CONNECTORS = 8
_CONNECTORS = "microsoft.hybridconnectivity/publiccloudconnectors"
_TABS = {
    "gap": "scan",
    "frozenDeletions": "scan",
    "pendingAuthorization": "template",
    "failedSync": "permissions",
    "failedRemoval": "delete",
}
_STATUS_OF = {"disconnectedMachines": "disconnected", "expiredMachines": "disconnected", "expiringMachines": "connected"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One thing that needs a person: how grave, how many, what, why, what to do, and the page where to do it (empty: not a page)."""

    kind: str
    severity: str
    count: int
    title: str
    detail: str
    remedy: str
    to: str
    since: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A connector in one line: the words of its solutions' states, its figures and when it was last read."""

    name: str
    account: str
    to: str
    states: tuple[str, ...]
    resources: int
    machines: str
    gaps: int
    last_scan: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """The subscription in numbers. `machines` counts instances by state; their sum is `found`."""

    connectors: int
    accounts: int
    resources: int
    types: int
    gaps: int
    running: int
    found: int
    machines: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class HomePage:
    """Everything at a glance. Without a role `numbers` is None and `object_id` is what an owner needs to give one. `waiting` are requests
    for roles that the visitor could decide, also without any role here."""

    numbers: Numbers | None
    attention: tuple[Line, ...]
    more_attention: int
    accounts: tuple[Account, ...]
    object_id: str
    signed_in_name: str
    waiting: int


def view(visit: Visit) -> HomePage | Redirect:
    """Four reads: requests, numbers, concerns, connectors. People of a directory without a role here go on to what concerns them."""
    person = visit.person
    assert person is not None
    if not visit.subscriptions and read_rights(visit).is_of_directory:
        return Redirect(to=MINE)
    waiting = len(visit.client.get(REQUESTS, query={"whose": "others", "state": "Pending"})["value"])
    me = {"object_id": person.object_id, "signed_in_name": person.name}
    nothing = HomePage(numbers=None, attention=(), more_attention=0, accounts=(), waiting=waiting, **me)
    if not visit.subscriptions:
        return nothing
    insights = f"{visit.root}/providers/Isthmus.Insights"
    try:
        told = visit.client.get(f"{insights}/summaries/default")["properties"]
    except ArmError as error:
        if error.status == 403:
            return nothing
        raise
    concerns = visit.client.get(f"{insights}/attention", query={"$top": str(_MOST_CONCERNS), "$count": "true"})
    accounts = visit.client.get(f"{insights}/connectors", query={"$top": str(_MOST_CONNECTORS)})["value"]
    return HomePage(
        numbers=_numbers(told),
        attention=tuple(_line(one["properties"]) for one in concerns["value"]),
        more_attention=max(0, concerns["count"] - _MOST_CONCERNS),
        accounts=tuple(_account(one["properties"]) for one in accounts),
        waiting=waiting,
        **me,
    )


def _numbers(told: Mapping[str, Any]) -> Numbers:
    machines = dict(told["machines"])
    found = machines.pop("found")
    plain = {name: told[name] for name in ("connectors", "accounts", "resources", "types", "gaps", "running")}
    return Numbers(**plain, found=found, machines=machines)


def _line(told: Mapping[str, Any]) -> Line:
    return Line(
        kind=told["kind"],
        severity=told["severity"],
        count=told["count"],
        title=told["title"],
        detail=told["detail"],
        remedy=told["remedy"],
        to=remedy_path(told["kind"], told["targetId"], told["subject"]),
        since=told["since"] or "",
    )


def _account(told: Mapping[str, Any]) -> Account:
    return Account(
        name=told["displayName"],
        account=told["accountId"],
        to=connector_path(told["connectorId"]),
        states=tuple(one["status"] for one in told["solutions"]),
        resources=told["resources"],
        machines=f"{told['machinesConnected']} of {told['machinesFound']}",
        gaps=told["gaps"],
        last_scan=told["lastScan"] or "",
    )


def remedy_path(kind: str, target: str, subject: str) -> str:
    """The page on which a concern is dealt with; empty when that is no page of ours."""
    connector = connector_of(target)
    if kind in _TABS and connector:
        return local(connector_path(connector), tab=_TABS[kind])
    if kind == "blockedMachines":
        return local("/portal/machines", status="blocked", code=subject, connector=connector)
    if kind in _STATUS_OF:
        return local("/portal/machines", status=_STATUS_OF[kind], connector=connector)
    return {"failedJob": "/portal/jobs?state=failed", "expiringSecret": "/portal/roles"}.get(kind, "")


def connector_of(target: str) -> str:
    """The connector that an id is, lies in or extends; empty when there is none."""
    try:
        chain = parse_resource(target).chain
    except ArmError:
        return ""
    return next((str(id) for id in chain if id.type.lower() == _CONNECTORS), "")


PAGES = (Page(path="/portal/", template="home.html", view=view, nav="home"),)
