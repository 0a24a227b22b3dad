"""What needs a person about machines: why they are blocked, which are silent, whose registration ended or is about to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from sqlalchemy import BigInteger, Connection, Executable, Select, bindparam, func, select

from isthmus.machines.registration import ENROLLED, EXPIRED
from isthmus.solutions.insights.concern import Concern, Severity, number_of
from isthmus.solutions.insights.estate import MINE, SOLUTIONS, values, within
from isthmus.solutions.onboard import rows
from isthmus.solutions.onboard.codes import CODES
from isthmus.solutions.subject import CONFIGURATIONS
from isthmus.store.tables import instances, registrations, resources

SOON = 30 * 86_400_000
"""Milliseconds before its end at which something counts as expiring."""

_SEVERITIES: MappingProxyType[str, Severity] = MappingProxyType({"U": "error", "S": "error", "E": "warning", "T": "information"})


def _by_code() -> Select[Any]:
    solution = resources.alias("solution")
    grouped = (
        select(
            instances.c.code,
            func.count().label("number"),
            func.min(instances.c.key).label("example"),
            func.min(instances.c.since).label("since"),
            func.min(solution.c.id).label("first"),
            func.max(solution.c.id).label("last"),
        )
        .select_from(instances.join(solution, instances.c.solution == solution.c.key))
        .where(instances.c.state.in_((rows.BLOCKED, rows.QUARANTINED)))
        .where(solution.c.type == CONFIGURATIONS.lower(), solution.c.subscription == MINE)
        .group_by(instances.c.code)
        .subquery()
    )
    return select(grouped, instances.c.instance_id, instances.c.evidence).join(instances, instances.c.key == grouped.c.example)


_BLOCKED = _by_code()


def blocked(connection: Connection, subscription: str) -> Iterator[Concern]:
    """Blocked instances by code. The target is the connector where it is one, else the subscription; `subject` is the code."""
    for row in connection.execute(_BLOCKED, values(subscription)):
        code, count = CODES.get(row.code), int(row.number)
        owners = {
            solution_id.partition("/providers/Microsoft.HybridConnectivity/solutionConfigurations/")[0]
            for solution_id in (row.first, row.last)
        }
        sentence = code.sentence({"instance": row.instance_id, **json.loads(row.evidence)}) if code else ""
        yield Concern(
            kind="blockedMachines",
            severity=_SEVERITIES.get(code.kind if code else "U", "error"),
            count=count,
            title=f"{number_of(count, 'machine')} blocked: {row.code}",
            detail=f"{row.instance_id}: {sentence}" if count == 1 else f"For example {row.instance_id}: {sentence}",
            remedy=sentence if count == 1 else code.general if code else "",
            target=owners.pop() if len(owners) == 1 else f"/subscriptions/{subscription}",
            subject=row.code,
            since=int(row.since),
        )


def _quiets() -> Iterator[tuple[str, Executable]]:
    """What to count for each kind of silence: how many, since when, and one of them."""
    stopped = select(instances.c.machine).where(instances.c.state == rows.STOPPED, instances.c.solution.in_(SOLUTIONS))
    mine, still, ends = within(registrations.c.resource), registrations.c.silent_since, registrations.c.expires_at
    enrolled = registrations.c.state == ENROLLED
    chosen = (
        ("disconnectedMachines", still, (enrolled, still.isnot(None), registrations.c.resource.not_in(stopped))),
        ("expiredMachines", ends, (registrations.c.state == EXPIRED,)),
        ("expiringMachines", ends, (enrolled, ends <= bindparam("soon", type_=BigInteger))),
    )
    for kind, column, wanted in chosen:
        yield kind, select(func.count(), func.min(column), func.min(registrations.c.resource_id)).where(*mine, *wanted)


_SILENT = tuple(_quiets())


def silent(connection: Connection, subscription: str, now: int) -> Iterator[Concern]:
    """Machines that fell silent (those whose instance is stopped left out), whose registration ended, or ends within `SOON`."""
    for kind, query in _SILENT:
        count, since, example = connection.execute(query, {**values(subscription), "soon": now + SOON}).one()
        if count:
            yield _quiet(kind, int(count), since, str(example), subscription)


_WORDS = MappingProxyType(
    {
        "disconnectedMachines": (
            "warning",
            "{machines} silent",
            "No heartbeat for more than 15 minutes, while the instance does not count as stopped.",
            "Look at the machine's network and proxy, and at the agent on it: azcmagent show, systemctl status himds.",
        ),
        "expiredMachines": (
            "error",
            "The registration of {machines} ended",
            "The agent was away for so long that its key is not believed any more, or it did not enrol in time.",
            "Sync the onboarding of their connector: instances that Systems Manager reaches are registered again with a new key. "
            "Others have to be connected again on the machine.",
        ),
        "expiringMachines": (
            "warning",
            "The registration of {machines} ends within 30 days",
            "Agents renew it by themselves 45 days before its end, so that these have not been able to.",
            "Look at the agent's log on the machine, and bring its agent up to date.",
        ),
    }
)


def _quiet(kind: str, count: int, since: int | None, example: str, subscription: str) -> Concern:
    severity, title, detail, remedy = _WORDS[kind]
    one = count == 1
    return Concern(
        kind=kind,
        severity="error" if severity == "error" else "warning",
        count=count,
        title=title.format(machines=number_of(count, "machine")),
        detail=f"{example.rpartition('/')[2]}: {detail}" if one else f"For example {example.rpartition('/')[2]}: {detail}",
        remedy=remedy,
        target=example if one else f"/subscriptions/{subscription}",
        since=since,
    )
