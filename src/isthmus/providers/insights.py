"""Isthmus.Insights: a subscription at a glance. Numbers, connectors with their figures, and what needs a person with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.arm import paging
from isthmus.arm.envelope import instant
from isthmus.arm.errors import invalid
from isthmus.arm.types import Ask, ResourceType, Scope, Window
from isthmus.engine import Engine
from isthmus.keys import Expiry
from isthmus.providers.history import VERSIONS
from isthmus.solutions.insights import accounts, fleet, glass, upkeep
from isthmus.solutions.insights.concern import KINDS, SEVERITIES, Concern, ordered
from isthmus.solutions.insights.estate import Connected, Figures, connected, figures, summary
from isthmus.work import FAILED, JobBook

ATTENTION = "Isthmus.Insights/attention"
SUMMARIES = "Isthmus.Insights/summaries"
CONNECTORS = "Isthmus.Insights/connectors"
_HERE = frozenset({Scope.SUBSCRIPTION})
_ORDERS = ("name", "account", "resources", "lastScan")
_LONGEST, _LONGEST_ID = 256, 2048


@dataclass(frozen=True, kw_only=True)
class Insights:
    """The rows of this namespace. `certificates` tells when those of this installation end."""

    engine: Engine
    work: JobBook
    certificates: Callable[[], Sequence[Expiry]]

    def rows(self) -> tuple[ResourceType, ...]:
        """Every type."""
        return (
            ResourceType(name=ATTENTION, scopes=_HERE, lists=_HERE, versions=VERSIONS, window=self._attention),
            ResourceType(
                name=SUMMARIES,
                scopes=_HERE,
                lists=_HERE,
                versions=VERSIONS,
                read=self._summary,
                enumerate=lambda ask: (self._numbers(ask),),
            ),
            ResourceType(name=CONNECTORS, scopes=_HERE, lists=_HERE, versions=VERSIONS, window=self._connectors),
        )

    def _attention(self, ask: Ask) -> Window:
        """The gravest first; the tenant's only for those who may read all of it. `target` chooses a resource and what is in it."""
        kind, severity = _word(ask.query, "kind", KINDS), _word(ask.query, "severity", SEVERITIES)
        _, reversed_ = paging.order_of(ask.query, ("severity",), default="severity")
        found = ordered(self._concerns(ask))
        target = _text(ask.query, "target", _LONGEST_ID).lower().rstrip("/")
        chosen = [
            one
            for one in found
            if kind in ("", one.kind) and severity in ("", one.severity) and f"{one.target}/".lower().startswith(f"{target}/")
        ]
        return _window(ask, [_concern(one, ask.id.subscription) for one in (reversed(chosen) if reversed_ else chosen)])

    def _concerns(self, ask: Ask) -> Iterable[Concern]:
        now, subscription = self.engine.now(), ask.id.subscription
        is_tenants = ask.permits(f"{ATTENTION}/read", "/")
        with self.engine.store.read() as connection:
            estate = connected(connection, subscription)
            found = [*accounts.standing(estate), *accounts.gaps(connection, subscription, estate)]
            found += glass.broken(connection, subscription, estate)
            found += accounts.frozen(connection, subscription, estate)
            found += fleet.blocked(connection, subscription)
            found += fleet.silent(connection, subscription, now)
            if is_tenants:
                found += upkeep.secrets(connection, now)
        if is_tenants:
            found += upkeep.certificates(self.certificates(), now)
            found += upkeep.jobs(self.work.counts(FAILED))
        return found

    def _summary(self, ask: Ask) -> Mapping[str, Any] | None:
        return self._numbers(ask) if ask.id.name.lower() == "default" else None

    def _numbers(self, ask: Ask) -> Mapping[str, Any]:
        now, subscription = self.engine.now(), ask.id.subscription
        with self.engine.store.read() as connection:
            told = summary(connection, subscription)
        shown = {word: told.machines.get(word, 0) for word in ("connected", "disconnected", "inProgress", "blocked", "excluded")}
        found = sum(told.machines.values())
        properties = {
            "connectors": told.connectors,
            "accounts": told.accounts,
            "resources": told.resources,
            "types": told.types,
            "gaps": told.gaps,
            "machines": {"found": found, **shown, "other": found - sum(shown.values())},
            "running": told.running,
            "generatedAt": instant(now),
        }
        return _body(SUMMARIES, "default", subscription, properties)

    def _connectors(self, ask: Ask) -> Window:
        name, status = _text(ask.query, "name").lower(), _text(ask.query, "status").lower()
        only = _text(ask.query, "connector", _LONGEST_ID).lower().rstrip("/")
        order, descends = paging.order_of(ask.query, _ORDERS, default="name")
        with self.engine.store.read() as connection:
            numbers = figures(connection, ask.id.subscription)
            found = connected(connection, ask.id.subscription)
        chosen = [
            one for one in found if (name in one.name.lower() or name in one.account) and _has_status(one, status) and only in ("", one.key)
        ]
        rank = _ranks(order, numbers)
        chosen.sort(key=lambda one: (rank(one), one.key), reverse=descends)
        return _window(ask, chosen, lambda one: _connector(one, numbers, ask.id.subscription))


