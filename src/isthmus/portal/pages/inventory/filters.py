"""What the list is narrowed to and ordered by: in the address of the page, in calls to the API, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from isthmus.portal.page import Visit, local

LIST = "/portal/inventory"
GLOBAL = "global"
_MOST_TEXT = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What is asked for; empty narrows nothing. `name` is part of a name, id or ARN, `tag` a name or `name:value`."""

    name: str = ""
    tag: str = ""
    account: str = ""
    region: str = ""
    type: str = ""
    group: str = ""


LABELS: Mapping[str, str] = {
    "name": "Name, id or ARN",
    "tag": "Tag",
    "account": "AWS account",
    "region": "Region",
    "type": "Type",
    "group": "Resource group",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """One filter that is set: what it is, its value, and the address without it."""

    label: str
    value: str
    without: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column's head: its word, how it is ordered now (`ascending`, `descending`, `none`) and the address that orders by it."""

    text: str
    state: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """What a visitor looks at: filters, and the order as the API spells it (`name desc`)."""

    filters: Filters
    order: str

    def address(self, path: str = LIST, **more: str) -> str:
        """The address of a page of this list."""
        order = "" if self.order == DEFAULT_ORDER else self.order
        return local(path, **_pairs(self.filters), order=order, **more)

    def narrowed(self, name: str, value: str) -> Looked:
        """The same with one filter set, or taken away by an empty value."""
        return replace(self, filters=replace(self.filters, **{name: value}))

    def query(self) -> dict[str, str]:
        """The filters as the API takes them."""
        return {name: value for name, value in _pairs(self.filters).items() if value and name != "group"}

    def collection(self, visit: Visit, kind: str = "resources") -> str:
        """The API's list that is looked at, in the subscription or one of its groups."""
        group = f"/resourceGroups/{self.filters.group}" if self.filters.group else ""
        return f"{visit.root}{group}/providers/Isthmus.Inventory/{kind}"

    def applied(self) -> tuple[Applied, ...]:
        """Every filter that is set."""
        return tuple(
            Applied(label=LABELS[name], value=value, without=self.narrowed(name, "").address())
            for name, value in _pairs(self.filters).items()
            if value
        )

    def columns(self) -> tuple[Column, ...]:
        """The heads of the table."""
        return tuple(self._column(name, text) for name, text in COLUMNS.items())

    def _column(self, name: str, text: str) -> Column:
        current = self.order.removesuffix(" desc")
        if current != name:
            return Column(text=text, state="none", to=replace(self, order=name).address())
        descends = self.order != current
        return Column(
            text=text,
            state="descending" if descends else "ascending",
            to=replace(self, order=name if descends else f"{name} desc").address(),
        )


COLUMNS: Mapping[str, str] = {"name": "Name", "type": "Type", "account": "Account", "region": "Region", "changedAt": "Changed"}
DEFAULT_ORDER = "type"


def looked_at(visit: Visit) -> Looked:
    """What the address says. Values are passed on as they are: the API judges them; an order that there is not becomes the usual one."""
    given = {one.name: _text(visit, one.name) for one in fields(Filters)}
    order = visit.query.get("order", "")
    known = order.removesuffix(" desc") in COLUMNS
    return Looked(filters=Filters(**given), order=order if known else DEFAULT_ORDER)


def _text(visit: Visit, name: str) -> str:
    return visit.query.get(name, "").strip()[:_MOST_TEXT]


def _pairs(filters: Filters) -> dict[str, str]:
    return {one.name: getattr(filters, one.name) for one in fields(Filters)}
