"""The machine API without HTTP: challenge, enrol, heartbeat, renew, disconnect.

A machine proves that it holds the registered key by signing our nonce; from then on it brings tokens that it gets with the same key.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, select, update

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError, conflict, invalid
from isthmus.arm.types import Actor
from isthmus.audit import Refusals
from isthmus.engine import Engine, lookup
from isthmus.identity.assertions import spender
from isthmus.identity.documents import token_url
from isthmus.identity.jws import Parsed, Refused, key_of_pkcs1, parse, signature_holds
from isthmus.identity.principal import Principal
from isthmus.identity.trust import MACHINE_ENROLMENT, MACHINE_REKEY, MACHINE_RENEWAL, Context, verify
from isthmus.machines import silence, windows
from isthmus.machines.facts import ChallengeBody, EnrolBody, HeartbeatBody, RenewBody, digest, read
from isthmus.machines.publickey import KeyParseError, PublicKey, parse_public_key
from isthmus.machines.registration import (
    CONNECTED,
    DISCONNECTED,
    ENROLLED,
    EXPIRED,
    LEFT,
    MACHINES,
    PENDING,
    REMOVED,
    RENEW_AHEAD,
    VALID,
    KeyReused,
    forget,
    of_vm,
    with_status,
)
from isthmus.store import dialect
from isthmus.store.tables import challenges, registrations

HEARTBEAT_SECONDS = 300
NONCE_MILLISECONDS = 600_000
MAX_NONCES = 32
"""Open challenges per machine. Asking costs nothing, so it is bounded; a new one ends the oldest, or strangers could shut a machine out."""

NOBODY = Actor(id="isthmus:anonymous", kind="ManagedIdentity", name="A machine that has not proven its key")


def _new_nonce() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, kw_only=True)
class Machines:
    """All that machines may ask. `public_url` has no trailing slash; `new_nonce` gives 256 random bits as base64url."""

    engine: Engine
    refusals: Refusals
    tenant: str
    public_url: str
    new_nonce: Callable[[], str] = _new_nonce

    def challenge(self, body: object) -> dict[str, Any]:
        """A nonce for a registered machine: `{nonce, expiresAt}`, good once and for ten minutes. ArmError 404 `MachineNotRegistered`."""
        vm_id = read(ChallengeBody, body).vmId.lower()
        now = self.engine.now()
        with self.engine.store.read() as connection:
            # Strangers are turned away before anything waits for the database.
            _require_open(of_vm(connection, vm_id), vm_id)
        with self.engine.store.begin() as connection:
            dialect.lock_name(connection, f"challenges:{vm_id}")
            _require_open(of_vm(connection, vm_id), vm_id)
            mine = challenges.c.vm_id == vm_id
            waiting = connection.execute(select(challenges.c.hash).where(mine).order_by(challenges.c.expires_at.desc(), challenges.c.hash))
            oldest = list(waiting.scalars())[MAX_NONCES - 1 :]
            connection.execute(delete(challenges).where(mine, challenges.c.hash.in_(oldest) | (challenges.c.expires_at <= now)))
            nonce, expires = self.new_nonce(), now + NONCE_MILLISECONDS
            connection.execute(challenges.insert().values(hash=_hash(nonce), vm_id=vm_id, expires_at=expires))
        return {"nonce": nonce, "expiresAt": instant(expires)}

    def enrol(self, body: object) -> dict[str, Any]:
        """Believe a machine that signs our nonce with its registered key. Repeated with a fresh nonce it answers the same.

        ArmError 404 `MachineNotRegistered`, 409 `KeyMismatch` (another key is registered), 401 for a statement that breaks any rule
        (its nonce included), 403 `EnrolmentWindowClosed`.
        """
        asked = read(EnrolBody, body)
        parsed = _parsed(asked.statement)
        vm_id = _text(parsed.claims, "sub").lower()
        with self.engine.store.read() as connection:
            known = of_vm(connection, vm_id)
        known = _require_open(known, vm_id)
        try:
            # Strangers are turned away before anything waits for the database.
            _require_key(parsed, known)
            with self.engine.store.begin() as connection:
                return self._enrol(connection, asked, parsed, known)
        except ArmError as error:
            if error.status < 500:
                self.refusals.refuse(NOBODY, f"{MACHINES}/enrol", known["resource_id"], error)
            raise

    def _enrol(self, connection: Connection, asked: EnrolBody, parsed: Parsed, known: RowMapping) -> dict[str, Any]:
        now = self.engine.now()
        dialect.lock_name(connection, known["resource"])
        row = of_vm(connection, known["vm_id"], locked=True)
        machine = lookup.find(connection, known["resource"])
        if row is None or machine is None or row["state"] not in (PENDING, ENROLLED):
            raise _not_registered(known["vm_id"])
        key = _require_key(parsed, row)
        nonce = self._consume_nonce(connection, parsed, row["vm_id"], now)
        context = Context(
            now=self.engine.clock(),
            keys=(key,),
            issuer=row["vm_id"],
            subject=row["vm_id"],
            audiences=frozenset({f"{self.public_url}/agent/v1/enrol"}),
            tenant=self.tenant,
            nonce=nonce,
            resource=row["resource_id"],
            spend=spender(connection, self.engine.clock),
        )
        verify(MACHINE_ENROLMENT, asked.statement, context)
        if row["state"] == PENDING and row["window_id"] and not windows.consume(connection, row["window_id"], now):
            text = f"The time to enrol '{row['resource_id']}' is over. It will be registered again with a new generation."
            raise ArmError("EnrolmentWindowClosed", text, status=403, target=row["resource_id"])
        expires = row["expires_at"] if row["state"] == ENROLLED else now + VALID
        said = asked.facts.properties()
        values = {"state": ENROLLED, "enrolled_at": row["enrolled_at"] or now, "expires_at": expires, "last_heartbeat": now}
        values |= {"silent_since": None, "facts_digest": digest(said)}
        connection.execute(update(registrations).where(registrations.c.vm_id == row["vm_id"]).values(**values))
        self._put(connection, with_status(machine, CONNECTED, now, said), row, "enrol", {"key": row["key_hash"][:16]})
        return {
            "resourceId": row["resource_id"],
            "tenantId": self.tenant,
            "clientId": row["vm_id"],
            "principalId": row["principal_id"],
            "tokenEndpoint": token_url(self.public_url, self.tenant),
            "heartbeatSeconds": HEARTBEAT_SECONDS,
            "registrationExpiresAt": instant(expires),
        }

    def _consume_nonce(self, connection: Connection, parsed: Parsed, vm_id: str, now: int) -> str:
        """The statement's nonce if it was ours, for this machine, unused and in time; used from then on."""
        nonce = _text(parsed.claims, "nonce")
        open_ = (challenges.c.hash == _hash(nonce), challenges.c.vm_id == vm_id, challenges.c.expires_at > now)
        if not nonce or connection.execute(delete(challenges).where(*open_)).rowcount != 1:
            text = "The challenge is not known, was used, or has expired. Ask for a new one and sign that."
            raise ArmError("InvalidChallenge", text, status=401)
        return nonce

    def heartbeat(self, principal: Principal, body: object) -> dict[str, Any]:
        """The machine is alive: one UPDATE, unless it says something new or had been silent.

        `{nextHeartbeatSeconds, registrationExpiresAt, renew}`. ArmError 410 `MachineGone` tells the agent to forget its identity,
        403 `RegistrationNotValid` that it waits for its new key or has expired.
        """
        asked = read(HeartbeatBody, body)
        now, said = self.engine.now(), asked.properties()
        mark = digest(said)
        mine = (registrations.c.vm_id == principal.client_id, registrations.c.state == ENROLLED, registrations.c.expires_at > now)
        usual = update(registrations).where(*mine, registrations.c.facts_digest == mark, registrations.c.silent_since.is_(None))
        with self.engine.store.begin() as connection:
            expires = connection.execute(usual.values(last_heartbeat=now).returning(registrations.c.expires_at)).scalar()
        if expires is None:
            expires = self._news(principal, said, mark, now)
        return {
            "nextHeartbeatSeconds": HEARTBEAT_SECONDS,
            "registrationExpiresAt": instant(expires),
            "renew": expires - now <= RENEW_AHEAD,
        }

    def _news(self, principal: Principal, said: Mapping[str, Any], mark: str, now: int) -> int:
        """A heartbeat that changes the machine resource."""
        with self.engine.store.begin() as connection:
            row, machine = self._of(connection, principal)
            values = {"last_heartbeat": now, "silent_since": None, "facts_digest": mark}
            connection.execute(update(registrations).where(registrations.c.vm_id == row["vm_id"]).values(**values))
            fresh = with_status(machine, CONNECTED, now, said)
            if fresh.properties != machine.properties:
                self._put(connection, fresh, row, "heartbeat", {})
            return int(row["expires_at"])

    def renew(self, principal: Principal, body: object) -> dict[str, Any]:
        """Register the machine's next key; the present one stays good until the next first signs a request for a token.

        The present key has to agree: a token alone, which others may have got hold of for its hour, makes nobody the machine for months.
        Repeated with a key that is known already it changes nothing and answers the same. `{registrationExpiresAt}`. ArmError 400 for an
        unusable key, 401 for a statement that the new key did not sign or an authorization that the present one did not, 409 `KeyReused`,
        409 `RenewalNotDue` while more than 45 days are left.
        """
        asked = read(RenewBody, body)
        try:
            key = parse_public_key(asked.publicKey)
        except KeyParseError as error:
            raise invalid(str(error), target="publicKey", code="InvalidPublicKey") from None
        now = self.engine.now()
        with self.engine.store.begin() as connection:
            row, machine = self._of(connection, principal)
            context = Context(
                now=self.engine.clock(),
                keys=(key_of_pkcs1(key.base64),),
                issuer=row["vm_id"],
                subject=row["vm_id"],
                audiences=frozenset({f"{self.public_url}/agent/v1/renew"}),
                spend=spender(connection, self.engine.clock),
            )
            verify(MACHINE_RENEWAL, asked.statement, context)
            if key.spki_sha256 in (row["key_hash"], row["next_key_hash"]):
                return {"registrationExpiresAt": instant(row["expires_at"])}
            if row["expires_at"] - now > RENEW_AHEAD:
                text = (
                    f"The registration of '{row['resource_id']}' is good until {instant(row['expires_at'])}; it is too early to renew it."
                )
                raise conflict(text, target=row["resource_id"], code="RenewalNotDue")
            leave = replace(context, keys=(key_of_pkcs1(row["public_key"]),), next_key=key.spki_sha256)
            verify(MACHINE_REKEY, asked.authorization, leave)
            self._require_unused(connection, key, row)
            values = {"next_public_key": key.base64, "next_key_hash": key.spki_sha256, "expires_at": now + VALID}
            connection.execute(update(registrations).where(registrations.c.vm_id == row["vm_id"]).values(**values))
            changed = {**machine.properties, "clientPublicKey": key.base64}
            self._put(connection, with_status(machine, CONNECTED, now, changed), row, "renew", {"key": key.spki_sha256[:16]})
        return {"registrationExpiresAt": instant(now + VALID)}

    def _require_unused(self, connection: Connection, key: PublicKey, row: RowMapping) -> None:
        dialect.lock_name(connection, f"machine-key:{key.spki_sha256}")
        held = (registrations.c.key_hash == key.spki_sha256) | (registrations.c.next_key_hash == key.spki_sha256)
        other = connection.execute(select(registrations.c.resource_id).where(held, registrations.c.vm_id != row["vm_id"])).scalar()
        if other is not None:
            raise KeyReused(other)

    def disconnect(self, principal: Principal, _body: object = None) -> dict[str, Any]:
        """The machine leaves: its key is believed no more, the resource stays and says Disconnected."""
        with self.engine.store.begin() as connection:
            row, machine = self._of(connection, principal)
            gone = {"state": LEFT, "next_public_key": None, "next_key_hash": None}
            connection.execute(update(registrations).where(registrations.c.vm_id == row["vm_id"]).values(**gone))
            self._put(connection, with_status(machine, DISCONNECTED, self.engine.now()), row, "disconnect", {})
        return {}

    def forget(self, connection: Connection, keys: Sequence[str]) -> None:
        """What ends with machine resources, by key: a hook for `Engine.removals`."""
        forget(connection, keys, self.engine.now())

    def mark_silent(self, now: int | None = None) -> set[str]:
        """What time alone changes: silent machines, ended registrations, closed windows; refusals that were counted are written.

        Keys of the machines that changed; repeatable.
        """
        self.refusals.settle()
        return silence.settle(self.engine, self.engine.now() if now is None else now)

    def _of(self, connection: Connection, principal: Principal) -> tuple[RowMapping, Resource]:
        """The registration and the resource behind a machine's token, both held until the transaction ends."""
        known = of_vm(connection, principal.client_id)
        if known is not None:
            dialect.lock_name(connection, known["resource"])
        row = of_vm(connection, principal.client_id, locked=True)
        machine = None if row is None else lookup.find(connection, row["resource"])
        if row is None or machine is None or row["state"] in (REMOVED, LEFT):
            text = f"The machine '{principal.resource_id}' was removed or has left. Forget its identity."
            raise ArmError("MachineGone", text, status=410, target=principal.resource_id or None)
        if row["state"] != ENROLLED or row["expires_at"] <= self.engine.now():
            why = "has expired" if row["state"] in (ENROLLED, EXPIRED) else "waits for a new key"
            raise ArmError("RegistrationNotValid", f"The registration of '{row['resource_id']}' {why}. Connect again.", status=403)
        return row, machine

    def _put(self, connection: Connection, machine: Resource, row: RowMapping, action: str, detail: Mapping[str, Any]) -> None:
        actor = Actor(id=row["principal_id"], kind="ManagedIdentity", name=machine.id.name)
        self.engine.apply_within(connection, Change(puts=(machine,), detail=detail), actor, f"{MACHINES}/{action}", row["resource_id"])


def _parsed(statement: str) -> Parsed:
    try:
        return parse(statement)
    except Refused as error:
        raise ArmError("InvalidAuthenticationToken", f"The statement was refused: {error}.", status=401) from None


def _require_key(parsed: Parsed, row: RowMapping) -> Any:
    """The registered key, if it signed."""
    key = key_of_pkcs1(row["public_key"])
    if not signature_holds(parsed, key):
        text = f"Another key is registered for '{row['resource_id']}' than the one that signed. Register the new one."
        raise conflict(text, target=row["resource_id"], code="KeyMismatch")
    return key


def _require_open(row: RowMapping | None, vm_id: str) -> RowMapping:
    """The registration, if it may enrol."""
    if row is None or row["state"] not in (PENDING, ENROLLED):
        raise _not_registered(vm_id)
    return row


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) and len(value) <= 512 else ""


def _hash(nonce: str) -> str:
    return hashlib.sha256(nonce.encode(errors="surrogatepass")).hexdigest()


def _not_registered(vm_id: str) -> ArmError:
    text = f"No machine is registered with the vmId {vm_id or '(none)'}. It is registered by onboarding, or by a PUT of the machine."
    return ArmError("MachineNotRegistered", text, status=404)
