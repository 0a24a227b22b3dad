"""The list of instances with their onboarding: of all connectors on the page Machines, of one on a connector's page. Both use this.

A page holds a `MachineList` (`read_list`), shows it with the macros of `machine_list.html`, and answers `live_list` to its stream. Rows
beyond the first part come from `/portal/machines/rows`, which takes the same filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from isthmus.arm.envelope import instant
from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Problems, problems_of
from isthmus.portal.lists import Span, read_window
from isthmus.portal.page import Live, Piece, Visit, local
from isthmus.portal.subjects import Subject, subject_of
from isthmus.portal.words import anchor, number

SIZE = 100
ROWS = "/portal/machines/rows"
MACHINE = "/portal/machine"
FILTERS = ("name", "status", "code", "account", "region", "connector")
ORDERS = ("name", "state", "account", "region", "since")
_INSTANCES = "providers/Isthmus.Onboarding/instances"
_RECENT = 30_000
"""How far back a stream looks for changes, in milliseconds: longer than between two of its readings, whatever delays one."""
_MOST_CHANGES = 200
_TILES = MappingProxyType(
    {
        "connected": ("Connected", "good"),
        "inProgress": ("In progress", ""),
        "waiting": ("Waiting", ""),
        "blocked": ("Blocked", "bad"),
        "disconnected": ("Disconnected", "warn"),
        "stopped": ("Stopped", ""),
        "excluded": ("Excluded", ""),
        "gone": ("Gone", ""),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """One instance: `id` is account.region.instance, `anchor` begins the ids of its elements, `why` one line on its state; instants ISO."""

    id: str
    anchor: str
    to: str
    name: str
    instance: str
    account: str
    region: str
    connector: Subject
    status: str
    state: str
    code: str
    why: str
    since: str
    next_retry: str
    os: str
    agent: str
    heard: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """How many instances have a status, and the address of the list of these; `is_chosen` when they are shown now."""

    word: str
    label: str
    count: int
    to: str
    tone: str
    is_chosen: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """How many instances have a code, what can be done about it, and the address of the list of these."""

    code: str
    count: int
    remedy: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column that can be ordered by: its address, and how it is ordered now (`ascending`, `descending`, `none`)."""

    name: str
    label: str
    to: str
    order: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineList:
    """A part of the list with what stands around it.

    `path` and `fixed` are the address of the page without filters; `filters` is what was asked for, `total` counts all instances of
    the page, `source` is where further rows come from. `problems` stand at the fields of filters that were not understood.
    """

    path: str
    fixed: Mapping[str, str]
    filters: Mapping[str, str]
    tiles: tuple[Tile, ...]
    reasons: tuple[Reason, ...]
    connectors: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    machines: tuple[Machine, ...]
    span: Span
    source: str
    total: int
    summary: str
    problems: Problems

    @property
    def is_filtered(self) -> bool:
        """Whether anything is left out on purpose."""
        return any(value for name, value in self.filters.items() if name not in self.fixed)

    @property
    def clear(self) -> str:
        """The address without filters."""
        return local(self.path, **self.fixed)


def read_list(visit: Visit, path: str, fixed: Mapping[str, str] | None = None, connectors: tuple[tuple[str, str], ...] = ()) -> MachineList:
    """Two reads: the numbers, and the part of the list that the visit's query asks for.

    `fixed` are parameters of the page's own address that always stand in it (its tab, its connector); `connectors` may be chosen among.
    A filter that the API does not understand comes back at its field, with an empty list.
    """
    stays = dict(fixed or {})
    filters = _filters(visit, stays)
    asked = {**stays, **filters}
    counts = _counts(visit, filters["connector"])
    order = visit.query.get("order", "")
    problems = Problems()
    try:
        found, span = read_window(
            visit, _path(visit), _api_query(filters, order), size=SIZE, page_path=path, kept={**_filled(asked), **_filled({"order": order})}
        )
    except ArmError as error:
        if error.status != 400:
            raise
        found, span = [], Span(skip=0, shown=0, total=0, newer="", older="")
        problems = problems_of(error, {name: f"filter-{name}" for name in FILTERS})
    return MachineList(
        path=path,
        fixed=stays,
        filters=filters,
        tiles=_tiles(counts, path, asked),
        reasons=_reasons(counts, path, stays),
        connectors=connectors,
        columns=_columns(path, asked, order),
        machines=tuple(map(shown, found)),
        span=span,
        source=local(ROWS, **_filled({name: filters[name] for name in FILTERS}), **_filled({"order": order})),
        total=counts["total"],
        summary=_summary(counts),
        problems=problems,
    )


def read_rows(visit: Visit) -> tuple[tuple[Machine, ...], Span]:
    """A part of the list alone."""
    filters, order = _filters(visit, {}), visit.query.get("order", "")
    found, span = read_window(visit, _path(visit), _api_query(filters, order), size=SIZE, page_path=ROWS)
    return tuple(map(shown, found)), span


