"""Commands for many instances at once: who shares one, how it is sent exactly once, what became of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from isthmus.arm.envelope import instant
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import InvalidInstances, Invocation, ScanTarget, Shell
from isthmus.solutions.onboard.outcomes import Failure
from isthmus.solutions.onboard.rows import CONNECTING, InstanceRow

SIZE = 50
"""Instances of one command: AWS' limit."""
DELIVERY_SECONDS = 120
_EARLIER = 120_000
_NAMESPACE = UUID("5a0a5c0e-3d1a-5b0f-8c59-0a1c6f1f0d11")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a command goes and what all commands there share. `parameters` are the document's, without those of one command."""

    target: ScanTarget
    region: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Instances that get one command. `id` names the command for us and in its comment; `vm_ids` (by instance) only for connect.

    `fresh`: it was decided in this very tick, so nothing can have been sent for it yet.
    """

    id: str
    action: str
    generation: int
    instances: tuple[str, ...]
    vm_ids: Mapping[str, str] = field(default_factory=dict)
    since: int = 0
    fresh: bool = True

    @property
    def comment(self) -> str:
        """The command's comment: our idempotency key."""
        return f"isthmus {self.action} {self.id}"

    def parameters(self, place: Place) -> dict[str, str]:
        """The document's parameters for this command."""
        own = {"action": self.action, "generation": str(self.generation)}
        if self.action == "connect":
            own["machines"] = ";".join(f"{instance}={self.vm_ids[instance]}" for instance in self.instances)
            own["correlationId"] = str(uuid5(_NAMESPACE, self.id))
        return {**place.parameters, **own}


@dataclass(slots=True)
class Sent:
    """What became of sending: command ids, final refusals, and what may pass (to be tried again under the same name), by instance."""

    commands: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Failure] = field(default_factory=dict)
    delayed: dict[str, Failure] = field(default_factory=dict)


def shared_parameters(*, endpoint: str, ca: str, subscription: str, group: str, location: str, tenant: str, proxy: str) -> dict[str, str]:
    """Parameters that every command of a place carries. `ca` is PEM, public; empty parameters are left out."""
    given = {
        "endpoint": endpoint,
        "ca": base64.b64encode(ca.encode()).decode(),
        "subscriptionId": subscription,
        "resourceGroup": group,
        "location": location,
        "tenantId": tenant,
        "proxy": proxy,
    }
    return {name: value for name, value in given.items() if value}


def group(action: str, members: Iterable[InstanceRow]) -> list[tuple[str, list[InstanceRow]]]:
    """Rows that want the same command, in groups of at most 50 of one generation, each with its name.

    The name follows from who takes part and how often each had been sent something, so a repeated decision is the same command.
    """
    by_generation: dict[int, list[InstanceRow]] = {}
    for row in sorted(members, key=lambda row: row.key):
        by_generation.setdefault(row.generation, []).append(row)
    groups = []
    for generation, same in sorted(by_generation.items()):
        for start in range(0, len(same), SIZE):
            part = same[start : start + SIZE]
            content = "|".join([action, str(generation), *(f"{row.key}:{row.launch_time}:{row.sends}" for row in part)])
            groups.append((hashlib.sha256(content.encode()).hexdigest()[:32], part))
    return groups


def batches_of(waiting: Iterable[InstanceRow], vm_ids: Mapping[str, str], fresh: set[str]) -> list[Batch]:
    """The batches of rows whose command is decided and not known to be sent. `vm_ids` by row key; `fresh` are names of this tick."""
    found: dict[str, list[InstanceRow]] = {}
    for row in waiting:
        found.setdefault(row.batch, []).append(row)
    return [
        Batch(
            id=name,
            action="connect" if members[0].state == CONNECTING else "genkey",
            generation=members[0].generation,
            instances=tuple(sorted(row.instance_id for row in members)),
            vm_ids={row.instance_id: vm_ids[row.key] for row in members if row.key in vm_ids},
            since=min(row.since for row in members),
            fresh=name in fresh,
        )
        for name, members in sorted(found.items())
    ]


