"""Registrations: which key speaks for which machine. Everything here is part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, or_, select, update

from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError, conflict
from isthmus.arm.ids import ResourceId
from isthmus.arm.types import Actor
from isthmus.machines.publickey import PublicKey, parse_public_key
from isthmus.store import dialect
from isthmus.store.tables import challenges, registrations, resources

MACHINES = "Microsoft.HybridCompute/machines"

PENDING = "pending"
ENROLLED = "enrolled"
EXPIRED = "expired"
LEFT = "left"
REMOVED = "removed"

AWAITING = "AwaitingConnection"
CONNECTED = "Connected"
DISCONNECTED = "Disconnected"
LAPSED = "Expired"

VALID = 90 * 86_400_000
"""Milliseconds that an enrolment is good for."""
RENEW_AHEAD = 45 * 86_400_000
"""Milliseconds before the end at which a machine is asked to renew."""
TOMBSTONE = 30 * 86_400_000
"""Milliseconds for which a removed machine is remembered."""

ONBOARDING = Actor(id="isthmus:onboarding", kind="Application", name="Isthmus onboarding")
"""Who makes machines of its own; those that people or scans made are theirs."""

_CHUNK = 400
_OF_ENROLMENT = ("clientPublicKey", "vmId", "status", "lastStatusChange", "statusReason")


class KeyReused(ArmError):
    """409: the key belongs to another machine already, which is what a cloned disk looks like. `other` is that machine's id."""

    def __init__(self, other: str) -> None:
        super().__init__("KeyReused", f"The same key is registered for '{other}': its disk was copied.", status=409, target=other)
        self.other = other


@dataclass(frozen=True, kw_only=True, slots=True)
class Registrant:
    """A machine and the key that is to speak for it. `principal_id` counts when the machine had no identity before."""

    machine: ResourceId
    key: PublicKey
    vm_id: str
    principal_id: str
    window_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """What a registration fixed."""

    vm_id: str
    principal_id: str


def register(connection: Connection, registrant: Registrant) -> Registered:
    """Make the key the machine's, replacing an earlier one; the machine has to enrol with it before it is believed.

    The principal stays the one of the first registration. Raises KeyReused, and ArmError 409 `VmIdInUse` when another machine has the vmId.
    """
    key = registrant.key.spki_sha256
    dialect.lock_name(connection, f"machine-key:{key}")
    hashes = or_(registrations.c.key_hash == key, registrations.c.next_key_hash == key)
    other = connection.execute(
        select(registrations.c.resource_id).where(hashes, registrations.c.resource != registrant.machine.key)
    ).scalar()
    if other is not None:
        raise KeyReused(other)
    old = of_machine(connection, registrant.machine.key)
    same = connection.execute(select(registrations).where(registrations.c.vm_id == registrant.vm_id)).mappings().first()
    if same is not None and same["resource"] != registrant.machine.key and same["state"] != REMOVED:
        raise conflict(f"'{same['resource_id']}' has the vmId {registrant.vm_id} already.", target=same["resource_id"], code="VmIdInUse")
    principal = old["principal_id"] if old is not None else registrant.principal_id
    replaced = or_(registrations.c.resource == registrant.machine.key, registrations.c.vm_id == registrant.vm_id)
    connection.execute(delete(registrations).where(replaced))
    row = {
        "vm_id": registrant.vm_id,
        "resource": registrant.machine.key,
        "resource_id": str(registrant.machine),
        "principal_id": principal,
        "public_key": registrant.key.base64,
        "key_hash": key,
        "window_id": registrant.window_id,
        "enrolled_at": old["enrolled_at"] if old is not None else None,
        "last_heartbeat": old["last_heartbeat"] if old is not None else None,
        "state": PENDING,
    }
    connection.execute(registrations.insert().values(**row))
    return Registered(vm_id=registrant.vm_id, principal_id=principal)


