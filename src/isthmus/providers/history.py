"""What happened, to be read: scans and scopes of a solution (Isthmus.Inventory), Isthmus.Operations, Isthmus.Audit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Column, Row, Table, select

from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import invalid
from isthmus.arm.ids import ResourceId
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope
from isthmus.audit import verify
from isthmus.engine import Engine
from isthmus.providers import longrunning
from isthmus.solutions.subject import CONFIGURATIONS
from isthmus.store.tables import audit_records, scans, scopes

VERSIONS = ("2026-11-01",)
MOST_SCANS = 500
"""Scans of a solution that can be listed, the newest: hourly ones of three weeks. Older ones are forgotten sooner, as a rule."""
MOST_SCOPES = 20_000
"""Scopes of a solution that can be listed: several times what every type in every region makes."""


def rows(engine: Engine) -> tuple[ResourceType, ...]:
    """The rows of these namespaces."""
    return (
        _of_solution(engine, "Isthmus.Inventory/scans", scans, scans.c.started_at, MOST_SCANS, _scan),
        _of_solution(engine, "Isthmus.Inventory/scopes", scopes, scopes.c.checked_at, MOST_SCOPES, _scope),
        longrunning.row(engine),
        _audit(engine),
    )


def _of_solution(
    engine: Engine, type: str, table: Table, newest: Column[Any], most: int, show: Callable[[Row[Any]], tuple[str, dict[str, Any]]]
) -> ResourceType:
    """Rows of a table that has a column `solution`, as extensions of that solution configuration; `show` gives name and properties.

    At most `most`, those with the largest values of `newest`.
    """

    def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
        solution: ResourceId | None = ask.id.parent
        assert solution is not None
        with engine.store.read() as connection:
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


def _audit(engine: Engine) -> ResourceType:
    def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
        """In the order of the chain, starting after the token; names are zero-padded numbers so that text sorts like numbers."""
        after = ask.query.get("$after", "").rpartition("/")[2] or "0"
        if not re.fullmatch(r"[0-9]{1,15}", after):
            raise invalid("The $skiptoken is not one of this list. Start it again.", target="$skiptoken", code="InvalidSkipToken")
        with engine.store.read() as connection:
            wanted = audit_records.c.seq > int(after)
            found = connection.execute(select(audit_records).where(wanted).order_by(audit_records.c.seq).limit(1001)).all()
        for row in found:
            yield {
                "id": f"/providers/Isthmus.Audit/records/{row.seq:012d}",
                "name": f"{row.seq:012d}",
                "type": "Isthmus.Audit/records",
                "properties": {
                    "at": instant(row.at),
                    "actor": row.actor,
                    "action": row.action,
                    "target": row.target,
                    "outcome": row.outcome,
                    "detail": json.loads(row.detail),
                    "correlationId": row.correlation,
                    "hash": row.hash,
                },
            }

    def check(_resource: Resource | None, _ask: Ask) -> Answer:
        with engine.store.read() as connection:
            broken = verify(connection)
        return Answer(body={"valid": broken is None, "firstBroken": broken})

    action = Action(name="records", act=check, needs_resource=False)
    return ResourceType(
        name="Isthmus.Audit/records", scopes=frozenset({Scope.TENANT}), versions=VERSIONS, enumerate=listed, actions=(action,)
    )