def live_list(visit: Visit, piece: Piece, path: str, fixed: Mapping[str, str] | None = None) -> Live:
    """The numbers, and the states of instances that changed a moment ago: two reads, whatever is shown of however many instances.

    The page's template has the blocks `count`, `reasons`, `state`, `why` and `retry`. The shape changes when instances come or go, and now
    and then while more change at once than are told one by one: then the list reads itself again.
    """
    stays = dict(fixed or {})
    filters = _filters(visit, stays)
    counts = _counts(visit, filters["connector"])
    query = {name: filters[name] for name in ("account", "region", "connector") if filters[name]}
    query |= {"changedAfter": instant(visit.now - _RECENT), "$orderby": "since desc", "$top": str(_MOST_CHANGES)}
    changed = [shown(one) for one in visit.client.get(_path(visit), query=query)["value"]]
    parts = {f"tile-{tile.word or 'all'}": number(tile.count) for tile in _tiles(counts, path, stays)}
    parts |= {"machines-summary": _summary(counts), "machines-reasons": piece("reasons", reasons=_reasons(counts, path, stays))}
    for machine in changed:
        for name in ("state", "why", "retry"):
            parts[f"{machine.anchor}-{name}"] = piece(name, machine=machine)
    storm = visit.now // 10_000 if len(changed) == _MOST_CHANGES else 0
    return Live(parts=parts, shape=f"{counts['total']}:{storm}")


def shown(body: Mapping[str, Any]) -> Machine:
    """An instance of the API as a row."""
    told = body["properties"]
    return Machine(
        id=body["name"],
        anchor=anchor("m", body["name"]),
        to=f"{MACHINE}/{quote(body['name'], safe='.')}",
        name=told["displayName"],
        instance=told["instanceId"],
        account=told["account"],
        region=told["region"],
        connector=subject_of(told["connectorId"]),
        status=told["status"],
        state=told["state"],
        code=told["code"],
        why=told["statusDetails"],
        since=told["since"],
        next_retry=told["nextRetry"] or "",
        os=told["osSku"] or "",
        agent=told["agentVersion"] or "",
        heard=told["lastHeartbeat"] or "",
    )


def _path(visit: Visit) -> str:
    return f"{visit.root}/{_INSTANCES}"


def _filters(visit: Visit, fixed: Mapping[str, str]) -> dict[str, str]:
    return {name: fixed.get(name) or visit.query.get(name, "").strip() for name in FILTERS}


def _api_query(filters: Mapping[str, str], order: str) -> dict[str, str]:
    field, _, way = order.partition("-")
    chosen = {"$orderby": f"{field} desc" if way == "desc" else field} if field in ORDERS else {}
    return {**filters, **chosen}


def _filled(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _counts(visit: Visit, connector: str) -> Mapping[str, Any]:
    """Numbers of all instances, or of one connector's; of all when that is no id (its field says so)."""
    path = f"{visit.root}/providers/Isthmus.Onboarding/counts/default"
    try:
        found: Mapping[str, Any] = visit.client.get(path, query=_filled({"connector": connector}))["properties"]
    except ArmError as error:
        if error.status != 400:
            raise
        found = visit.client.get(path)["properties"]
    return found


def _tiles(counts: Mapping[str, Any], path: str, asked: Mapping[str, str]) -> tuple[Tile, ...]:
    """All, then each status; choosing one keeps the other filters, except the code, which goes with a status."""
    kept, chosen = _filled({**asked, "status": "", "code": ""}), asked.get("status", "").lower()
    whole = Tile(word="", label="All", count=counts["total"], to=local(path, **kept), tone="", is_chosen=not chosen)
    return (
        whole,
        *(
            Tile(
                word=word,
                label=label,
                count=counts["statuses"].get(word, 0),
                to=local(path, **{**kept, "status": word}),
                tone=tone if counts["statuses"].get(word, 0) else "",
                is_chosen=word.lower() == chosen,
            )
            for word, (label, tone) in _TILES.items()
        ),
    )


def _reasons(counts: Mapping[str, Any], path: str, fixed: Mapping[str, str]) -> tuple[Reason, ...]:
    return tuple(
        Reason(code=one["code"], count=one["count"], remedy=one["remedy"], to=local(path, **{**fixed, "code": one["code"]}))
        for one in counts["codes"]
    )


def _summary(counts: Mapping[str, Any]) -> str:
    statuses = counts["statuses"]
    text = f"{number(statuses.get('connected', 0))} of {number(counts['total'])} connected"
    blocked = statuses.get("blocked", 0)
    return f"{text}, {number(blocked)} blocked" if blocked else text


_LABELS = MappingProxyType({"name": "Machine", "state": "State", "account": "Account", "region": "Region", "since": "Since"})


def _columns(path: str, asked: Mapping[str, str], order: str) -> tuple[Column, ...]:
    field, _, way = order.partition("-")

    def column(name: str) -> Column:
        turned = f"{name}-desc" if name == field and way != "desc" else name
        now = "none" if name != field else "descending" if way == "desc" else "ascending"
        return Column(name=name, label=_LABELS[name], to=local(path, **{**_filled(asked), "order": turned}), order=now)

    return tuple(map(column, ORDERS))
