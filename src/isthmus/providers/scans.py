"""Isthmus.Inventory over scans: those of a solution, what became of every scope and what to do, and how far the newest one has come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Table, func, select

from isthmus.arm import paging
from isthmus.arm.envelope import instant
from isthmus.arm.errors import invalid
from isthmus.arm.types import Ask, ResourceType, Scope, Window
from isthmus.clouds.aws.catalog import TYPES
from isthmus.solutions import ledger
from isthmus.solutions.progress import Part, progress_of
from isthmus.solutions.subject import CONFIGURATIONS
from isthmus.store import Store
from isthmus.store.tables import scans, scopes

SCANS, SCOPES, PROGRESS = "Isthmus.Inventory/scans", "Isthmus.Inventory/scopes", "Isthmus.Inventory/progress"
VERSIONS = ("2026-11-01",)
COMPLETE = "complete"
OUTCOMES = (COMPLETE, *ledger.TROUBLED, "not-opted-in", "unsupported", ledger.NOT_SELECTED)
"""What may become of a scope."""
GLOBAL = "global"
"""The region of what an account has once; scopes store it as empty text."""

Clauses = tuple[ColumnElement[bool], ...]
Order = Mapping[str, Column[Any]]

REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "denied": "Update the CloudFormation stack in account {account} from the connector's authentication template, then scan again.",
        "scp": "Ask whoever runs the organization to allow it for the Isthmus role, or deselect the service or region.",
        "throttled": "The next scan tries again. If it stays so, scan less often, or ask AWS for a higher limit.",
        "error": "Read the reason, then scan again. If it stays so, look at the server's log.",
        "not-opted-in": "Nothing, unless you use the region: then enable it in the account. The next scan reads it by itself.",
        "unsupported": "Nothing, unless you use the service there: then enable it. The next scan reads it by itself.",
        ledger.NOT_SELECTED: "Nothing, if these resources are to stay. Scan and accept deletions to remove them.",
    }
)
"""What a person can do about a scope that was not listed."""


def rows(store: Store) -> tuple[ResourceType, ...]:
    """The types, as extensions of solution configurations.

    Scans come newest first. Scopes are filtered by `outcome` (words with commas between them), `region` and `service`.
    """
    scan_orders = {"startTime": scans.c.started_at}
    scope_orders = {"region": scopes.c.region, "resourceType": scopes.c.type, "outcome": scopes.c.outcome, "checkedAt": scopes.c.checked_at}
    return (
        _windowed(store, SCANS, scans, (scan_orders, "startTime desc", (scans.c.id,)), lambda _query: (), _scan),
        _windowed(store, SCOPES, scopes, (scope_orders, "region", (scopes.c.region, scopes.c.type)), _chosen, _scope),
        _progress(store),
    )


def _windowed(
    store: Store,
    type: str,
    table: Table,
    order: tuple[Order, str, Sequence[Column[Any]]],
    chosen: Callable[[Mapping[str, str]], Clauses],
    show: Callable[[Row[Any]], tuple[str, dict[str, Any]]],
) -> ResourceType:
    """Rows of a table with a column `solution`. `order`: what may be asked for, what is taken for nothing, what decides between equals."""
    orders, default, ties = order

    def listed(ask: Ask) -> Window:
        solution = ask.id.parent
        assert solution is not None
        field, descends = paging.order_of(ask.query, tuple(orders), default=default)
        skip, top = paging.skip_of(ask.query), paging.page_size(ask.query)
        wanted = (table.c.solution == solution.key, *chosen(ask.query))
        columns = [column.desc() if descends else column for column in (orders[field], *ties)]
        query = select(table).where(*wanted).order_by(*columns).offset(skip).limit(top + 1)
        count = select(func.count()).select_from(table).where(*wanted)
        with store.read() as connection:
            found = connection.execute(query).all()
            number = connection.execute(count).scalar() if paging.wants_count(ask.query) else None
        bodies = [_body(f"{solution}/providers/{type}", type, *show(row)) for row in found[:top]]
        return Window(items=bodies, count=number, more=len(found) > top)

    extension = frozenset({Scope.EXTENSION})
    return ResourceType(name=type, scopes=extension, lists=extension, extends=(CONFIGURATIONS,), versions=VERSIONS, window=listed)


def _body(base: str, type: str, name: str, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"id": f"{base}/{name}", "name": name, "type": type, "properties": properties}


def _chosen(query: Mapping[str, str]) -> Clauses:
    clauses: list[ColumnElement[bool]] = []
    if outcome := query.get("outcome", ""):
        words = [word.strip().lower() for word in outcome.split(",")]
        unknown = next((word for word in words if word not in OUTCOMES), None)
        if unknown is not None:
            what = f"outcome must be one or several of {', '.join(OUTCOMES)} with commas between them, not '{unknown[:32]}'."
            raise invalid(what, target="outcome", code="InvalidFilter")
        clauses.append(scopes.c.outcome.in_(words))
    if region := query.get("region", "").lower():
        clauses.append(scopes.c.region == ("" if region == GLOBAL else region))
    if service := query.get("service", "").lower():
        clauses.append(scopes.c.type.in_([name for name, entry in TYPES.items() if entry.service == service]))
    return tuple(clauses)


def _scan(row: Row[Any]) -> tuple[str, dict[str, Any]]:
    properties = {
        "accountId": row.account,
        "status": row.status,
        "startTime": instant(row.started_at),
        "endTime": instant(row.ended_at) if row.ended_at else None,
        "summary": json.loads(row.summary),
    }
    return row.id.replace(":", "-"), properties


def _scope(row: Row[Any]) -> tuple[str, dict[str, Any]]:
    entry = TYPES.get(row.type)
    region = row.region or GLOBAL
    properties = {
        "accountId": row.account,
        "region": region,
        "resourceType": row.type,
        "service": entry.service if entry else "",
        "outcome": row.outcome,
        "reason": row.reason,
        "action": row.action,
        "remedy": REMEDIES.get(row.outcome, "").format(account=row.account),
        "rows": row.rows,
        "checkedAt": instant(row.checked_at),
        "completeAt": instant(row.complete_at) if row.complete_at else None,
        "deletionsFrozen": row.frozen,
    }
    return f"{region}.{row.type}", properties


def _progress(store: Store) -> ResourceType:
    def body(ask: Ask) -> dict[str, Any]:
        assert ask.parent is not None
        with store.read() as connection:
            found = progress_of(connection, ask.parent.id.key)
        whole = found.whole if found is not None else Part()
        scan = found.scan if found is not None else None
        properties = {
            "scan": scan.id.replace(":", "-") if scan is not None else None,
            "status": scan.status if scan is not None else ask.parent.properties.get("status"),
            "startTime": instant(scan.started_at) if scan is not None else None,
            "endTime": instant(scan.ended_at) if scan is not None and scan.ended_at is not None else None,
            **_part(whole),
            "expected": whole.expected if found is not None and found.is_expected else None,
            "regions": [{"region": _spelt((name, part)), **_part(part)} for name, part in sorted(found.regions.items(), key=_spelt)]
            if found
            else [],
            "services": [{"service": name, **_part(part)} for name, part in sorted(found.services.items())] if found else [],
        }
        id = f"{ask.parent.id}/providers/{PROGRESS}/default"
        return {"id": id, "name": "default", "type": PROGRESS, "properties": properties}

    def one(ask: Ask) -> Mapping[str, Any] | None:
        return body(ask) if ask.id.name.lower() == "default" else None

    def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
        return [body(ask)]

    here = frozenset({Scope.EXTENSION})
    return ResourceType(name=PROGRESS, scopes=here, lists=here, extends=(CONFIGURATIONS,), versions=VERSIONS, read=one, enumerate=listed)


def _spelt(region: tuple[str, Part]) -> str:
    return region[0] or "global"


def _part(part: Part) -> dict[str, int]:
    return {"expected": part.expected, "done": part.done, "gaps": part.gaps, "resources": part.resources}
