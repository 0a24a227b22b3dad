"""What time alone does to machines: they fall silent, their registrations end, their enrolment windows close."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, select, update

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.types import Actor
from isthmus.engine import Engine, lookup
from isthmus.machines import windows
from isthmus.machines.registration import (
    DISCONNECTED,
    ENROLLED,
    EXPIRED,
    LAPSED,
    MACHINES,
    ONBOARDING,
    PENDING,
    REMOVED,
    TOMBSTONE,
    bare,
    has_children,
    with_status,
)
from isthmus.store import dialect
from isthmus.store.tables import challenges, registrations
from isthmus.store.tables import windows as closed_windows

SILENT = 15 * 60_000
"""Milliseconds without a heartbeat after which a machine is Disconnected."""

ACTOR = Actor(id="isthmus:machines", kind="Application", name="Isthmus machines")
_BATCH = 200


def settle(engine: Engine, now: int) -> set[str]:
    """Bring every machine's status in line with the clock; keys of the machines that changed."""
    silent = (registrations.c.state == ENROLLED, registrations.c.silent_since.is_(None), registrations.c.last_heartbeat < now - SILENT)
    ended = (registrations.c.state == ENROLLED, registrations.c.expires_at <= now)
    changed = _sweep(engine, ended, {"state": EXPIRED, "next_public_key": None, "next_key_hash": None}, LAPSED, now)
    changed |= _sweep(engine, silent, {"silent_since": now}, DISCONNECTED, now)
    changed |= _lapse(engine, now)
    with engine.store.begin() as connection:
        connection.execute(delete(challenges).where(challenges.c.expires_at <= now))
        buried = (registrations.c.state == REMOVED, registrations.c.expires_at <= now)
        connection.execute(delete(registrations).where(*buried))
        windows.delete_old(connection, now - TOMBSTONE)
    return changed


def _sweep(engine: Engine, wanted: Sequence[ColumnElement[bool]], values: dict[str, Any], status: str, now: int) -> set[str]:
    """Set registrations and their machines in batches; each batch looks again, since a heartbeat may have come meanwhile."""

    def change(connection: Connection, rows: Sequence[RowMapping]) -> Change:
        ids = [row["vm_id"] for row in rows]
        connection.execute(update(registrations).where(registrations.c.vm_id.in_(ids), *wanted).values(**values))
        found = [machine for row in rows if (machine := lookup.find(connection, row["resource"])) is not None]
        return Change(puts=tuple(with_status(machine, status, now) for machine in found), detail={"status": status})

    return _batches(engine, wanted, change, "status")


def _lapse(engine: Engine, now: int) -> set[str]:
    """Take back what was registered in windows that closed unused: a machine that is onboarding's alone goes, any other is bare again.

    One that had enrolled before stays, without a key that is believed.
    """

    def change(connection: Connection, rows: Sequence[RowMapping]) -> Change:
        fresh = [row["vm_id"] for row in rows if row["enrolled_at"] is None]
        connection.execute(delete(registrations).where(registrations.c.vm_id.in_(fresh)))
        ids = [row["vm_id"] for row in rows]
        connection.execute(update(registrations).where(registrations.c.vm_id.in_(ids)).values(state=EXPIRED))
        puts, deletes = [], []
        for row in rows:
            machine = lookup.find(connection, row["resource"])
            if machine is None:
                continue
            if row["enrolled_at"] is not None:
                puts.append(with_status(machine, LAPSED, now))
            elif _is_onboardings(connection, machine):
                deletes.append(machine.id)
            else:
                puts.append(bare(machine))
        return Change(puts=tuple(puts), deletes=tuple(deletes), detail={"windows": "expired"})

    while True:
        with engine.store.begin() as connection:
            if not windows.expire(connection, now):
                break
    over = select(closed_windows.c.id).where(closed_windows.c.state == "expired")
    wanted = (registrations.c.state == PENDING, registrations.c.window_id.in_(over))
    return _batches(engine, wanted, change, "lapse")


def _is_onboardings(connection: Connection, machine: Resource) -> bool:
    """Whether onboarding made the machine and nobody added anything since."""
    made = machine.system is not None and machine.system.created_by == ONBOARDING.id
    return made and not machine.tags and not has_children(connection, machine.id.key)


def _batches(
    engine: Engine,
    wanted: Sequence[ColumnElement[bool]],
    change: Callable[[Connection, Sequence[RowMapping]], Change],
    action: str,
) -> set[str]:
    changed: set[str] = set()
    while True:
        with engine.store.begin() as connection:
            candidates = connection.execute(
                select(registrations.c.resource).where(*wanted).order_by(registrations.c.resource).limit(_BATCH)
            )
            keys = list(candidates.scalars())
            for key in keys:
                dialect.lock_name(connection, key)
            chosen = select(registrations).where(registrations.c.resource.in_(keys), *wanted).with_for_update()
            rows = connection.execute(chosen).mappings().all()
            if rows:
                target = rows[0]["resource_id"] if len(rows) == 1 else f"{len(rows)} machines"
                detail = change(connection, rows)
                engine.apply_within(connection, detail, ACTOR, f"{MACHINES}/{action}", target)
        changed.update(row["resource"] for row in rows)
        if len(keys) < _BATCH:
            return changed
