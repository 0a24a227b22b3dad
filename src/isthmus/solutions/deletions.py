"""What a scan takes away: rows that complete cells listed no more, unless too much is gone at once, and what is not selected any more.

One transaction per region: rows are locked first, in the order of their keys, the ledger is written next, and the audit record comes last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, select

from isthmus.arm.change import Change
from isthmus.arm.ids import ResourceId, parse_resource
from isthmus.clouds.aws.catalog import selected
from isthmus.clouds.contract import Cell, Selection
from isthmus.engine import Engine
from isthmus.solutions import ledger, places
from isthmus.solutions.projection import ACTOR, hold
from isthmus.solutions.subject import Subject
from isthmus.store.tables import registrations

_CHUNK = 400
_KEPT = "What is known of it is kept as it was; "


def settle(engine: Engine, found: Subject, scan: str, *, confirmed: bool) -> dict[str, int]:
    """Delete what complete cells listed no more, unless too much of a region is gone at once; answers frozen rows by region.

    A step that is repeated decides again on what is frozen, and finds nothing where it has deleted already.
    """
    frozen: dict[str, int] = {}
    solution, account = found.solution.id.key, found.target.account
    with engine.store.read() as connection:
        regions = ledger.vanished(connection, solution, scan)
    for region, missed in regions.items():
        with engine.store.begin() as connection:
            gone = _still_theirs(connection, missed)
            allowed = max(10.0, 0.2 * ledger.known(connection, places.source_of(account, region, "")))
            if len(gone) > allowed and not confirmed:
                frozen[region or "global"] = len(gone)
            ledger.settle(connection, solution, scan, region, frozen=(region or "global") in frozen)
            if gone and (region or "global") not in frozen:
                _delete(engine, connection, found, gone, {"scan": scan, "region": region})
    return frozen


def leave_out(engine: Engine, found: Subject, scan: str, chosen: Selection, *, confirmed: bool) -> None:
    """Say of cells that have projections and that this scan did not look at why they are kept; `confirmed` removes deselected ones.

    A region that AWS did not name is kept in any case: whoever may not list regions cannot tell a closed one from an unseen one.
    """
    solution, account = found.solution.id.key, found.target.account
    with engine.store.read() as connection:
        looked_at = ledger.done_cells(connection, solution, scan)
        left = {cell: count for cell, count in ledger.held(connection, account).items() if cell not in looked_at}
    reasons = {cell: _deselected(cell, chosen) for cell in left}
    removed: dict[str, list[Cell]] = defaultdict(list)
    for cell, reason in reasons.items():
        if confirmed and reason:
            removed[cell.region].append(cell)
            del left[cell]
    for region, cells in removed.items():
        with engine.store.begin() as connection:
            gone = _still_theirs(connection, [(cell, ledger.keys_of(connection, cell)) for cell in cells])
            _delete(engine, connection, found, gone, {"scan": scan, "region": region, "deselected": len(cells)})
    kept = {cell: (count, reasons[cell] or _unseen(cell)) for cell, count in left.items()}
    with engine.store.begin() as connection:
        ledger.leave_out(connection, solution, scan, kept, engine.now())


def _deselected(cell: Cell, chosen: Selection) -> str:
    """Why the settings leave a cell out; empty when they do not."""
    why = ""
    if cell.type not in {entry.arm for entry in selected(chosen.services)}:
        why = "Its service is not selected (cloudProviderServiceTypes)."
    elif cell.region and chosen.regions is not None and cell.region not in chosen.regions:
        why = f"Region {cell.region} is not selected (cloudProviderRegions)."
    return f"{why} {_KEPT}sync now with confirmDeletions to remove it." if why else ""


def _unseen(cell: Cell) -> str:
    where = f"Region {cell.region} is closed in the account, or AWS did not name it" if cell.region else "This scan did not look at it"
    return f"{where}. {_KEPT}to remove it, select other regions in cloudProviderRegions and sync now with confirmDeletions."


def _still_theirs(connection: Connection, missed: Iterable[tuple[Cell, Sequence[str]]]) -> list[ResourceId]:
    """Of the rows that cells missed, those that no other cell has listed since. They are locked, and so are their hosts."""
    owners = {key: places.source_of(cell.account, cell.region, cell.type) for cell, keys in missed for key in keys}
    hosts = {host.key for key in owners if (host := _host_of(parse_resource(key))) is not None}
    held = hold(connection, {*owners, *hosts})
    return [row.id for key, row in held.items() if key in owners and row.source == owners[key]]


def _delete(engine: Engine, connection: Connection, found: Subject, gone: Sequence[ResourceId], detail: Mapping[str, object]) -> None:
    """Remove projections, and with an instance its machine as long as no agent has joined it."""
    hosts = {host.key: host for id in gone if (host := _host_of(id)) is not None}
    keys = sorted(hosts)
    for start in range(0, len(keys), _CHUNK):
        joined = registrations.c.resource.in_(keys[start : start + _CHUNK])
        for key in connection.execute(select(registrations.c.resource).where(joined)).scalars():
            del hosts[key]
    change = Change(deletes=(*gone, *hosts.values()), detail=detail)
    engine.apply_within(connection, change, ACTOR, "inventory/delete", str(found.solution.id))


def _host_of(id: ResourceId) -> ResourceId | None:
    return id.scope if id.scope is not None and id.scope.namespace != "Microsoft.Resources" else None
