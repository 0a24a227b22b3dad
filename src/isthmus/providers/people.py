"""Isthmus.Identity: who has signed in, and who asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Action, Actor, Answer, Ask, ResourceType, Scope
from isthmus.engine import Engine
from isthmus.engine.rows import from_row
from isthmus.identity import evidence, people, refresh, sessions
from isthmus.identity.people import Visitor
from isthmus.identity.roles import role_named
from isthmus.providers.authorization import ASSIGNMENTS
from isthmus.providers.history import VERSIONS
from isthmus.store.tables import resources

PEOPLE, ME = "Isthmus.Identity/people", "Isthmus.Identity/me"
_TENANT = frozenset({Scope.TENANT})


def rows(engine: Engine) -> tuple[ResourceType, ...]:
    """The rows about people. Whoever may read the tenant may read who was here; what one may do oneself, everybody may know."""

    def listed(_ask: Ask) -> Iterable[Mapping[str, Any]]:
        with engine.store.read() as connection:
            found = people.list_people(connection)
        return map(_show, found)

    def one(ask: Ask) -> Mapping[str, Any] | None:
        with engine.store.read() as connection:
            found = people.find_person(connection, ask.id.name)
        return None if found is None else _show(found)

    def end_sessions(_resource: Resource | None, ask: Ask) -> Answer:
        if not ask.permits("Microsoft.Authorization/roleAssignments/write", "/"):
            raise ArmError("AuthorizationFailed", "Only an owner of the tenant ('/') signs others out.", status=403)
        with engine.store.begin() as connection:
            ended = sessions.end_all(connection, ask.id.name)
            evidence.end_all(connection, ask.id.name, engine.now())
            refresh.end_all(connection, ask.id.name)
            change = Change(detail={"sessions": ended})
            engine.apply_within(connection, change, ask.actor, "Isthmus.Identity/endSessions", str(ask.id))
        return Answer(body={"ended": ended})

    def me(ask: Ask) -> Iterable[Mapping[str, Any]]:
        yield {
            "id": f"/providers/{ME}/{ask.actor.id}",
            "name": ask.actor.id,
            "type": ME,
            "properties": {
                "objectId": ask.actor.id,
                "name": ask.actor.name,
                "kind": ask.actor.kind,
                "assignments": _assignments(engine, ask.actor.id),
                "signIn": _sign_in(engine, ask.actor),
            },
        }

    action = Action(name="endSessions", act=end_sessions, needs_resource=False)
    return (
        ResourceType(name=PEOPLE, scopes=_TENANT, versions=VERSIONS, enumerate=listed, read=one, actions=(action,)),
        ResourceType(name=ME, scopes=_TENANT, versions=VERSIONS, enumerate=me, is_open=True),
    )


def _assignments(engine: Engine, principal: str) -> list[dict[str, str]]:
    """What somebody may do where, by scope: the stored truth, as every request is judged by it."""
    wanted = (resources.c.source == f"principal:{principal.lower()}", resources.c.type == ASSIGNMENTS.lower())
    with engine.store.read() as connection:
        found = [from_row(row).properties for row in connection.execute(select(resources).where(*wanted))]
    shown = []
    for properties in found:
        role = role_named(str(properties["roleDefinitionId"]))
        shown.append({"role": role.name if role else "", "roleDefinitionId": properties["roleDefinitionId"], "scope": properties["scope"]})
    return sorted(shown, key=lambda one: (one["scope"].lower(), one["role"]))


def _sign_in(engine: Engine, actor: Actor) -> Mapping[str, Any] | None:
    """What a provider vouched for at the sign-in that the caller came by; None without one. `groups` is null where they are not told."""
    with engine.store.read() as connection:
        found = evidence.find(connection, actor.sign_in)
    if found is None or found.object_id != actor.id.lower():
        return None
    return {
        "id": found.id,
        "provider": found.issuer,
        "subject": found.subject,
        "tokenId": found.token_id,
        "sessionId": found.session_id,
        "methods": list(found.methods),
        "contexts": list(found.contexts),
        "groups": None if found.groups is None else list(found.groups),
        "signInTime": instant(found.at),
        "endTime": instant(found.ends_at),
    }


def _show(visitor: Visitor) -> Mapping[str, Any]:
    person = visitor.person
    return {
        "id": f"/providers/{PEOPLE}/{person.object_id}",
        "name": person.object_id,
        "type": PEOPLE,
        "properties": {
            "objectId": person.object_id,
            "name": person.name,
            "mail": person.mail,
            "issuer": person.issuer,
            "firstSignIn": instant(visitor.first_at),
            "lastSignIn": instant(visitor.last_at),
        },
    }
