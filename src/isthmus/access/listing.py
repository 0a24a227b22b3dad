"""Lists of grants, sessions and revocations, newest first: each page is a range of an index and goes on by key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Table, exists, func, select, tuple_

from isthmus.access.review import PROBE
from isthmus.access.revocations import DENIED, LONGEST_SESSION
from isthmus.store.tables import access_denials, access_grants, access_requests, access_revocations, access_sessions

COUNTED: Final = 10_000
_PLACE = re.compile(r"([0-9]{1,15}):(.{1,128})", re.ASCII)
_TIMES: Final = MappingProxyType(
    {
        access_requests.name: "asked_at",
        access_grants.name: "began_at",
        access_sessions.name: "issued_at",
        access_revocations.name: "at",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """Which rows are wanted; what is empty does not matter. `after` is where the page before ended, `state` one of the list."""

    person: str = ""
    mapping: str = ""
    account: str = ""
    grant: str = ""
    use: str = ""
    state: str = ""
    after: str = ""


def is_place(text: str) -> bool:
    """Whether a text says where a page ended."""
    return _PLACE.fullmatch(text) is not None


def ranged(
    connection: Connection, table: Table, wanted: Iterable[ColumnElement[bool]], *, after: str, limit: int
) -> tuple[Sequence[Row[Any]], str]:
    """The newest `limit` rows of a table behind a place, and the place where they end; empty when nothing follows."""
    at, id = table.c[_TIMES[table.name]], table.c.id
    query = select(table).where(*wanted)
    if match := _PLACE.fullmatch(after):
        query = query.where(tuple_(at, id) < tuple_(int(match[1]), match[2]))
    found = connection.execute(query.order_by(at.desc(), id.desc()).limit(limit + 1)).all()
    last = found[limit - 1]._mapping if len(found) > limit else None
    return found[:limit], f"{last[at.name]}:{last['id']}" if last is not None else ""


def count(connection: Connection, table: Table, wanted: Iterable[ColumnElement[bool]]) -> int | None:
    """How many rows there are; None for more than `COUNTED`, since nobody waits for a count of millions."""
    some = select(table.c.id).where(*wanted).limit(COUNTED + 1).subquery()
    found = int(connection.execute(select(func.count()).select_from(some)).scalar_one())
    return found if found <= COUNTED else None


def grants_of(wish: Wish, now: int) -> list[ColumnElement[bool]]:
    """Which grants are meant. States: active, expired, ended."""
    row = access_grants.c
    states: Mapping[str, list[ColumnElement[bool]]] = {
        "": [],
        "active": [row.ended_at.is_(None), row.ends_at > now],
        "expired": [row.ended_at.is_(None), row.ends_at <= now],
        "ended": [row.ended_at.is_not(None)],
    }
    return [*_same(access_grants, wish, "person", "mapping"), *states[wish.state]]


def sessions_of(wish: Wish, now: int) -> list[ColumnElement[bool]]:
    """Which sessions are meant. States: live, revoked, ended. Probes are nobody's: they are told where `use` asks for them alone."""
    row = access_sessions.c
    states: Mapping[str, list[ColumnElement[bool]]] = {
        "": [],
        # None lives longer: the newest are looked at, and not all there ever were.
        "live": [row.revoked_at.is_(None), row.lease_until > now, row.issued_at > now - LONGEST_SESSION],
        "revoked": [row.revoked_at.is_not(None)],
        "ended": [row.revoked_at.is_(None), row.lease_until <= now],
    }
    of_use = row.use == PROBE if wish.use == PROBE else row.use.startswith(wish.use, autoescape=True) & (row.use != PROBE)
    return [*_same(access_sessions, wish, "person", "mapping", "account", "grant"), of_use, *states[wish.state]]


def revocations_of(wish: Wish) -> list[ColumnElement[bool]]:
    """Which revocations are meant. States: pending, denied."""
    waits = exists().where(access_denials.c.revocation == access_revocations.c.id, access_denials.c.state != DENIED)
    states: Mapping[str, list[ColumnElement[bool]]] = {"": [], "pending": [waits], "denied": [~waits]}
    return [*_same(access_revocations, wish, "person", "grant"), *states[wish.state]]


def _same(table: Table, wish: Wish, *names: str) -> list[ColumnElement[bool]]:
    return [table.c[name] == getattr(wish, name) for name in names if getattr(wish, name)]
