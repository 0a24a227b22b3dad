"""What an access review looks at: per person and role why it is held, and how much it was used. One query for any number of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Row, Select, String, Subquery, bindparam, case, cast, func, null, select, union_all

from isthmus.store.tables import access_grants, access_sessions

DAY: Final = 86_400_000
PROBE: Final = "probe"
"""The use of sessions that are ours: with them it is watched whether a revocation has reached the account."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reviewed:
    """One person and one role. `because` is the reason of the newest living grant, else of the newest; times in milliseconds.

    `unused_since` is the last session when that is more than 30 days ago, the first grant when there was none, and None otherwise.
    """

    person: str
    name: str
    mapping: str
    connector: str
    because: str
    first_grant: int
    living: int
    living_until: int | None
    last_session: int | None
    sessions_30: int
    sessions_90: int
    unused_since: int | None


def _held() -> Subquery:
    """A row per person and mapping: the newest living grant (else the newest), with figures of all of them."""
    grant, pair = access_grants.c, (access_grants.c.person, access_grants.c.mapping)
    lives = case((grant.ended_at.is_(None) & (grant.ends_at > bindparam("now", type_=BigInteger)), 1), else_=0)
    newest = (lives.desc(), grant.began_at.desc(), grant.id)
    ranked = select(
        grant.person,
        grant.name,
        grant.mapping,
        grant.connector,
        grant.because,
        func.min(grant.began_at).over(partition_by=pair).label("first_grant"),
        func.sum(lives).over(partition_by=pair).label("living"),
        func.max(case((lives == 1, grant.ends_at))).over(partition_by=pair).label("living_until"),
        func.row_number().over(partition_by=pair, order_by=newest).label("turn"),
    ).subquery()
    return select(ranked).where(ranked.c.turn == 1).subquery()


def _used() -> Subquery:
    session = access_sessions.c
    recent = {name: case((session.issued_at > bindparam(name, type_=BigInteger), 1), else_=0) for name in ("days_30", "days_90")}
    return (
        select(
            session.person,
            session.mapping,
            func.max(session.issued_at).label("last_session"),
            func.sum(recent["days_30"]).label("sessions_30"),
            func.sum(recent["days_90"]).label("sessions_90"),
        )
        .where(session.use != PROBE)
        .group_by(session.person, session.mapping)
        .subquery()
    )


_TEXTS, _OF_GRANTS = ("name", "connector", "because"), ("first_grant", "living", "living_until")
_OF_SESSIONS = ("last_session", "sessions_30", "sessions_90")


def _both() -> Select[Any]:
    """One above the other and grouped, not joined: without fresh statistics PostgreSQL would join them by nested loops."""
    held, used = _held(), _used()
    numbers, nothing = cast(null(), BigInteger), cast(null(), String)
    above = select(
        held.c.person,
        held.c.mapping,
        *(held.c[name].label(name) for name in (*_TEXTS, *_OF_GRANTS)),
        *(numbers.label(name) for name in _OF_SESSIONS),
    )
    below = select(
        used.c.person,
        used.c.mapping,
        *(nothing.label(name) for name in _TEXTS),
        *(numbers.label(name) for name in _OF_GRANTS),
        *(used.c[name].label(name) for name in _OF_SESSIONS),
    )
    rows = union_all(above, below).subquery()
    columns = {name: func.max(rows.c[name]).label(name) for name in (*_TEXTS, *_OF_GRANTS, *_OF_SESSIONS)}
    return (
        select(rows.c.person, rows.c.mapping, *columns.values())
        .group_by(rows.c.person, rows.c.mapping)
        .having(func.max(rows.c.name).isnot(None))
        .order_by(columns["name"], rows.c.person, rows.c.mapping)
        .offset(bindparam("first", type_=BigInteger))
        .limit(bindparam("most", type_=BigInteger))
    )


_REVIEW = _both()
_PAIRS = select(func.count()).select_from(select(access_grants.c.person, access_grants.c.mapping).distinct().subquery())


def review(connection: Connection, now: int, *, first: int = 0, most: int = 1_000_000) -> Sequence[Reviewed]:
    """Everybody who ever held a role with each of these roles, by name; `most` of them from the one with number `first` (from 0)."""
    given = {"now": now, "days_30": now - 30 * DAY, "days_90": now - 90 * DAY, "first": first, "most": most}
    return tuple(_reviewed(row, now) for row in connection.execute(_REVIEW, given))


def count(connection: Connection) -> int:
    """How many pairs of person and role there are."""
    return int(connection.execute(_PAIRS).scalar_one())


def _reviewed(row: Row[Any], now: int) -> Reviewed:
    last = row.last_session
    idle = row.first_grant if last is None else last
    return Reviewed(
        **{name: getattr(row, name) for name in ("person", "name", "mapping", "connector", "because", "first_grant", "living_until")},
        living=int(row.living),
        last_session=last,
        sessions_30=int(row.sessions_30 or 0),
        sessions_90=int(row.sessions_90 or 0),
        unused_since=idle if last is None or last <= now - 30 * DAY else None,
    )
