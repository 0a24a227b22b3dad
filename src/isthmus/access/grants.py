"""Grants and the sessions that were given under them: rows, and nothing that decides.

A grant is one reason for which a person may hold a role until a time. Several may overlap: each ends by itself, and ending one leaves the
sessions of the others alone, since every session carries its own grant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, bindparam, literal_column, select, update

from isthmus.access.deciding import Approved
from isthmus.access.mappings import RoleMapping
from isthmus.identity.evidence import SignedIn
from isthmus.store.tables import access_grants, access_sessions

_HELD = (
    access_grants.c.person == bindparam("held_person"),
    access_grants.c.ended_at.is_(None),
    access_grants.c.ends_at > bindparam("held_now"),
)
# Written out, so that databases see that their index of shells serves it.
IS_SHELL: Final = access_sessions.c.use.like(literal_column("'shell:%'"))
# Written once: every session that is given asks them.
_OF_MAPPING = access_grants.c.mapping == bindparam("held_mapping")
_APPROVED = select(access_grants).where(*_HELD, access_grants.c.because.like("request:%"))
_APPROVED_FOR = _APPROVED.where(_OF_MAPPING)
_STANDING = select(access_grants).where(*_HELD, _OF_MAPPING, access_grants.c.because == bindparam("held_because"))
_CHECKED = (
    update(access_grants)
    .where(access_grants.c.id == bindparam("checked_grant"))
    .values(checked_at=bindparam("checked_now"), ends_at=bindparam("checked_end"))
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """A row of grants; times in milliseconds."""

    id: str
    mapping: str
    connector: str
    person: str
    name: str
    because: str
    is_break_glass: bool = False
    began_at: int
    ends_at: int
    checked_at: int
    ended_at: int | None = None
    ending: str = ""

    def state(self, now: int) -> str:
        """Active, Expired, or Ended before its time."""
        return "Ended" if self.ended_at is not None else "Active" if self.ends_at > now else "Expired"


def approved(connection: Connection, person: str, now: int, mapping: str = "") -> Mapping[str, Sequence[Approved]]:
    """Living grants of a person that requests brought, by mapping: of all of them, or of one."""
    found = defaultdict[str, list[Approved]](list)
    asked = {"held_person": person.lower(), "held_now": now}
    for row in connection.execute(_APPROVED_FOR, {**asked, "held_mapping": mapping}) if mapping else connection.execute(_APPROVED, asked):
        one = Approved(grant=row.id, ends_at=row.ends_at, is_break_glass=row.is_break_glass, because=row.because)
        found[row.mapping].append(one)
    return found


def standing(connection: Connection, mapping: RoleMapping, person: SignedIn, because: str, now: int, new_id: str) -> Grant:
    """The living grant of a standing mapping for this reason, made under `new_id` where there is none; its reason was just seen to hold, so
    it lasts as long as this sign-in, and no lease is longer than its grant."""
    held = {"held_mapping": mapping.key, "held_person": person.object_id.lower(), "held_now": now, "held_because": because}
    row = connection.execute(_STANDING, held).first()
    if row is not None:
        lasts = max(row.ends_at, person.ends_at)
        connection.execute(_CHECKED, {"checked_grant": row.id, "checked_now": now, "checked_end": lasts})
        return replace(of_row(row), checked_at=now, ends_at=lasts)
    made = Grant(
        id=new_id,
        mapping=mapping.key,
        connector=mapping.connector,
        person=person.object_id,
        name=person.name,
        because=because,
        began_at=now,
        ends_at=person.ends_at,
        checked_at=now,
    )
    add(connection, made)
    return made


def add(connection: Connection, grant: Grant) -> None:
    """Keep a new grant."""
    connection.execute(access_grants.insert().values(**{name: getattr(grant, name) for name in Grant.__dataclass_fields__}))


def find(connection: Connection, id: str) -> Grant | None:
    """A grant by id."""
    row = connection.execute(select(access_grants).where(access_grants.c.id == id)).first()
    return None if row is None else of_row(row)


def living(connection: Connection, person: str, now: int, *, mapping: str = "", standing_only: bool = False) -> tuple[Grant, ...]:
    """Living grants of a person, for one mapping where it is named."""
    wanted = list(_living(person, now))
    if mapping:
        wanted.append(access_grants.c.mapping == mapping)
    if standing_only:
        wanted.append(access_grants.c.because.not_like("request:%"))
    return tuple(of_row(row) for row in connection.execute(select(access_grants).where(*wanted).order_by(access_grants.c.id)))


def of_ids(connection: Connection, ids: Collection[str]) -> Mapping[str, Grant]:
    """Those of the grants that there are, by id."""
    rows = connection.execute(select(access_grants).where(access_grants.c.id.in_(ids))) if ids else ()
    return {row.id: of_row(row) for row in rows}


def of_mappings(connection: Connection, mappings: Collection[str], now: int) -> tuple[Grant, ...]:
    """Living grants of these mappings."""
    wanted = (access_grants.c.mapping.in_(mappings), access_grants.c.ended_at.is_(None), access_grants.c.ends_at > now)
    return tuple(of_row(row) for row in connection.execute(select(access_grants).where(*wanted)))


def end(connection: Connection, grants: Sequence[Grant], now: int, ending: str) -> int:
    """End grants; how many lived until now."""
    ids = [grant.id for grant in grants]
    living = (access_grants.c.id.in_(ids), access_grants.c.ended_at.is_(None))
    return connection.execute(update(access_grants).where(*living).values(ended_at=now, ending=ending[:256])).rowcount


def note_session(connection: Connection, row: Mapping[str, Any]) -> None:
    """Keep a session that was given (columns of `access_sessions`)."""
    connection.execute(access_sessions.insert().values(**row))


OF_SHELLS: Final = select(access_sessions.c.grant).where(IS_SHELL)
"""Ids of grants under which sessions for shells were given; how long ago does not matter, since shells outlive their sessions."""


def opened_shells(connection: Connection, grant: str) -> bool:
    """Whether sessions for shells were given under a grant (id)."""
    return bool(connection.execute(select(OF_SHELLS.where(access_sessions.c.grant == grant).exists())).scalar())


def find_session(connection: Connection, id: str) -> Row[Any] | None:
    """The row of a session by its access key id."""
    return connection.execute(select(access_sessions).where(access_sessions.c.id == id)).first()


def mark_overtaken(connection: Connection, connector: str, before: int, now: int) -> int:
    """Mark what an account denies because it began before an instant (ms), whoever's it is; how many. Their holders begin others."""
    chosen = (
        access_sessions.c.mapping.startswith(f"{connector}/", autoescape=True),
        access_sessions.c.issued_at < before,
        access_sessions.c.lease_until > now,
        access_sessions.c.revoked_at.is_(None),
    )
    return connection.execute(update(access_sessions).where(*chosen).values(revoked_at=now)).rowcount


def mark_revoked(connection: Connection, person: str, now: int, *, grant: str = "") -> int:
    """Mark the sessions of a person whose lease still runs, of one grant where it is named; how many."""
    chosen: list[ColumnElement[bool]] = [
        access_sessions.c.person == person,
        access_sessions.c.lease_until > now,
        access_sessions.c.revoked_at.is_(None),
    ]
    if grant:
        chosen.append(access_sessions.c.grant == grant)
    return connection.execute(update(access_sessions).where(*chosen).values(revoked_at=now)).rowcount


def _living(person: str, now: int) -> tuple[ColumnElement[bool], ...]:
    return (access_grants.c.person == person.lower(), access_grants.c.ended_at.is_(None), access_grants.c.ends_at > now)


def of_row(row: Row[Any]) -> Grant:
    """The grant of a row."""
    return Grant(**{name: getattr(row, name) for name in Grant.__dataclass_fields__})
