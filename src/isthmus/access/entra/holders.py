"""Whom changes of the directory concern here: people who are signed in or hold something. Everybody else is left alone."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, select

from isthmus.store.tables import access_grants, sign_ins

_CHUNK = 400


def concerned(connection: Connection, now: int, people: Collection[str] | None = None) -> frozenset[str]:
    """Object ids, of all or among those given."""
    if people is None:
        return _found(connection, now, None)
    ordered, found = sorted(people), frozenset[str]()
    for start in range(0, len(ordered), _CHUNK):
        found |= _found(connection, now, ordered[start : start + _CHUNK])
    return found


def _found(connection: Connection, now: int, people: list[str] | None) -> frozenset[str]:
    signed_in: list[ColumnElement[bool]] = [sign_ins.c.ended_at.is_(None), sign_ins.c.ends_at > now]
    holding: list[ColumnElement[bool]] = [access_grants.c.ended_at.is_(None), access_grants.c.ends_at > now]
    if people is not None:
        signed_in.append(sign_ins.c.object_id.in_(people))
        holding.append(access_grants.c.person.in_(people))
    asked = select(sign_ins.c.object_id).where(*signed_in).union(select(access_grants.c.person).where(*holding))
    return frozenset(connection.execute(asked).scalars())
