"""What the API tells about access of people, as these pages show it: mappings, grants, sessions, revocations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote
from uuid import UUID

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Visit
from isthmus.portal.pages.access.mapped import MAPPINGS, Role, role_of
from isthmus.portal.principals import Principal, Principals, read_principals
from isthmus.portal.subjects import subject_of

PATH = "/portal/access"
MINE = f"{PATH}/mine"
_API = "/providers/Isthmus.Access"
PEOPLE, GRANTS = f"{_API}/people", f"{_API}/grants"
SESSIONS, REVOCATIONS = f"{_API}/sessions", f"{_API}/revocations"
REQUESTS, ROLES = f"{_API}/requests", f"{_API}/roles"
MOST = {"$top": "1000"}
_DENIED = "Denied"


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """One reason for which a person holds a role. `state` is Active, Expired or Ended; instants are ISO 8601 or empty."""

    id: str
    role: Role
    who: Principal
    because: str
    state: str
    began: str
    ends: str
    checked: str
    ended: str
    ending: str
    is_break_glass: bool
    end_to: str

    @property
    def request(self) -> str:
        """The page of the request that it came of; empty for a standing role."""
        kind, _, id = self.because.partition(":")
        return request_path(id) if kind == "request" else ""

    @property
    def is_active(self) -> bool:
        """Whether it can be used."""
        return self.state == "Active"


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Credentials that somebody holds or held. `state` is Live, Revoked or Ended; `lease` is when they deny everything by themselves."""

    id: str
    role: Role
    who: Principal
    grant: str
    account: str
    use: str
    state: str
    since: str
    lease: str
    signed_in_from: str
    used_from: str
    last_call: str
    shells: int

    @property
    def is_live(self) -> bool:
        """Whether it can be used."""
        return self.state == "Live"


@dataclass(frozen=True, kw_only=True, slots=True)
class Denial:
    """Where one account stands: Pending, Denied or Unreachable. `seconds` until a session was seen denied, None where none was watched."""

    account: str
    connector: str
    state: str
    seconds: float | None
    attached: str
    shells: int
    details: str

    @property
    def denies(self) -> bool:
        """Whether nothing is left to be done there."""
        return self.state == _DENIED


@dataclass(frozen=True, kw_only=True, slots=True)
class Revocation:
    """A person, or one grant of theirs, whose access was taken. `seconds` is the longest that was measured."""

    id: str
    who: Principal
    grant: str
    reason: str
    by: Principal
    at: str
    readmitted: str
    state: str
    seconds: float | None
    accounts: tuple[Denial, ...]
    to: str

    @property
    def is_pending(self) -> bool:
        """Whether an account does not deny yet."""
        return self.state != _DENIED

    @property
    def blocks(self) -> bool:
        """Whether it keeps the person out of everything."""
        return not self.grant and not self.readmitted


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """Names for what the API tells by key: people by object id, roles by the key of their mapping, accounts by that of their connector."""

    principals: Principals
    roles: Mapping[str, Role]

    def role(self, key: str) -> Role:
        """A role; where the mapping is gone or out of sight, by what its key says, and without a page."""
        return self.roles.get(key.lower()) or replace(role_of(key), to="")

    def account(self, connector: str) -> tuple[str, str]:
        """The account of a connector (empty where it is not known), and the connector's name."""
        known = next((one for one in self.roles.values() if one.connector.id.lower() == connector.lower()), None)
        return (known.account, known.connector.name) if known else ("", subject_of(connector).name)


def labelled(role: Role, label: str | None) -> Role:
    """The role with the name and account of its label (`123456789012.Reader`), which those hear of who may not read its mapping."""
    account, _, name = (label or "").partition(".")
    return replace(role, name=name, account=account) if name else role


def read_mappings(visit: Visit) -> list[dict[str, Any]]:
    """Every mapping of the subscription."""
    return list(visit.client.list(f"{visit.root}/providers/{MAPPINGS}", query=MOST))


def small_book(visit: Visit) -> Book:
    """Names of roles and accounts, for lists that name people themselves: who may be very many."""
    nobody = Principals(known={}, me=Principal(id=visit.person.object_id if visit.person else "", name="", kind="User"), owns=())
    return Book(principals=nobody, roles=read_roles(visit))


def read_book(visit: Visit, mappings: Iterable[Mapping[str, Any]] | None = None) -> Book:
    """Names of people, roles and accounts."""
    return Book(principals=read_principals(visit), roles=read_roles(visit) if mappings is None else roles_of(mappings))


def read_roles(visit: Visit) -> Mapping[str, Role]:
    """Roles by the key of their mapping: one call. Who may not read the subscription gets none; ids say something, too."""
    if not visit.subscriptions:
        return {}
    try:
        return roles_of(read_mappings(visit))
    except ArmError as error:
        if error.status != 403:
            raise
        return {}


def roles_of(mappings: Iterable[Mapping[str, Any]]) -> Mapping[str, Role]:
    """The roles of mappings that were read."""
    return {one["id"].lower(): role_of(one["id"], one["properties"].get("accountId", "")) for one in mappings}


