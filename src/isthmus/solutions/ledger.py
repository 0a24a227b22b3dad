"""The ledger of scopes: per cell the last outcome, how many rows it had, and what is to be deleted once the whole region was weighed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from isthmus.clouds.contract import Cell, Gap, Listed
from isthmus.solutions import places
from isthmus.store import dialect
from isthmus.store.tables import resources, scopes

NOT_SELECTED = "not-selected"
"""The outcome of a cell that the scan was not to look at, or could not know of, and that has projections nevertheless."""

TROUBLED = ("denied", "scp", "throttled", "error")
"""Outcomes of cells that somebody has to do something about; the others say that there is nothing to list."""


def done_cells(connection: Connection, solution: str, scan: str) -> set[Cell]:
    """Cells that this scan has finished already; a repeated step leaves them out."""
    rows = connection.execute(
        select(scopes.c.account, scopes.c.region, scopes.c.type).where(
            scopes.c.solution == solution, scopes.c.scan == scan, scopes.c.outcome != NOT_SELECTED
        )
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
            listed.append(row | {"outcome": "complete", "reason": reason, "action": "", "rows": end.rows, "complete_at": now})
        else:
            reason = f"{end.reason} (missing: {end.action})" if end.action and end.action not in end.reason else end.reason
            gaps.append(row | {"outcome": end.outcome, "reason": reason[:2000], "action": end.action[:128], "rows": 0, "complete_at": None})
    dialect.upsert(connection, scopes, listed)
    dialect.upsert(connection, scopes, gaps, keep=("rows", "complete_at"))


def vanished(connection: Connection, solution: str, scan: str) -> dict[str, list[tuple[Cell, list[str]]]]:
    """Per region, complete cells of this scan with the keys that they did not list any more and that nobody has decided on yet."""
    found: dict[str, list[tuple[Cell, list[str]]]] = {}
    wanted = (scopes.c.solution == solution, scopes.c.scan == scan, scopes.c.vanished != "")
    columns = (scopes.c.account, scopes.c.region, scopes.c.type, scopes.c.vanished)
    for row in connection.execute(select(*columns).where(*wanted).order_by(scopes.c.region, scopes.c.type)):
        cell = Cell(account=row.account, region=row.region, type=row.type)
        found.setdefault(row.region, []).append((cell, json.loads(row.vanished)))
    return found


def settle(connection: Connection, solution: str, scan: str, region: str, *, frozen: bool) -> None:
    """Close the question of a region's vanished rows: deleted, or frozen and said so, so that a repeated step weighs them again."""
    wanted = (scopes.c.solution == solution, scopes.c.scan == scan, scopes.c.region == region, scopes.c.vanished != "")
    connection.execute(update(scopes).where(*wanted).values(**({"frozen": True} if frozen else {"vanished": "", "frozen": False})))


def known(connection: Connection, prefix: str) -> int:
    """How many projections stem from cells below a source prefix, which ends with a slash."""
    count = connection.execute(select(func.count()).select_from(resources).where(*below(prefix))).scalar()
    return int(count or 0)


def held(connection: Connection, account: str) -> dict[Cell, int]:
    """Every cell of the account that projections stem from, with their number."""
    found = select(resources.c.source, func.count()).where(*below(f"{account}/")).group_by(resources.c.source)
    return {places.cell_of(str(source)): int(count) for source, count in connection.execute(found)}


def keys_of(connection: Connection, cell: Cell) -> list[str]:
    """The keys of a cell's projections."""
    source = places.source_of(cell.account, cell.region, cell.type)
    return list(connection.execute(select(resources.c.key).where(resources.c.source == source)).scalars())


def leave_out(connection: Connection, solution: str, scan: str, kept: Mapping[Cell, tuple[int, str]], now: int) -> None:
    """Say of cells that this scan did not look at why not, and how many projections they keep. Older rows of others are forgotten."""
    known_cells = {
        Cell(account=row.account, region=row.region, type=row.type): row.complete_at
        for row in connection.execute(select(scopes).where(scopes.c.solution == solution, scopes.c.scan != scan))
    }
    rows = [
        {
            "solution": solution,
            "account": cell.account,
            "region": cell.region,
            "type": cell.type,
            "scan": scan,
            "outcome": NOT_SELECTED,
            "reason": reason,
            "action": "",
            "rows": count,
            "checked_at": now,
            "complete_at": known_cells.get(cell),
            "vanished": "",
            "frozen": False,
        }
        for cell, (count, reason) in kept.items()
    ]
    dialect.upsert(connection, scopes, rows)
    connection.execute(delete(scopes).where(scopes.c.solution == solution, scopes.c.scan != scan))


def below(prefix: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Sources that begin with a prefix; `0` is what follows the slash at its end."""
    return resources.c.source >= prefix, resources.c.source < prefix[:-1] + "0"


def summary(connection: Connection, solution: str, scan: str) -> Mapping[str, int]:
    """Cells of this scan by outcome."""
    wanted = (scopes.c.solution == solution, scopes.c.scan == scan)
    rows = connection.execute(select(scopes.c.outcome, func.count()).where(*wanted).group_by(scopes.c.outcome))
    return {str(outcome): int(count) for outcome, count in rows}
