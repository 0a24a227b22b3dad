"""Machines: instances of every connector, how far each is on its way, and what keeps it; live."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.portal.lists import Span
from isthmus.portal.machine_list import FILTERS, ROWS, Machine, MachineList, live_list, read_list, read_rows
from isthmus.portal.page import Invalid, Live, Page, Piece, Rows, Visit

PATH = "/portal/machines"


@dataclass(frozen=True, kw_only=True, slots=True)
class MachinesPage:
    """The list."""

    list: MachineList


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineRows:
    """A part of the list, to be put into it."""

    machines: tuple[Machine, ...]
    span: Span


def view(visit: Visit) -> MachinesPage | Invalid:
    """Read it; 400 when a filter is not understood, with the filter as it was given."""
    connectors = visit.client.list(f"{visit.root}/providers/Microsoft.HybridConnectivity/publicCloudConnectors", query={"$top": "1000"})
    named = tuple(sorted(((one["id"], one["name"]) for one in connectors), key=lambda pair: (pair[1].lower(), pair[0])))
    page = MachinesPage(list=read_list(visit, PATH, connectors=named))
    return Invalid(context=page, status=400) if page.list.problems else page


def rows(visit: Visit) -> Rows:
    """More of it."""
    machines, span = read_rows(visit)
    return Rows(context=MachineRows(machines=machines, span=span), total=span.total)


def live(visit: Visit, piece: Piece) -> Live:
    """Numbers and states as they change."""
    return live_list(visit, piece, PATH)


PAGES = (
    Page(path=PATH, template="machines.html", view=view, nav="machines", live=live, live_key=FILTERS),
    Page(path=ROWS, template="machines.html", view=rows, block="rows", nav="machines"),
)
