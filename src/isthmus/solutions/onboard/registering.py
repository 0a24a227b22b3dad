"""Keys that came back become registered machines: registration, window and machine resource in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import group_id
from isthmus.engine import Engine, lookup
from isthmus.machines import registration, windows
from isthmus.solutions import places
from isthmus.solutions.onboard.outcomes import Failure
from isthmus.solutions.onboard.rows import CONNECTING, InstanceRow
from isthmus.solutions.onboard.steps import Step, failed, moved
from isthmus.solutions.projection import bare_host
from isthmus.solutions.subject import Subject
from isthmus.store import dialect

ACTOR = registration.ONBOARDING


@dataclass(frozen=True, kw_only=True)
class Registrar:
    """Registers machines of one solution."""

    engine: Engine
    subject: Subject
    tenant: str

    def register(self, connection: Connection, steps: Sequence[Step], now: int) -> tuple[list[InstanceRow], dict[str, str]]:
        """The rows after registration, connecting or failed, and the vmIds of those that connect, by row key."""
        for key in sorted(step.row.machine for step in steps):
            dialect.lock_name(connection, key)
        puts: list[Resource] = []
        rows: dict[str, InstanceRow] = {}
        vm_ids: dict[str, str] = {}
        shared = _shared_keys(steps)
        for step in sorted(steps, key=lambda step: step.row.key):
            row = step.row
            if row.key in shared:
                rows[row.key] = failed(row, Failure(code="KEY_REUSED", evidence={"other": shared[row.key]}), now)
                continue
            try:
                machine, vm_id = self._register(connection, step, now)
            except registration.KeyReused as error:
                rows[row.key] = failed(row, Failure(code="KEY_REUSED", evidence={"other": error.other}), now)
            except (ArmError, ValueError) as error:
                code = "WINDOW_EXPIRED" if isinstance(error, ValueError) else "MACHINE_CONFLICT"
                rows[row.key] = failed(row, Failure(code=code, evidence={"message": str(error)[:300]}), now)
            else:
                puts.append(machine)
                vm_ids[row.key] = vm_id
                rows[row.key] = replace(moved(replace(row, state=""), CONNECTING, "", now, now), sends=row.sends + 1)
        if puts:
            detail = {"machines": [machine.id.name for machine in puts]}
            change = Change(puts=(*self._group(connection), *puts), detail=detail)
            self.engine.apply_within(connection, change, ACTOR, "onboarding/register", str(self.subject.solution.id))
        return list(rows.values()), vm_ids

    def _register(self, connection: Connection, step: Step, now: int) -> tuple[Resource, str]:
        row, key = step.row, step.key
        assert key is not None
        group = group_id(self.subject.connector.id.subscription, places.group_name(row.account))
        id = group.extension(places.MACHINES, row.instance_id)
        location = places.location_of(row.region, self.subject.connector.location)
        old = lookup.find(connection, id.key) or bare_host(id, location)
        # Checked before anything is written: an error in the middle of a transaction would take its other machines along.
        known = registration.of_machine(connection, id.key)
        window = windows.open_window(connection, row.key, row.generation, id=self.engine.new_guid(), now=now)
        registrant = registration.Registrant(
            machine=old.id,
            key=key,
            vm_id=str(old.properties.get("vmId") or (known["vm_id"] if known else window.vm_id)),
            principal_id=str(old.extra.get("identity", {}).get("principalId") or self.engine.new_guid()),
            window_id=window.id,
        )
        made = registration.register(connection, registrant)
        platform = {"osType": row.seen.platform} if not old.properties.get("osType") else {}
        named = {"osName": row.seen.platform} if not old.properties.get("osName") else {}
        waiting = registration.awaiting(old, made, key, tenant=self.tenant, now=now)
        return replace(waiting, properties={**waiting.properties, **platform, **named}, extra={**waiting.extra, "kind": "AWS"}), made.vm_id

    def _group(self, connection: Connection) -> list[Resource]:
        """The account's resource group, where it does not exist yet."""
        connector = self.subject.connector
        group = group_id(connector.id.subscription, places.group_name(self.subject.target.account))
        if lookup.find(connection, group.key) is not None:
            return []
        state = {"provisioningState": "Succeeded"}
        return [Resource(id=group, location=connector.location, tags=dict(connector.tags), properties=state)]


def _shared_keys(steps: Sequence[Step]) -> dict[str, str]:
    """Instances that came with one key at once, each with another one of them; nobody can say which disk was copied from which."""
    holders: dict[str, list[InstanceRow]] = {}
    for step in steps:
        if step.key is not None:
            holders.setdefault(step.key.spki_sha256, []).append(step.row)
    return {
        row.key: next(other.instance_id for other in same if other.key != row.key)
        for same in holders.values()
        if len(same) > 1
        for row in same
    }
