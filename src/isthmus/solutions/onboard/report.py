"""How a solution's onboarding stands, in ARM's words: its status with a sentence, and one inventory entry per instance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.ids import parse_resource
from isthmus.clouds.contract import Gap, Listed
from isthmus.engine import Engine
from isthmus.solutions import ledger, subject
from isthmus.solutions.onboard import rows
from isthmus.solutions.onboard.codes import CODES
from isthmus.solutions.onboard.registering import ACTOR
from isthmus.solutions.onboard.rows import NEVER, InstanceRow
from isthmus.solutions.onboard.statuses import STATUSES, arm_status, by_word
from isthmus.store import Store
from isthmus.store.tables import scopes

_TYPE = "microsoft.hybridconnectivity/solutionconfigurations/inventory"


def close_regions(connection: Connection, solution: str, scan: str, ends: Iterable[Listed | Gap], now: int) -> None:
    """Note which regions could be read, and forget those that are not looked at any more."""
    ended = list(ends)
    ledger.close(connection, solution, scan, [(end, []) for end in ended], now)
    kept = [end.cell.region for end in ended]
    connection.execute(delete(scopes).where(scopes.c.solution == solution, scopes.c.region.not_in(kept)))


def standing(connection: Connection, solution: str) -> tuple[str, str]:
    """Status and sentence of a solution by its rows and regions."""
    found = rows.counts(connection, solution)
    gaps = list(
        connection.execute(
            select(scopes.c.region, scopes.c.reason)
            .where(scopes.c.solution == solution, scopes.c.outcome != "complete")
            .order_by(scopes.c.region)
        )
    )
    total = sum(found.values())
    words = by_word(found)
    parts = [f"{words[status.word]} {status.phrase}" for status in STATUSES if words[status.word]]
    text = f"{total} instance{'' if total == 1 else 's'}" + (f": {', '.join(parts)}." if parts else ".")
    blocked: dict[str, int] = {}
    for (state, code), number in found.items():
        if state in (rows.BLOCKED, rows.QUARANTINED):
            blocked[code] = blocked.get(code, 0) + number
    if blocked:
        text += f" Blocked: {', '.join(f'{number} {code}' for code, number in sorted(blocked.items()))}."
    if gaps:
        text += f" Regions that could not be read: {'; '.join(f'{gap.region} ({gap.reason[:200]})' for gap in gaps)}."
    working = any(state in rows.IN_FLIGHT or state == rows.DISCOVERED for state, _ in found)
    status = subject.IN_PROGRESS if working else subject.WITH_GAPS if gaps else subject.COMPLETED
    return status, text


def say(engine: Engine, solution: str, *, synced: bool = False) -> tuple[str, str]:
    """Set the solution's status where it changed. Counted while the solution is held, so that the last of two ticks says the truth."""
    told: list[tuple[str, str]] = []

    def decide(old: Resource | None) -> Change:
        with engine.store.read() as connection:
            status, text = standing(connection, solution.lower())
        told.append((status, text))
        if old is None or (not synced and (old.properties.get("status"), old.properties.get("statusDetails")) == (status, text)):
            return Change()
        changed = {"status": status, "statusDetails": text} | ({"lastSyncTime": instant(engine.now())} if synced else {})
        return Change(puts=(replace(old, properties={**old.properties, **changed}),), detail={"status": status})

    engine.write(parse_resource(solution), decide, ACTOR, f"{subject.CONFIGURATIONS}/status")
    return told[-1]


def inventory_items(store: Store, solution: str) -> Iterator[dict[str, Any]]:
    """The instances of a solution as `solutionConfigurations/inventory` resources, in the order of their names."""
    with store.read() as connection:
        found = rows.of_solution(connection, solution.lower())
        machines = rows.machine_ids(connection, solution.lower())
    for row in found:
        yield _item(row, solution, machines.get(row.machine, ""))


def _item(row: InstanceRow, solution: str, machine: str) -> dict[str, Any]:
    return {
        "id": f"{solution}/inventory/{row.instance_id}",
        "name": row.instance_id,
        "type": _TYPE,
        "properties": properties_of(row, machine),
    }


def properties_of(row: InstanceRow, machine: str) -> dict[str, Any]:
    """What is told of an instance; `machine` is the id of its machine resource, empty while there is none."""
    code = CODES.get(row.code)
    details = code.sentence({"instance": row.instance_id, **row.evidence}) if code else _progress(row)
    return {
        "cloudNativeType": "ec2",
        "cloudNativeResourceId": f"arn:{_partition(row.region)}:ec2:{row.region}:{row.account}:instance/{row.instance_id}",
        "azureResourceId": machine,
        "status": arm_status(row.state),
        "statusDetails": details,
        "provisioningState": "Succeeded",
        "state": row.state,
        "code": row.code,
        "codeClass": code.kind if code else "",
        "evidence": dict(row.evidence),
        "region": row.region,
        "generation": row.generation,
        "attempts": row.attempts,
        "since": instant(row.since),
        "nextRetry": None if row.next_at >= NEVER else instant(row.next_at),
    }


def _progress(row: InstanceRow) -> str:
    return {
        rows.DISCOVERED: "Found; onboarding begins.",
        rows.KEYGEN: "The instance makes its key pair.",
        rows.CONNECTING: "The machine is registered; its agent connects.",
        rows.VERIFYING: "The agent has connected; its proof is awaited.",
        rows.CONNECTED: "Connected.",
    }.get(row.state, row.state)


def _partition(region: str) -> str:
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
