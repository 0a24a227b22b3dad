"""How far a scan has come, summed up from its ledger of scopes; cheap enough to be asked every second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, select

from isthmus.clouds.aws.catalog import TYPES
from isthmus.solutions.ledger import NOT_SELECTED, TROUBLED
from isthmus.solutions.subject import COMPLETED, WITH_GAPS
from isthmus.store.tables import scans, scopes


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Scopes of a region, of a service or of all: how many there are to do, are done, and are gaps; and resources in those that are done.

    A gap is what somebody has to do something about.
    """

    expected: int = 0
    done: int = 0
    gaps: int = 0
    resources: int = 0

    def __add__(self, other: Part) -> Part:
        return Part(
            expected=self.expected + other.expected,
            done=self.done + other.done,
            gaps=self.gaps + other.gaps,
            resources=self.resources + other.resources,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The newest scan of a solution. `is_expected` is False while its number of scopes is unknown: no scan before it came to an end."""

    scan: Row[Any]
    whole: Part
    is_expected: bool
    regions: Mapping[str, Part]
    services: Mapping[str, Part]


def progress_of(connection: Connection, solution: str) -> Progress | None:
    """The progress of the newest scan of a solution (key), which may have ended; None when there was none yet.

    Scopes of an older scan are expected and not done yet, unless that scan did not look at them either.
    """
    newest = select(scans).where(scans.c.solution == solution).order_by(scans.c.started_at.desc(), scans.c.id.desc()).limit(1)
    scan = connection.execute(newest).first()
    if scan is None:
        return None
    regions = {row[0]: _part(row) for row in connection.execute(_summed(scopes.c.region, solution, scan.id))}
    services: dict[str, Part] = defaultdict(Part)
    for row in connection.execute(_summed(scopes.c.type, solution, scan.id)):
        entry = TYPES.get(row[0])
        services[entry.service if entry is not None else row[0]] += _part(row)
    is_expected = scan.ended_at is not None or _has_ended_before(connection, solution, scan)
    return Progress(scan=scan, whole=sum(regions.values(), Part()), is_expected=is_expected, regions=regions, services=services)


def _summed(column: ColumnElement[str], solution: str, scan: str) -> Select[*tuple[Any, ...]]:
    done = and_(scopes.c.scan == scan, scopes.c.outcome != NOT_SELECTED)
    gap = and_(done, scopes.c.outcome.in_(TROUBLED))
    sums: tuple[Any, ...] = (
        func.count(),
        func.sum(case((done, 1), else_=0)),
        func.sum(case((gap, 1), else_=0)),
        func.sum(case((done, scopes.c.rows), else_=0)),
    )
    return select(column, *sums).where(scopes.c.solution == solution, scopes.c.outcome != NOT_SELECTED).group_by(column)


def _part(row: Sequence[Any]) -> Part:
    _, expected, done, gaps, found = row
    return Part(expected=int(expected), done=int(done), gaps=int(gaps), resources=int(found))


def _has_ended_before(connection: Connection, solution: str, scan: Row[Any]) -> bool:
    whole = scans.c.status.in_((COMPLETED, WITH_GAPS))
    earlier = select(scans.c.id).where(scans.c.solution == solution, scans.c.id != scan.id, whole).limit(1)
    return connection.execute(earlier).first() is not None
