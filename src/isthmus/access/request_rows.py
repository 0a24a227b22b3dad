"""Requests as rows: kept, found, listed. Nothing here decides."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, false, or_, select, update

from isthmus.access.judging import APPROVED, EXPIRED, PENDING, Decided, Request
from isthmus.access.listing import ranged
from isthmus.store.tables import access_requests

_COLUMNS = tuple(name for name in Request.__dataclass_fields__ if name != "decisions")


def add(connection: Connection, request: Request) -> None:
    """Keep a new request."""
    connection.execute(access_requests.insert().values(**_values(request)))


def save(connection: Connection, request: Request) -> None:
    """Keep what became of a request."""
    changed = {name: value for name, value in _values(request).items() if name in ("state", "decisions", "acknowledged_at")}
    connection.execute(update(access_requests).where(access_requests.c.id == request.id).values(**changed))


def find(connection: Connection, id: str, *, holds: bool = False) -> Request | None:
    """A request by id; with `holds` nobody else changes it until the transaction ends."""
    chosen = select(access_requests).where(access_requests.c.id == id.lower())
    row = connection.execute(chosen.with_for_update() if holds else chosen).first()
    return None if row is None else _request(row)


def find_waiting(connection: Connection, mapping: str, person: str, now: int, *, is_break_glass: bool) -> str | None:
    """The id of the request by which the person has asked for this already and can still get an answer."""
    mine = (access_requests.c.person == person.lower(), access_requests.c.mapping == mapping)
    waits = (access_requests.c.state == PENDING, access_requests.c.expires_at > now, access_requests.c.is_break_glass.is_(is_break_glass))
    found: str | None = connection.execute(select(access_requests.c.id).where(*mine, *waits).limit(1)).scalar()
    return found


def overdue(connection: Connection, now: int, limit: int) -> tuple[Request, ...]:
    """Requests that nobody decided in time; held until the transaction ends."""
    late = (access_requests.c.state == PENDING, access_requests.c.expires_at <= now)
    order = select(access_requests).where(*late).order_by(access_requests.c.expires_at, access_requests.c.id).limit(limit)
    return tuple(_request(row) for row in connection.execute(order.with_for_update()))


def waiting_of(connection: Connection, person: str) -> tuple[Request, ...]:
    """What a person (object id) has asked for and nobody decided; held until the transaction ends."""
    waits = (access_requests.c.person == person.lower(), access_requests.c.state == PENDING)
    rows = connection.execute(select(access_requests).where(*waits).order_by(access_requests.c.id).with_for_update())
    return tuple(_request(row) for row in rows)


def lapse(connection: Connection, mappings: Collection[str]) -> int:
    """End what waits for these mappings, which are going away; how many that were."""
    waits = (access_requests.c.mapping.in_(mappings), access_requests.c.state == PENDING)
    return connection.execute(update(access_requests).where(*waits).values(state=EXPIRED)).rowcount


def others(connection: Connection, person: str, state: str, now: int) -> tuple[tuple[str, bool], ...]:
    """The mappings for which somebody else has asked, each with whether that was to break the glass."""
    wanted = (access_requests.c.person != person.lower(), *_in_state(state, now))
    rows = connection.execute(select(access_requests.c.mapping, access_requests.c.is_break_glass).where(*wanted).distinct())
    return tuple((row.mapping, bool(row.is_break_glass)) for row in rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Whose requests somebody sees: with `own` their own, of others' the ordinary ones for the mappings `decidable` and broken glass for
    the mappings `owned`, or with `everything` all of them."""

    person: str
    own: bool = True
    decidable: Collection[str] = ()
    owned: Collection[str] = ()
    everything: bool = False


def page(connection: Connection, seen: Seen, *, state: str, now: int, after: str, limit: int) -> tuple[tuple[Request, ...], str]:
    """The newest requests that somebody sees, behind a place; and the place where they end, empty when nothing follows."""
    wanted = () if seen.everything else (_seen(seen),)
    rows, ends = ranged(connection, access_requests, (*wanted, *_in_state(state, now)), after=after, limit=limit)
    return tuple(_request(row) for row in rows), ends


def _seen(seen: Seen) -> ColumnElement[bool]:
    decidable, owned, table = seen.decidable, seen.owned, access_requests.c
    others = table.person != seen.person.lower()
    ordinary = and_(access_requests.c.mapping.in_(decidable), access_requests.c.is_break_glass.is_(False)) if decidable else false()
    glass = and_(access_requests.c.mapping.in_(owned), access_requests.c.is_break_glass.is_(True)) if owned else false()
    return or_(~others, ordinary, glass) if seen.own else and_(others, or_(ordinary, glass))


def broken_glass(connection: Connection, above: str) -> tuple[Request, ...]:
    """Broken glass below a scope (its key) that no owner has acknowledged, the oldest first."""
    broken = (access_requests.c.is_break_glass.is_(True), access_requests.c.acknowledged_at.is_(None), access_requests.c.state == APPROVED)
    below = access_requests.c.mapping.startswith(f"{above}/", autoescape=True)
    return tuple(
        _request(row) for row in connection.execute(select(access_requests).where(*broken, below).order_by(access_requests.c.asked_at))
    )


def _in_state(state: str, now: int) -> Sequence[ColumnElement[bool]]:
    if not state:
        return ()
    late = and_(access_requests.c.state == PENDING, access_requests.c.expires_at <= now)
    if state == PENDING:
        return (access_requests.c.state == PENDING, access_requests.c.expires_at > now)
    return (or_(access_requests.c.state == EXPIRED, late),) if state == EXPIRED else (access_requests.c.state == state,)


def _values(request: Request) -> dict[str, Any]:
    decisions = json.dumps([asdict(one) for one in request.decisions], separators=(",", ":"), ensure_ascii=False)
    return {**{name: getattr(request, name) for name in _COLUMNS}, "decisions": decisions}


def _request(row: Row[Any]) -> Request:
    decisions = tuple(Decided(**one) for one in json.loads(row.decisions))
    return Request(**{name: getattr(row, name) for name in _COLUMNS}, decisions=decisions)