def read_grants(visit: Visit, book: Book, *, most: int = 50, **query: str) -> tuple[Grant, ...]:
    """The latest grants, and all that can be used, up to `most` of each; those that can be used first."""
    active = [grant_of(one, book) for one in first_of(visit, GRANTS, most, {**query, "state": "active"})[0]]
    latest = [grant_of(one, book) for one in first_of(visit, GRANTS, most, query)[0]]
    return (*active, *(one for one in latest if not one.is_active))


def read_sessions(visit: Visit, book: Book, *, most: int = 50, **query: str) -> tuple[Session, ...]:
    """The latest sessions of people, up to `most`; those that live first."""
    found = [session_of(one, book) for one in first_of(visit, SESSIONS, most, query)[0]]
    return tuple(sorted(found, key=lambda one: not one.is_live))


def read_revocations(visit: Visit, book: Book, *, most: int = 50, **query: str) -> tuple[Revocation, ...]:
    """The latest revocations, up to `most`, the latest first."""
    return tuple(revocation_of(one, book) for one in first_of(visit, REVOCATIONS, most, query)[0])


def first_of(visit: Visit, path: str, most: int, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], int | None]:
    """The first of a list, and how many there are; None when they are too many to be counted."""
    body = visit.client.get(path, query={**query, "$top": str(most), "$count": "true"})
    return list(body["value"]), body.get("count")


def read_grant(visit: Visit, book: Book, id: str) -> Grant:
    """One grant; ArmError 404 when there is none."""
    return grant_of(visit.client.get(f"{GRANTS}/{quote(id, safe='')}"), book)


def person_path(object_id: str) -> str:
    """The page of a person."""
    return f"{PATH}/people/{quote(object_id, safe='')}"


def request_path(id: str) -> str:
    """The page of a request for a role."""
    return f"{PATH}/requests/{quote(id, safe='')}"


def revocation_path(id: str) -> str:
    """The page of a revocation."""
    return f"{PATH}/revocations/{quote(id, safe='')}"


def person_of(visit: Visit) -> str:
    """The object id that the address names; ArmError 404 when it is none."""
    try:
        return str(UUID(visit.path["person"]))
    except ValueError as error:
        raise ArmError("PageNotFound", "This address names no person: people are named by their object id, a UUID.", status=404) from error


def named(principal: Principal, name: str) -> Principal:
    """The same with a name that is known from elsewhere, when the directory of people has none."""
    return principal if principal.name else Principal(id=principal.id, name=name, kind="User", more=principal.more)


def grant_of(body: Mapping[str, Any], book: Book) -> Grant:
    """A grant from the API's body."""
    told = body["properties"]
    return Grant(
        id=body["name"],
        role=labelled(book.role(told["mapping"]), told.get("role")),
        who=named(book.principals.find(told["person"], "User"), told["personName"]),
        because=told["because"],
        state=told["state"],
        began=told["beganAt"],
        ends=told["endsAt"],
        checked=told["checkedAt"],
        ended=told["endedAt"] or "",
        ending=told["ending"],
        is_break_glass=told["breakGlass"],
        end_to=f"{PATH}/grants/{quote(body['name'], safe='')}/end",
    )


def session_of(body: Mapping[str, Any], book: Book) -> Session:
    """A session from the API's body."""
    told = body["properties"]
    return Session(
        id=body["name"],
        role=book.role(told["mapping"]),
        who=named(book.principals.find(told["person"], "User"), told["personName"]),
        grant=told["grant"],
        account=told["accountId"],
        use=told["use"],
        state=told["state"],
        since=told["issuedAt"],
        lease=told["leaseUntil"],
        signed_in_from=told["signedInFrom"] or "",
        used_from=told["usedFrom"] or "",
        last_call=told["lastCallAt"] or "",
        shells=told["shells"],
    )


def revocation_of(body: Mapping[str, Any], book: Book) -> Revocation:
    """A revocation with where its accounts stand."""
    told = body["properties"]
    return Revocation(
        id=body["name"],
        who=book.principals.find(told["person"], "User"),
        grant=told["grant"] or "",
        reason=told["reason"],
        by=book.principals.find(told["actor"]),
        at=told["at"],
        readmitted=told["readmittedAt"] or "",
        state=told["state"],
        seconds=told["seconds"],
        accounts=tuple(_denial(one, book) for one in told["accounts"]),
        to=revocation_path(body["name"]),
    )


def _denial(told: Mapping[str, Any], book: Book) -> Denial:
    account, connector = book.account(told["connector"])
    return Denial(
        account=account,
        connector=connector,
        state=told["state"],
        seconds=told["seconds"],
        attached=told["attachedAt"] or "",
        shells=told["shells"],
        details=told["details"],
    )


def mapping_id(visit: Visit) -> str:
    """The id of the mapping that the address names; ArmError 404 when it names something else."""
    id = visit.id()
    if id.type.lower() != MAPPINGS.lower():
        raise ArmError("PageNotFound", "This address names no role mapping. It may have been cut.", status=404)
    return str(id)
