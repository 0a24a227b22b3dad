"""Leaving: everything a person has here ends in one transaction, whoever noticed that they left."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import Connection

from isthmus.access import grants, judging, request_rows
from isthmus.access.directory import DirectoryGroups
from isthmus.access.judging import Decider
from isthmus.access.revocations import end_grants, hold_person, is_revoked, readmit, revoke_person
from isthmus.arm.types import Actor
from isthmus.engine import Engine
from isthmus.identity import evidence, refresh, sessions


def offboard(connection: Connection, engine: Engine, person: str, actor: Actor, reason: str) -> str:
    """End sign-ins, sessions of the portal, grants and sessions in every account, and withdraw what waits for a decision; the id of the
    revocation.

    Repeating it for somebody who is out already orders the accounts once more.
    """
    person = person.lower()
    # A sign-in that is under way is waited for: what was not written yet cannot be ended.
    hold_person(connection, person)
    sessions.end_all(connection, person)
    evidence.end_all(connection, person, engine.now())
    refresh.end_all(connection, person)
    who = Decider(id=actor.id, name=actor.name)
    for request in request_rows.waiting_of(connection, person):
        request_rows.save(connection, judging.take_back(request, who, engine.now(), "Everything was taken away from who asked."))
    return revoke_person(connection, engine, person, actor, reason)


def depart(connection: Connection, engine: Engine, person: str, actor: Actor, reason: str) -> str | None:
    """As `offboard`, for a directory that may tell the same twice: nothing when the person is out already."""
    hold_person(connection, person)
    return None if is_revoked(connection, person) else offboard(connection, engine, person, actor, reason)


def leave_groups(connection: Connection, engine: Engine, person: str, lost: Collection[str], actor: Actor, reason: str) -> tuple[str, ...]:
    """End the standing grants that a person has because of groups; their ids."""
    reasons = {f"group:{group}".lower() for group in lost}
    held = grants.living(connection, person, engine.now(), standing_only=True)
    ended = [grant for grant in held if grant.because.lower() in reasons]
    if ended:
        end_grants(connection, engine, ended, actor, reason)
    return tuple(grant.id for grant in ended)


def begin_anew(connection: Connection, engine: Engine, person: str, actor: Actor, reason: str) -> str:
    """End what a person has here, as `offboard`, without barring them: who signs in again gets what is due then. The revocation's id.

    Who is barred already stays so.
    """
    hold_person(connection, person)
    was_out = is_revoked(connection, person)
    made = offboard(connection, engine, person, actor, reason)
    if not was_out:
        readmit(connection, engine, person, actor)
    return made


DIRECTORY = Actor(id="isthmus:directory", kind="Application", name="The provisioned directory")


def follow_directory(engine: Engine) -> Callable[[Connection, str, Collection[str]], None]:
    """What follows when the directory tells that somebody is gone, or is in some groups no more: in its transaction."""
    directory = DirectoryGroups()

    def departed(connection: Connection, person: str, lost: Collection[str]) -> None:
        if not directory.is_active(connection, person):
            depart(connection, engine, person, DIRECTORY, "The directory disabled or removed this person.")
            return
        leave_groups(connection, engine, person, lost, DIRECTORY, "The directory took this person out of the group.")

    return departed