async def send_all(shell: Shell, place: Place, batches: Sequence[Batch]) -> Sent:
    """Send every batch, all at once. Batches of earlier ticks are looked for first, so that none is sent twice."""
    sent = Sent()
    known: Mapping[str, str] = {}
    stale = [batch.since for batch in batches if not batch.fresh]
    if stale:
        try:
            known = await shell.recent(place.target, place.region, _since(min(stale)))
        except (AwsError, AwsTransportError, PermissionError) as error:
            failure = failure_of_error(error)
            sent.delayed |= {instance: failure for batch in batches if not batch.fresh for instance in batch.instances}
            batches = [batch for batch in batches if batch.fresh]
    await asyncio.gather(*(_send(shell, place, batch, known, sent) for batch in batches))
    return sent


async def _send(shell: Shell, place: Place, batch: Batch, known: Mapping[str, str], sent: Sent) -> None:
    """Send one batch; ids that AWS refuses are dropped by name, or found by halving where it names none."""
    if batch.comment in known:
        sent.commands |= dict.fromkeys(batch.instances, known[batch.comment])
        return
    try:
        command = await shell.send(
            place.target,
            place.region,
            batch.instances,
            batch.parameters(place),
            comment=batch.comment,
            timeout=DELIVERY_SECONDS,
        )
    except InvalidInstances as error:
        await _send_without(shell, place, batch, error, known, sent)
    except (AwsError, AwsTransportError, PermissionError) as error:
        failure = failure_of_error(error)
        side = sent.delayed if failure.code in ("SSM_THROTTLED", "AWS_ERROR") else sent.refused
        side |= dict.fromkeys(batch.instances, failure)
    else:
        sent.commands |= dict.fromkeys(batch.instances, command)


async def _send_without(shell: Shell, place: Place, batch: Batch, error: InvalidInstances, known: Mapping[str, str], sent: Sent) -> None:
    failure = Failure(code="SSM_INVALID_INSTANCE", evidence={"message": str(error)[:300]})
    named = set(error.ids) & set(batch.instances)
    if named or len(batch.instances) == 1:
        dropped = named or set(batch.instances)
        sent.refused |= dict.fromkeys(dropped, failure)
        rest = tuple(instance for instance in batch.instances if instance not in dropped)
        if rest:
            await _send(shell, place, _part(batch, rest, batch.id), known, sent)
        return
    middle = len(batch.instances) // 2
    for half, mark in ((batch.instances[:middle], "a"), (batch.instances[middle:], "b")):
        await _send(shell, place, _part(batch, half, batch.id + mark), known, sent)


def _part(batch: Batch, instances: tuple[str, ...], name: str) -> Batch:
    kept = {"vm_ids": batch.vm_ids, "since": batch.since, "fresh": batch.fresh}
    return Batch(id=name, action=batch.action, generation=batch.generation, instances=instances, **kept)  # type: ignore[arg-type]


async def poll_all(shell: Shell, place: Place, commands: Iterable[str]) -> dict[str, dict[str, Invocation]]:
    """Where every command stands: by command, by instance. A command that cannot be asked about now is left out."""

    async def poll(command: str) -> tuple[str, dict[str, Invocation] | None]:
        try:
            found = await shell.invocations(place.target, place.region, command)
        except (AwsError, AwsTransportError, PermissionError):
            return command, None
        return command, {invocation.instance_id: invocation for invocation in found}

    answers = await asyncio.gather(*(poll(command) for command in sorted(set(commands))))
    return {command: found for command, found in answers if found is not None}


def failure_of_error(error: Exception) -> Failure:
    """What an error of the cloud's API means for the instances of a command."""
    evidence: dict[str, Any] = {"message": str(error)[:300]}
    code = "AWS_ERROR"
    if isinstance(error, PermissionError):
        code = "DOCUMENT_UNUSABLE"
    elif isinstance(error, AwsError):
        if "Throttl" in error.code or error.code in ("RateExceeded", "TooManyRequestsException", "RequestLimitExceeded"):
            code = "SSM_THROTTLED"
        elif error.code.startswith(("AccessDenied", "UnauthorizedOperation")):
            code = "ACCESS_DENIED"
        elif error.code == "UnsupportedPlatformType":
            code = "OS_UNSUPPORTED"
    return Failure(code=code, evidence=evidence)


def _since(milliseconds: int) -> str:
    return instant(milliseconds - _EARLIER)[:19] + "Z"
