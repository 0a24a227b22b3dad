"""What happened, to be read: changes of resources (Isthmus.Inventory/changes), Isthmus.Operations, Isthmus.Audit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Row, and_, func, or_, select

from isthmus.arm import paging
from isthmus.arm.envelope import Resource, SystemData, instant
from isthmus.arm.errors import invalid
from isthmus.arm.ids import ResourceId
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope, Window
from isthmus.audit import verify
from isthmus.engine import Engine, lookup
from isthmus.engine.history import told
from isthmus.identity.names import names_of
from isthmus.providers import longrunning
from isthmus.store.tables import audit_checkpoints, audit_records, resource_changes

VERSIONS = ("2026-11-01",)
CHANGES = "Isthmus.Inventory/changes"


def rows(engine: Engine) -> tuple[ResourceType, ...]:
    """The rows of these namespaces."""
    return (
        _changes(engine),
        longrunning.row(engine),
        _audit(engine),
        _checkpoints(engine),
    )


def _changes(engine: Engine) -> ResourceType:
    """What changed of a resource, the newest first. That it was made stands in no row: it is told from what exists."""

    def listed(ask: Ask) -> Window:
        subject: ResourceId | None = ask.id.parent
        assert subject is not None
        skip, top, counted = paging.skip_of(ask.query), paging.page_size(ask.query), paging.wants_count(ask.query)
        table = resource_changes.c
        mine = table.resource == subject.key
        with engine.store.read() as connection:
            alive = lookup.find(connection, subject.key)
            made = alive.system if alive is not None else None
            # Where the making stands among the rows: before what happened to an earlier resource of this name.
            place = 0
            if made is not None:
                later = select(func.count()).where(
                    mine, or_(table.at > made.created_at, and_(table.at == made.created_at, table.kind == "Update"))
                )
                place = int(connection.execute(later).scalar() or 0)
            ordered = select(resource_changes).where(mine).order_by(table.at.desc(), table.kind.desc(), table.id.desc())
            start = skip - 1 if made is not None and skip > place else skip
            found = connection.execute(ordered.limit(top + 1).offset(start)).all()
            count = connection.execute(select(func.count()).where(mine)).scalar() if counted else None
        items = [_change(row, str(subject)) for row in found]
        if made is not None and start == skip and place - skip <= len(items):
            items.insert(place - skip, _making(made, str(subject)))
        total = None if count is None else int(count) + (made is not None)
        return Window(items=items[:top], count=total, more=len(items) > top)

    here = frozenset({Scope.EXTENSION, Scope.GROUP, Scope.SUBSCRIPTION})
    return ResourceType(name=CHANGES, scopes=here, lists=here, versions=VERSIONS, window=listed, outlives=True)


def _change(row: Row[Any], subject: str) -> dict[str, Any]:
    found = told(row.changes)
    paths = [{"path": path, "before": before, "after": after} for path, before, after in found.paths]
    return _told(subject, row.id, row.at, row.actor, row.kind, paths, is_complete=found.is_complete)


def _making(made: SystemData, subject: str) -> dict[str, Any]:
    return _told(subject, f"create-{made.created_at}", made.created_at, made.created_by, "Create", [])


def _told(
    subject: str, name: str, at: int, actor: str, kind: str, changes: list[dict[str, Any]], *, is_complete: bool = True
) -> dict[str, Any]:
    properties = {"at": instant(at), "actor": actor, "kind": kind, "changes": changes, "isComplete": is_complete}
    return {"id": f"{subject}/providers/{CHANGES}/{name}", "name": name, "type": CHANGES, "properties": properties}


def _audit(engine: Engine) -> ResourceType:
    def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
        """In the order of the chain, starting after the token; names are zero-padded numbers so that text sorts like numbers."""
        after = ask.query.get("$after", "").rpartition("/")[2] or "0"
        if not re.fullmatch(r"[0-9]{1,15}", after):
            raise invalid("The $skiptoken is not one of this list. Start it again.", target="$skiptoken", code="InvalidSkipToken")
        with engine.store.read() as connection:
            wanted = audit_records.c.seq > int(after)
            found = connection.execute(select(audit_records).where(wanted).order_by(audit_records.c.seq).limit(1001)).all()
            names = names_of(connection, {row.actor for row in found})
        for row in found:
            yield {
                "id": f"/providers/Isthmus.Audit/records/{row.seq:012d}",
                "name": f"{row.seq:012d}",
                "type": "Isthmus.Audit/records",
                "properties": {
                    "at": instant(row.at),
                    "actor": row.actor,
                    "actorName": names.get(row.actor),
                    "action": row.action,
                    "target": row.target,
                    "outcome": row.outcome,
                    "detail": json.loads(row.detail),
                    "correlationId": row.correlation,
                    "hash": row.hash,
                },
            }

    def check(_resource: Resource | None, _ask: Ask) -> Answer:
        with engine.store.snapshot() as connection:
            broken = verify(connection)
            number = connection.execute(select(func.max(audit_records.c.seq))).scalar() or 0
            newest = select(audit_checkpoints).where(audit_checkpoints.c.tree == "audit").order_by(audit_checkpoints.c.size.desc()).limit(1)
            point = connection.execute(newest).first()
        told = {"records": number, "checkpoint": _checkpoint(point)["properties"] if point else None}
        return Answer(body={"valid": broken is None, "firstBroken": broken, **told})

    action = Action(name="records", act=check, needs_resource=False, reads=True)
    return ResourceType(
        name="Isthmus.Audit/records", scopes=frozenset({Scope.TENANT}), versions=VERSIONS, enumerate=listed, actions=(action,)
    )


def _checkpoints(engine: Engine) -> ResourceType:
    """Signed roots of the chain (`audit`) and of the accounts' trails (`trail`), the newest first, with when the second store had it."""

    def listed(ask: Ask) -> Window:
        skip, top = paging.skip_of(ask.query), paging.page_size(ask.query)
        table = audit_checkpoints.c
        chosen = [table.tree == ask.query["tree"]] if ask.query.get("tree") else []
        newest = select(audit_checkpoints).where(*chosen).order_by(table.at.desc(), table.tree, table.size.desc())
        with engine.store.read() as connection:
            found = connection.execute(newest.limit(top + 1).offset(skip)).all()
        return Window(items=[_checkpoint(row) for row in found[:top]], more=len(found) > top)

    return ResourceType(name="Isthmus.Audit/checkpoints", scopes=frozenset({Scope.TENANT}), versions=VERSIONS, window=listed)


def _checkpoint(row: Row[Any]) -> dict[str, Any]:
    name = f"{row.tree}-{row.size:015d}"
    properties = {
        "tree": row.tree,
        "size": row.size,
        "at": instant(row.at),
        "root": json.loads(row.body)["root"],
        "keyId": row.kid,
        "anchoredAt": instant(row.anchored_at) if row.anchored_at is not None else None,
    }
    return {
        "id": f"/providers/Isthmus.Audit/checkpoints/{name}",
        "name": name,
        "type": "Isthmus.Audit/checkpoints",
        "properties": properties,
    }
