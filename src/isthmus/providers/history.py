"""What happened, to be read: scans and scopes of a solution (Isthmus.Inventory), Isthmus.Operations, Isthmus.Audit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import invalid
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope
from isthmus.audit import verify
from isthmus.engine import Engine
from isthmus.providers import longrunning, scanning
from isthmus.store.tables import audit_records

VERSIONS = ("2026-11-01",)


def rows(engine: Engine) -> tuple[ResourceType, ...]:
    """The rows of these namespaces."""
    return (
        *scanning.rows(engine),
        longrunning.row(engine),
        _audit(engine),
    )


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
