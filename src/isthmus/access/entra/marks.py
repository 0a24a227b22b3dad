"""How far something of Graph was read."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, select

from isthmus.store import dialect
from isthmus.store.tables import graph_marks

EVERYBODY: Final = "everybody"
"""There while a check of everybody is due: what was told about somebody was lost. It covers whom that was told of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """`covers` are groups or people that it is about, `link` where to go on, `until` the end of what was read; times in milliseconds."""

    name: str
    covers: frozenset[str] = frozenset()
    link: str = ""
    until: int = 0
    read_at: int
    detail: str = ""


def find(connection: Connection, name: str) -> Mark | None:
    """A mark."""
    return next(iter(_marks(connection, graph_marks.c.name == name)), None)


def beginning(connection: Connection, prefix: str) -> tuple[Mark, ...]:
    """Marks whose names begin so."""
    return _marks(connection, graph_marks.c.name.startswith(prefix, autoescape=True))


def keep(connection: Connection, mark: Mark) -> None:
    """Write a mark."""
    row = {name: getattr(mark, name) for name in ("name", "link", "until", "read_at")}
    dialect.upsert(connection, graph_marks, [{**row, "covers": json.dumps(sorted(mark.covers)), "detail": mark.detail[:1000]}])


def keep_due(connection: Connection, person: str, now: int) -> None:
    """Have everybody checked, and this person also where nobody knows them here."""
    dialect.lock_name(connection, EVERYBODY)
    known = find(connection, EVERYBODY)
    keep(connection, Mark(name=EVERYBODY, covers=(known.covers if known else frozenset()) | {person}, read_at=now))


def take_due(connection: Connection) -> Mark | None:
    """The mark of a check of everybody, which goes with the caller's transaction."""
    dialect.lock_name(connection, EVERYBODY)
    found = find(connection, EVERYBODY)
    drop(connection, [EVERYBODY])
    return found


def drop(connection: Connection, names: Collection[str]) -> None:
    """Forget marks."""
    connection.execute(delete(graph_marks).where(graph_marks.c.name.in_(names)))


def _marks(connection: Connection, chosen: ColumnElement[bool]) -> tuple[Mark, ...]:
    rows = connection.execute(select(graph_marks).where(chosen).order_by(graph_marks.c.name))
    names = ("name", "link", "until", "read_at", "detail")
    return tuple(Mark(**{name: getattr(row, name) for name in names}, covers=frozenset(json.loads(row.covers))) for row in rows)
