"""My access: the roles that the visitor may take now or ask for, by account, and what they hold. It is the home of who has no role here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.menu import read_rights
from isthmus.portal.page import Visit, local
from isthmus.portal.pages.access.asked import PENDING, Asked, asked_of
from isthmus.portal.pages.access.mapped import Role, role_of
from isthmus.portal.pages.access.reading import (
    GRANTS,
    MOST,
    PATH,
    REQUESTS,
    ROLES,
    SESSIONS,
    Book,
    Grant,
    Session,
    first_of,
    grant_of,
    read_roles,
    session_of,
)
from isthmus.portal.principals import Principal, Principals

_MOST_HELD = 100
AVAILABLE, ON_REQUEST, WAITS = "Available", "RequestNeeded", "Waits"
_SAID = MappingProxyType(
    {
        AVAILABLE: ("allowed", "Yours to take now"),
        ON_REQUEST: ("", "On request"),
        WAITS: ("Pending", "Waits for approval"),
        "SecondFactorNeeded": ("warning", "Needs a second factor"),
        "ContextNeeded": ("warning", "Needs another sign-in"),
        "GroupsUnknown": ("warning", "Not known right now"),
        "RoleHeldDirectly": ("", "Taken at your directory"),
    }
)
_DONE = MappingProxyType({"ended": "The grant is ended, and the account is told to deny its sessions."})


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """A request of the visitor that waits; `seen` is its ETag."""

    one: Asked
    seen: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MyRole:
    """A role that concerns the visitor. `state` is Available, RequestNeeded, Waits or the code of what is in the way, `said` its words and
    `tone` how they are coloured; `details` says more. `grant` is the one of a request that it is held by now."""

    label: str
    name: str
    account: str
    state: str
    tone: str
    said: str
    details: str
    longest: float
    grant: Grant | None
    pending: Pending | None
    ask_to: str
    why_to: str

    @property
    def can_take(self) -> bool:
        """Whether it can be taken now."""
        return self.state == AVAILABLE

    @property
    def can_ask(self) -> bool:
        """Whether it can be asked for; while it is held too, which extends it."""
        return self.state == ON_REQUEST or (self.can_take and self.grant is not None)


@dataclass(frozen=True, kw_only=True, slots=True)
class MinePage:
    """What concerns the visitor. `refusal` says why their roles are not known, empty otherwise; `pending` are requests for other roles;
    `waiting` counts requests that the visitor could decide. `sees_more` tells whether they may see anything of Isthmus itself."""

    accounts: tuple[tuple[str, tuple[MyRole, ...]], ...]
    refusal: str
    pending: tuple[Pending, ...]
    grants: tuple[Grant, ...]
    sessions: tuple[Session, ...]
    waiting: int
    object_id: str
    signed_in_name: str
    sees_more: bool
    toast: str


def view(visit: Visit) -> MinePage:
    """Roles, requests, grants and sessions of the visitor: a call each."""
    person = visit.person
    assert person is not None
    bodies, refusal = _roles(visit)
    book = _book(visit, bodies)
    asked = visit.client.get(REQUESTS, query={"whose": "mine", "state": PENDING, **MOST})["value"]
    pending = [Pending(one=asked_of(one, book, person.object_id), seen=one["etag"]) for one in reversed(asked)]
    waits = {one.one.role.id.lower(): one for one in pending}
    mine = {"person": person.object_id}
    grants = tuple(grant_of(one, book) for one in first_of(visit, GRANTS, _MOST_HELD, {**mine, "state": "active"})[0])
    sessions = tuple(session_of(one, book) for one in first_of(visit, SESSIONS, _MOST_HELD, {**mine, "state": "live"})[0])
    found = sorted((_my_role(one, grants, waits, person.object_id) for one in bodies), key=lambda one: (one.account, one.name.lower()))
    shown = {one.pending.one.id for one in found if one.pending}
    return MinePage(
        accounts=tuple((account, tuple(roles)) for account, roles in groupby(found, key=lambda one: one.account)),
        refusal=refusal,
        pending=tuple(one for one in pending if one.one.id not in shown),
        grants=grants,
        sessions=sessions,
        waiting=len(visit.client.get(REQUESTS, query={"whose": "others", "state": PENDING})["value"]),
        object_id=person.object_id,
        signed_in_name=person.name,
        sees_more=read_rights(visit).reads_subscription,
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def _roles(visit: Visit) -> tuple[list[dict[str, Any]], str]:
    try:
        return list(visit.client.list(ROLES, query=MOST)), ""
    except ArmError as error:
        if error.code != "SignInNeeded":
            raise
        return [], "Only people of a directory take roles of accounts. Sign out, and sign in with your directory."


def _book(visit: Visit, bodies: list[dict[str, Any]]) -> Book:
    """Roles by what the visitor is told of them; with pages where they may read the mappings."""
    told = [(one["properties"]["mappingId"], one["properties"]["accountId"]) for one in bodies]
    roles: dict[str, Role] = {id.lower(): _unlinked(role_of(id, account)) for id, account in told}
    assert visit.person is not None
    me = Principal(id=visit.person.object_id, name=visit.person.name, kind="User")
    return Book(principals=Principals(known={me.id.lower(): me}, me=me, owns=()), roles={**roles, **read_roles(visit)})


def _unlinked(role: Role) -> Role:
    return Role(id=role.id, name=role.name, connector=role.connector, account=role.account, to="")


def _my_role(body: Mapping[str, Any], grants: tuple[Grant, ...], waiting: Mapping[str, Pending], me: str) -> MyRole:
    told, label = body["properties"], str(body["name"])
    key = told["mappingId"].lower()
    waits = waiting.get(key)
    state = WAITS if waits and told["state"] == ON_REQUEST else told["state"]
    tone, said = _SAID.get(state, ("warning", "Not now"))
    held = [one for one in grants if one.role.id.lower() == key and one.request]
    return MyRole(
        label=label,
        name=label.partition(".")[2],
        account=told["accountId"],
        state=state,
        tone=tone,
        said=said,
        details=told["stateDetails"],
        longest=told["longestSeconds"] / 60,
        grant=max(held, key=lambda one: one.ends, default=None),
        pending=waits,
        ask_to=local(f"{PATH}/ask", role=label),
        why_to=local(f"{PATH}/who", person=me, role=label),
    )