def _window(ask: Ask, items: Sequence[Any], show: Callable[[Any], Mapping[str, Any]] = lambda item: item) -> Window:
    skip, top = paging.skip_of(ask.query), paging.page_size(ask.query)
    count = len(items) if paging.wants_count(ask.query) else None
    return Window(items=[show(item) for item in items[skip : skip + top]], count=count, more=len(items) > skip + top)


def _concern(one: Concern, subscription: str) -> Mapping[str, Any]:
    properties = {
        "kind": one.kind,
        "severity": one.severity,
        "count": one.count,
        "title": one.title,
        "detail": one.detail,
        "remedy": one.remedy,
        "targetId": one.target,
        "subject": one.subject,
        "since": None if one.since is None else instant(one.since),
    }
    return _body(ATTENTION, one.name, subscription, properties)


def _connector(one: Connected, numbers: Figures, subscription: str) -> Mapping[str, Any]:
    keys = [solution.key for solution in one.solutions]
    machines = [numbers.machines[key] for key in keys if key in numbers.machines]
    properties = {
        "connectorId": one.id,
        "displayName": one.name,
        "accountId": one.account,
        "resourceGroup": one.group,
        "location": one.location,
        "isOrganization": one.is_organization,
        "provisioningState": one.state,
        "solutions": [
            {
                "id": solution.id,
                "name": solution.name,
                "type": solution.type,
                "status": solution.status,
                "statusDetails": solution.details,
                "lastSyncTime": solution.last_sync,
            }
            for solution in one.solutions
        ],
        "lastScan": one.last_scan,
        "resources": numbers.resources.get(one.account, 0),
        "gaps": sum(numbers.gaps.get(key, 0) for key in keys),
        "machinesFound": sum(number for words in machines for word, number in words.items() if word != "gone"),
        "machinesConnected": sum(words["connected"] for words in machines),
    }
    return _body(CONNECTORS, one.guid, subscription, properties)


def _ranks(order: str, numbers: Figures) -> Callable[[Connected], Any]:
    """What an order compares."""
    orders: dict[str, Callable[[Connected], Any]] = {
        "name": lambda one: one.name.lower(),
        "account": lambda one: one.account,
        "resources": lambda one: numbers.resources.get(one.account, 0),
        "lastScan": lambda one: one.last_scan or "",
    }
    return orders[order]


def _has_status(one: Connected, status: str) -> bool:
    return not status or any(solution.status.lower() == status for solution in one.solutions)


def _body(type: str, name: str, subscription: str, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"id": f"/subscriptions/{subscription}/providers/{type}/{name}", "name": name, "type": type, "properties": properties}


def _word(query: Mapping[str, str], name: str, known: Sequence[str]) -> str:
    given = query.get(name)
    if given is None:
        return ""
    found = next((word for word in known if word.lower() == given.lower()), None)
    if found is None:
        raise invalid(f"{name} must be one of {', '.join(known)}, not '{given[:32]}'.", target=name, code="InvalidFilter")
    return found


def _text(query: Mapping[str, str], name: str, most: int = _LONGEST) -> str:
    given = query.get(name, "")
    if len(given) > most or not given.isprintable():
        raise invalid(f"{name} must be at most {most} printable characters.", target=name, code="InvalidFilter")
    return given
