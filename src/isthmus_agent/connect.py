"""genkey, connect and disconnect: how a machine gets its identity and gives it up."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus_agent import poke
from isthmus_agent.exits import AgentError, Exit
from isthmus_agent.facts import gather
from isthmus_agent.keys import Key
from isthmus_agent.plane import Answer, Caller, NetworkError, split_url
from isthmus_agent.store import Connection, Store
from isthmus_agent.tokens import Tokens

ATTEMPTS = 4
ENROL_KIND = "isthmus-enrol+jwt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The ARM machine that `connect existing` names."""

    subscription_id: str
    resource_group: str
    resource_name: str
    location: str
    tenant_id: str
    vm_id: str
    cloud: str
    correlation_id: str

    @property
    def resource_id(self) -> str:
        """The machine's ARM id."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.HybridCompute/machines/{self.resource_name}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Which control plane to talk to, as the environment says. `ca` is PEM, empty for the system's CAs."""

    endpoint: str
    ca: str = field(repr=False)
    generation: str

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Destination:
        """Read ISTHMUS_ENDPOINT, ISTHMUS_CA (base64 of PEM) and ISTHMUS_GENERATION; AgentError 75 on a malformed one."""
        endpoint = environ.get("ISTHMUS_ENDPOINT", "").rstrip("/")
        if endpoint:
            split_url(endpoint)
        try:
            ca = base64.b64decode(environ.get("ISTHMUS_CA", ""), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise AgentError(Exit.CLOUD_CONFIG, "ISTHMUS_CA must be the base64 form of a PEM certificate.") from error
        return cls(endpoint=endpoint, ca=ca, generation=generation_of(environ))


def generation_of(environ: Mapping[str, str]) -> str:
    """ISTHMUS_GENERATION, which numbers the registrations of a machine; `""` when it is not set."""
    generation = environ.get("ISTHMUS_GENERATION", "")
    if not re.fullmatch(r"[0-9]{0,10}", generation):
        raise AgentError(Exit.CLOUD_CONFIG, "ISTHMUS_GENERATION must be a whole number.")
    return generation


def generate(store: Store, generation: str) -> str:
    """The public key of this generation: the saved one, the identity's when it was enrolled in this generation, or a new one.

    So a lost answer can be asked for again, and a new generation always gets a new key.
    """
    with store.locked():
        saved = store.saved_key()
        if saved and saved[1] == generation:
            return saved[0].public
        connection = store.connection()
        if connection and generation and connection.generation == generation:
            return store.key(connection.identity_key).public
        key = Key.generate()
        store.save_saved_key(key, generation)
        return key.public


def connect(
    store: Store,
    wanted: Wanted,
    destination: Destination,
    plane: Caller,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Connection:
    """Enrol this machine with the saved key; the connection. Repeating it is harmless, and no other connection is ever overwritten.

    Raises AgentError: 67 connected to something else, 104 no saved key, 26 control plane not reached, 81 another key is
    registered, 62 refused for another reason.
    """
    with store.locked():
        present = store.connection()
        _refuse_other(present, wanted, destination)
        saved = store.saved_key()
        same = present is not None and present.vm_id.casefold() == wanted.vm_id.casefold()
        if present and same and (saved is None or saved[1] == present.generation):
            store.drop_saved_key()
            store.sweep()
            return present
        if saved is None and present and present.generation == destination.generation:
            saved = (store.key(present.identity_key), present.generation)  # what genkey printed for this generation
        if saved is None:
            raise AgentError(Exit.READ_PRIVATE_KEY, "There is no saved key; run genkey first and register its public key.")
        if not destination.endpoint:
            raise AgentError(Exit.CLOUD_CONFIG, "ISTHMUS_ENDPOINT is not set; this agent connects to an Isthmus control plane only.")
        key, generation = saved
        name = store.save_key(key)
        answer = _enrol(store, key, wanted, destination, plane, clock=clock, sleep=sleep)
        connection = _connection(wanted, destination, answer.body, generation=generation, key=name)
        store.save(connection)
        store.drop_saved_key()
        store.sweep()
    poke.send(store.paths)
    return connection


def _refuse_other(present: Connection | None, wanted: Wanted, destination: Destination) -> None:
    """Refuse to overwrite another connection.

    The same resource of the same control plane under a new vmId is not another one: a resource's vmId never changes, so the resource
    was removed and registered anew, and the old identity is worth nothing. It is replaced once the new enrolment succeeded.
    """
    if present is None or present.same_machine(wanted.resource_id, wanted.vm_id):
        return
    if present.same_machine(wanted.resource_id, present.vm_id) and present.endpoint == destination.endpoint:
        return
    raise AgentError(
        Exit.ALREADY_CONNECTED,
        f"This machine is already connected to {present.resource_id} (VM ID {present.vm_id}). Disconnect it there first.",
    )


def _enrol(
    store: Store,
    key: Key,
    wanted: Wanted,
    destination: Destination,
    plane: Caller,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Answer:
    """Challenge and enrol; every attempt with a nonce of its own, because a lost answer may have used the last one up."""
    facts = gather(store.paths.root)
    audience = f"{destination.endpoint}/agent/v1/enrol"
    last: AgentError = NetworkError("The control plane was not reached.")
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(0.5 * 2**attempt)
        try:
            challenge = plane.post(f"{destination.endpoint}/agent/v1/challenge", {"vmId": wanted.vm_id})
            answer = challenge
            if challenge.ok:
                extra = {"nonce": challenge.body.get("nonce"), "resourceId": wanted.resource_id, "tenantId": wanted.tenant_id}
                statement = key.statement(kind=ENROL_KIND, subject=wanted.vm_id, audience=audience, now=clock(), extra=extra)
                answer = plane.post(audience, {"statement": statement, "facts": facts})
        except NetworkError as error:
            last = error
            continue
        if answer.ok:
            return answer
        last = _refusal(answer)
        if not answer.transient:
            break
    raise last


def _refusal(answer: Answer) -> AgentError:
    text = answer.message or f"the control plane answered {answer.status}"
    if answer.code == "KeyMismatch":
        return AgentError(Exit.IDENTITY, f"{text} Register the public key of a new generation and connect again.")
    if answer.transient:
        return AgentError(Exit.NETWORK, f"The control plane cannot serve the request now ({answer.status} {answer.code}): {text}")
    return AgentError(Exit.CONNECT_FAILED, f"The control plane refused ({answer.status} {answer.code}): {text}")


def _connection(wanted: Wanted, destination: Destination, body: Mapping[str, Any], *, generation: str, key: str) -> Connection:
    def text(name: str) -> str:
        value = body.get(name)
        if not isinstance(value, str) or not value:
            raise AgentError(Exit.CONNECT_FAILED, f"The control plane's answer has no {name}.")
        return value

    if text("resourceId").casefold() != wanted.resource_id.casefold():
        raise AgentError(Exit.CONNECT_FAILED, f"The control plane enrolled {text('resourceId')}, not {wanted.resource_id}.")
    split_url(text("tokenEndpoint"))
    seconds = body.get("heartbeatSeconds")
    return Connection(
        subscription_id=wanted.subscription_id,
        resource_group=wanted.resource_group,
        resource_name=wanted.resource_name,
        resource_id=text("resourceId"),
        tenant_id=text("tenantId"),
        location=wanted.location,
        vm_id=wanted.vm_id,
        cloud=wanted.cloud,
        correlation_id=wanted.correlation_id,
        endpoint=destination.endpoint,
        ca=destination.ca,
        client_id=text("clientId"),
        principal_id=text("principalId"),
        token_endpoint=text("tokenEndpoint"),
        heartbeat_seconds=int(seconds) if isinstance(seconds, int) and not isinstance(seconds, bool) else 300,
        registration_expires_at=text("registrationExpiresAt"),
        generation=generation,
        identity_key=key,
    )


def disconnect(store: Store, plane_for: Callable[[str], Caller], *, local_only: bool, clock: Callable[[], float]) -> bool:
    """Leave the control plane and clear the identity; False when the machine was not connected.

    AgentError 63 when the control plane could not be told; then nothing is cleared, and `local_only` is the way out.
    """
    with store.locked():
        if local_only:
            connected = store.paths.config.exists()
            _clear(store)
            return connected
        connection = store.connection()
        if connection is None:
            return False
        plane = plane_for(connection.ca)
        try:
            token = Tokens(store, plane, clock=clock).token(connection)
            answer = plane.post(f"{connection.endpoint}/agent/v1/disconnect", {}, bearer=token)
        except AgentError as error:
            raise AgentError(Exit.DISCONNECT_FAILED, f"The control plane was not told: {error.message}") from error
        if not answer.ok and answer.status not in (404, 410):
            raise AgentError(Exit.DISCONNECT_FAILED, f"The control plane refused ({answer.status} {answer.code}): {answer.message}")
        _clear(store)
    return True


def _clear(store: Store) -> None:
    store.drop_saved_key()
    store.forget()
    poke.send(store.paths)
