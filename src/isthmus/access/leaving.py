"""Leaving: everything a person has here ends in one transaction, whoever noticed that they left."""

from __future__ import annotations

from sqlalchemy import Connection

from isthmus.access.revocations import is_revoked, revoke_person
from isthmus.arm.types import Actor
from isthmus.engine import Engine
from isthmus.identity import evidence, refresh, sessions


def offboard(connection: Connection, engine: Engine, person: str, actor: Actor, reason: str) -> str:
    """End sign-ins, sessions of the portal, grants and sessions in every account; the id of the revocation.

    Repeating it for somebody who is out already orders the accounts once more.
    """
    person = person.lower()
    sessions.end_all(connection, person)
    evidence.end_all(connection, person, engine.now())
    refresh.end_all(connection, person)
    return revoke_person(connection, engine, person, actor, reason)


def depart(connection: Connection, engine: Engine, person: str, actor: Actor, reason: str) -> str | None:
    """As `offboard`, for a directory that may tell the same twice: nothing when the person is out already."""
    return None if is_revoked(connection, person) else offboard(connection, engine, person, actor, reason)
