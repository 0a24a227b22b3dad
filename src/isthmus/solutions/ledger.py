"""The ledger of scopes: per cell the last outcome, how many rows it had, and what is to be deleted once the whole region was weighed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from isthmus.clouds.contract import Cell, Gap, Listed
from isthmus.store import dialect
from isthmus.store.tables import resources, scopes


def done_cells(connection: Connection, solution: str, scan: str) -> set[Cell]:
    """Cells that this scan has finished already; a repeated step leaves them out."""
    rows = connection.execute(
        select(scopes.c.account, scopes.c.region, scopes.c.type).where(scopes.c.solution == solution, scopes.c.scan == scan)
    )
    return {Cell(account=row.account, region=row.region, type=row.type) for row in rows}


def close(connection: Connection, solution: str, scan: str, ends: Iterable[tuple[Listed | Gap, Sequence[str]]], now: int) -> None:
    """Write the end of cells. `ends` pairs each with the keys that it did not list any more (empty for a gap)."""
    listed, gaps = [], []
    for end, vanished in ends:
        row: dict[str, Any] = {
            "solution": solution,
            "account": end.cell.account,
            "region": end.cell.region,
            "type": end.cell.type,
            "scan": scan,
            "checked_at": now,
            "frozen": False,
            "vanished": json.dumps(list(vanished)) if vanished else "",
        }
        if isinstance(end, Listed):
            reason = f"Details of some resources are missing: {'; '.join(end.shortfalls)}"[:2000] if end.shortfalls else ""
            listed.append(row | {"outcome": "complete", "reason": reason, "rows": end.rows, "complete_at": now})
        else:
            reason = f"{end.reason} (missing: {end.action})" if end.action and end.action not in end.reason else end.reason
            gaps.append(row | {"outcome": end.outcome, "reason": reason[:2000], "rows": 0, "complete_at": None})
    dialect.upsert(connection, scopes, listed)
    dialect.upsert(connection, scopes, gaps, keep=("rows", "complete_at"))


def vanished(connection: Connection, solution: str, scan: str) -> dict[str, list[str]]:
    """Per region, the keys of rows that complete cells of this scan did not list any more and that nobody has decided on yet."""
    found: dict[str, list[str]] = {}
    wanted = (scopes.c.solution == solution, scopes.c.scan == scan, scopes.c.vanished != "")
    for row in connection.execute(select(scopes.c.region, scopes.c.vanished).where(*wanted)):
        found.setdefault(row.region, []).extend(json.loads(row.vanished))
    return found


def settle(connection: Connection, solution: str, scan: str, region: str, *, frozen: bool) -> None:
    """Close the question of a region's vanished rows: deleted, or frozen and said so."""
    wanted = (scopes.c.solution == solution, scopes.c.scan == scan, scopes.c.region == region, scopes.c.vanished != "")
    connection.execute(update(scopes).where(*wanted).values(vanished="", frozen=frozen))


def known(connection: Connection, prefix: str) -> int:
    """How many projections stem from cells below a source prefix."""
    count = connection.execute(
        select(func.count()).select_from(resources).where(resources.c.source >= prefix, resources.c.source < prefix + "\x7f")
    ).scalar()
    return int(count or 0)


def summary(connection: Connection, solution: str, scan: str) -> Mapping[str, int]:
    """Cells of this scan by outcome."""
    wanted = (scopes.c.solution == solution, scopes.c.scan == scan)
    rows = connection.execute(select(scopes.c.outcome, func.count()).where(*wanted).group_by(scopes.c.outcome))
    return {str(outcome): int(count) for outcome, count in rows}
