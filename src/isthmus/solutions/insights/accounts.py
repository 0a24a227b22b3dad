"""What needs a person about accounts: scopes that cannot be listed, syncs that fail or wait, deletions that are withheld."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, func, select

from isthmus.solutions import removal
from isthmus.solutions.insights.concern import Concern, Severity, number_of
from isthmus.solutions.insights.estate import TROUBLED, Connected, Solution, values, within
from isthmus.solutions.subject import FAILED, PENDING
from isthmus.store.tables import scopes

_SEPARATOR = '", "'
"""What stands between the keys of `scopes.vanished`."""

_GAPS: Mapping[str, tuple[Severity, str, str]] = MappingProxyType(
    {
        "denied": (
            "error",
            "{action} is not allowed",
            "Update the CloudFormation stack in account {account} with the connector's present authentication template, then sync again.",
        ),
        "scp": (
            "warning",
            "The organization forbids {action}",
            "A service or resource control policy denies it. Ask whoever runs the organization to allow it for the Isthmus role, "
            "or deselect these services or regions in the solution.",
        ),
        "throttled": (
            "information",
            "AWS slows us down",
            "The next sync tries again. If it stays so, sync less often or ask AWS for a higher limit.",
        ),
        "error": ("warning", "Scopes cannot be read", "Read the reason, then sync again. If it stays so, look at the server's log."),
    }
)


_GROUPED = (scopes.c.solution, scopes.c.outcome, scopes.c.action)
_BY_ACTION = (
    select(
        *_GROUPED,
        func.count().label("number"),
        func.count(scopes.c.region.distinct()).label("regions"),
        func.min(scopes.c.region).label("region"),
        func.min(scopes.c.reason).label("reason"),
        func.min(scopes.c.checked_at).label("since"),
    )
    .where(*TROUBLED)
    .group_by(*_GROUPED)
)


def gaps(connection: Connection, subscription: str, estate: Sequence[Connected]) -> Iterator[Concern]:
    """Scopes that could not be listed, per connector, outcome and missing action."""
    owners = _owners(estate)
    for row in connection.execute(_BY_ACTION, values(subscription)):
        if row.solution in owners:
            yield _gap(row, *owners[row.solution])


def _gap(row: Row[Any], owner: Connected, solution: Solution) -> Concern:
    severity, title, remedy = _GAPS[row.outcome]
    action = row.action or "Reading"
    where = (row.region or "global scopes") if row.regions == 1 else f"{row.regions} regions"
    scoped = number_of(int(row.number), "scope")
    return Concern(
        kind="gap",
        severity=severity,
        count=int(row.number),
        title=title.format(action=action),
        detail=f"{scoped} of {owner.name} ({owner.account}) in {where} could not be listed. {row.reason[:600]}",
        remedy=remedy.format(account=owner.account),
        target=owner.id,
        subject=f"{solution.name}|{row.outcome}|{row.action}",
        since=int(row.since),
    )


# Counted where they lie: there may be many keys. Every key but the last has a separator behind it.
_KEYS = 1 + (func.length(scopes.c.vanished) - func.length(func.replace(scopes.c.vanished, _SEPARATOR, ""))) // len(_SEPARATOR)
_FROZEN = (
    select(scopes.c.solution, scopes.c.region, func.sum(_KEYS).label("number"), func.min(scopes.c.checked_at).label("since"))
    .where(scopes.c.frozen, scopes.c.vanished != "", *within(scopes.c.solution))
    .group_by(scopes.c.solution, scopes.c.region)
)


def frozen(connection: Connection, subscription: str, estate: Sequence[Connected]) -> Iterator[Concern]:
    """Regions whose deletions are withheld, with the number of resources that vanished."""
    owners = _owners(estate)
    for row in connection.execute(_FROZEN, values(subscription)):
        if row.solution not in owners:
            continue
        owner, solution = owners[row.solution]
        region = row.region or "global"
        gone = number_of(int(row.number), "resource")
        yield Concern(
            kind="frozenDeletions",
            severity="warning",
            count=int(row.number),
            title=f"Deletions are frozen in {region}",
            detail=f"{gone} of {owner.name} ({owner.account}) vanished from {region} at once, so none was deleted.",
            remedy="If they are really gone, sync now with confirmDeletions. If not, find out why AWS does not list them.",
            target=solution.id,
            subject=row.region,
            since=int(row.since),
        )


def standing(estate: Sequence[Connected]) -> Iterator[Concern]:
    """Solutions that failed or wait for the account's trust, and connectors that could not be removed."""
    for owner in estate:
        if owner.state == removal.FAILED:
            yield _unremoved(owner)
        waiting = [one for one in owner.solutions if one.status == PENDING]
        if waiting:
            yield _pending(owner, waiting)
        for solution in owner.solutions:
            if solution.status == FAILED:
                yield _failed(owner, solution)


def _failed(owner: Connected, solution: Solution) -> Concern:
    return Concern(
        kind="failedSync",
        severity="error",
        count=1,
        title=f"The sync of {solution.name} fails",
        detail=f"{owner.name} ({owner.account}): {solution.details}"[:1000],
        remedy="It is tried again every ten minutes. Test the connector's permissions, then sync now.",
        target=solution.id,
        since=solution.changed_at,
    )


def _pending(owner: Connected, waiting: Sequence[Solution]) -> Concern:
    names = ", ".join(one.name for one in waiting)
    return Concern(
        kind="pendingAuthorization",
        severity="warning",
        count=len(waiting),
        title=f"Account {owner.account} does not trust Isthmus yet",
        detail=f"{owner.name} waits with {names}: {waiting[0].details}"[:1000],
        remedy=f"Deploy the connector's authentication template as a CloudFormation stack in account {owner.account}. "
        "Isthmus notices it by itself.",
        target=owner.id,
        since=min(one.created_at for one in waiting),
    )


def _unremoved(owner: Connected) -> Concern:
    return Concern(
        kind="failedRemoval",
        severity="error",
        count=1,
        title=f"{owner.name} could not be removed",
        detail=f"The removal of {owner.name} ({owner.account}) stopped in the middle; its solutions are gone already.",
        remedy="Remove it again, or put it again to keep it.",
        target=owner.id,
        since=owner.changed_at,
    )


def _owners(estate: Sequence[Connected]) -> dict[str, tuple[Connected, Solution]]:
    return {solution.key: (owner, solution) for owner in estate for solution in owner.solutions}
