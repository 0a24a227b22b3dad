"""Leaving: everything a person has here ends in one transaction, whoever noticed that they left."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import Connection

from isthmus.access import grants
from isthmus.access.directory import DirectoryGroups
from isthmus.access.revocations import end_grants, is_revoked, revoke_person
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


DIRECTORY = Actor(id="isthmus:directory", kind="Application", name="The provisioned directory")


def follow_directory(engine: Engine) -> Callable[[Connection, str, Collection[str]], None]:
    """What follows when the directory tells that somebody is gone, or is in some groups no more: in its transaction."""
    directory = DirectoryGroups()

    def departed(connection: Connection, person: str, lost: Collection[str]) -> None:
        if not directory.is_active(connection, person):
            depart(connection, engine, person, DIRECTORY, "The directory disabled or removed this person.")
            return
        reasons = {f"group:{group}".lower() for group in lost}
        held = grants.living(connection, person, engine.now(), standing_only=True)
        ended = [grant for grant in held if grant.because.lower() in reasons]
        if ended:
            end_grants(connection, engine, ended, DIRECTORY, "The directory took this person out of the group.")

    return departed