def follow(connection: Connection, machines: Sequence[Resource], new_guid: Callable[[], str]) -> None:
    """Register the keys of machines that were put with one and are not registered yet, whoever put them: their agents may then enrol."""
    for machine in machines:
        text, vm_id = machine.properties.get("clientPublicKey"), machine.properties.get("vmId")
        if not text or not vm_id:
            continue
        known = of_machine(connection, machine.id.key)
        if known is not None and (known["public_key"] == text or known["vm_id"] == vm_id):
            continue
        principal = machine.extra.get("identity", {}).get("principalId") or new_guid()
        register(connection, Registrant(machine=machine.id, key=parse_public_key(text), vm_id=vm_id, principal_id=principal))


def awaiting(old: Resource, registered: Registered, key: PublicKey, *, tenant: str, now: int) -> Resource:
    """The machine as it stands while its key waits for the agent; `old` is the stored or a bare one. Its tags and the rest stay.

    Raises ArmError 409 `PropertyChangeNotAllowed` when the machine has another vmId: that is settable once.
    """
    known = old.properties.get("vmId")
    if known not in (None, "", registered.vm_id):
        raise conflict(f"'{old.id}' has the vmId {known}; it cannot change.", target="properties.vmId", code="PropertyChangeNotAllowed")
    joined = {"clientPublicKey": key.base64, "vmId": registered.vm_id}
    identity = {"type": "SystemAssigned", "principalId": registered.principal_id, "tenantId": tenant}
    machine = replace(old, properties={**old.properties, **joined}, extra={**old.extra, "identity": identity})
    return with_status(machine, AWAITING, now)


def bare(machine: Resource) -> Resource:
    """The machine without anything that enrolment gave it."""
    kept = {name: value for name, value in machine.properties.items() if name not in _OF_ENROLMENT}
    return replace(machine, properties=kept, extra={name: value for name, value in machine.extra.items() if name != "identity"})


def with_status(machine: Resource, status: str, now: int, facts: Mapping[str, Any] | None = None) -> Resource:
    """The machine with a status, the time of its last change, and what it says of itself."""
    properties = {**machine.properties, **(facts or {})}
    if properties.get("status") != status:
        properties |= {"status": status, "lastStatusChange": instant(now)}
    return replace(machine, properties=properties)


def of_machine(connection: Connection, machine: str, *, locked: bool = False) -> RowMapping | None:
    """The registration of a machine resource (its key), or None."""
    found = select(registrations).where(registrations.c.resource == machine)
    return connection.execute(found.with_for_update() if locked else found).mappings().one_or_none()


def of_machines(connection: Connection, machines: Collection[str]) -> dict[str, RowMapping]:
    """The registrations of machine resources, by key."""
    keys = sorted(machines)
    found: dict[str, RowMapping] = {}
    for start in range(0, len(keys), _CHUNK):
        wanted = select(registrations).where(registrations.c.resource.in_(keys[start : start + _CHUNK]))
        found.update((row["resource"], row) for row in connection.execute(wanted).mappings())
    return found


def of_vm(connection: Connection, vm_id: str, *, locked: bool = False) -> RowMapping | None:
    """The registration of a vmId, or None."""
    found = select(registrations).where(registrations.c.vm_id == vm_id)
    return connection.execute(found.with_for_update() if locked else found).mappings().one_or_none()


def has_children(connection: Connection, machine: str) -> bool:
    """Whether something extends the machine resource (the projection of its instance)."""
    return connection.execute(select(resources.c.key).where(resources.c.parent == machine).limit(1)).first() is not None


def forget(connection: Connection, keys: Sequence[str], now: int) -> None:
    """What ends with machine resources: a key that never enrolled at once; others stay as tombstones, so that agents can be told.

    A tombstone's `expires_at` is its own end, counted from the removal: agents may have been silent for long before it.
    """
    for row in of_machines(connection, keys).values():
        connection.execute(delete(challenges).where(challenges.c.vm_id == row["vm_id"]))
        chosen = registrations.c.vm_id == row["vm_id"]
        if row["enrolled_at"] is None:
            connection.execute(delete(registrations).where(chosen))
            continue
        buried = {"state": REMOVED, "resource": f"{row['resource'][:1900]}#{row['vm_id']}", "key_hash": row["vm_id"]}
        buried["expires_at"] = now + TOMBSTONE
        connection.execute(update(registrations).where(chosen).values(**buried, next_public_key=None, next_key_hash=None))
