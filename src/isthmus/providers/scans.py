"""Isthmus.Inventory over scans: those of a solution, the ledger of scopes, and how far the newest one has come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Column, Row, Table, select

from isthmus.arm.envelope import instant
from isthmus.arm.ids import ResourceId
from isthmus.arm.types import Ask, ResourceType, Scope
from isthmus.solutions.progress import Part, progress_of
from isthmus.solutions.subject import CONFIGURATIONS
from isthmus.store import Store
from isthmus.store.tables import scans, scopes

VERSIONS = ("2026-11-01",)
PROGRESS = "Isthmus.Inventory/progress"
MOST_SCANS = 500
"""Scans of a solution that can be listed, the newest: hourly ones of three weeks. Older ones are forgotten sooner, as a rule."""
MOST_SCOPES = 20_000
"""Scopes of a solution that can be listed: several times what every type in every region makes."""


def rows(store: Store) -> tuple[ResourceType, ...]:
    """The rows over scans."""
    return (
        _of_solution(store, "Isthmus.Inventory/scans", scans, scans.c.started_at, MOST_SCANS, _scan),
        _of_solution(store, "Isthmus.Inventory/scopes", scopes, scopes.c.checked_at, MOST_SCOPES, _scope),
        _progress(store),
    )


def _of_solution(
    store: Store, type: str, table: Table, newest: Column[Any], most: int, show: Callable[[Row[Any]], tuple[str, dict[str, Any]]]
) -> ResourceType:
    """Rows of a table that has a column `solution`, as extensions of that solution configuration; `show` gives name and properties.

    At most `most`, those with the largest values of `newest`.
    """

    def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
        solution: ResourceId | None = ask.id.parent
        assert solution is not None
        with store.read() as connection:
            found = connection.execute(select(table).where(table.c.solution == solution.key).order_by(newest.desc()).limit(most)).all()
        shown = map(show, found)
        bodies = [
            {"id": f"{solution}/providers/{type}/{name}", "name": name, "type": type, "properties": properties}
            for name, properties in shown
        ]
        return sorted(bodies, key=lambda body: str(body["id"]).lower())

    extension = frozenset({Scope.EXTENSION})
    return ResourceType(name=type, scopes=extension, lists=extension, extends=(CONFIGURATIONS,), versions=VERSIONS, enumerate=listed)


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
    region = row.region or "global"
    properties = {
        "accountId": row.account,
        "region": region,
        "resourceType": row.type,
        "outcome": row.outcome,
        "reason": row.reason,
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
