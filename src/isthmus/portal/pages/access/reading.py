"""What the API tells about access of people, as these pages show it: mappings, grants, sessions, revocations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Visit
from isthmus.portal.pages.access.mapped import MAPPINGS, Role, role_of
from isthmus.portal.principals import Principal, Principals, read_principals
from isthmus.portal.subjects import subject_of

PATH = "/portal/access"
_API = "/providers/Isthmus.Access"
PEOPLE, GRANTS = f"{_API}/people", f"{_API}/grants"
SESSIONS, REVOCATIONS = f"{_API}/sessions", f"{_API}/revocations"
MOST = {"$top": "1000"}
_DENIED = "Denied"
_PROBE = "probe"
"""The use of sessions that Isthmus itself begins to see whether an account denies: nobody holds them."""


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
    def is_active(self) -> bool:
        """Whether it can be used."""
        return self.state == "Active"


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Credentials that somebody holds or held. `state` is Live, Revoked or Ended; `lease` is when they deny everything by themselves."""

    id: str
    role: Role
    who: Principal
    account: str
    use: str
    state: str
    since: str
    lease: str


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
        """A role, by what its id says where the mapping is gone or out of sight."""
        return self.roles.get(key.lower()) or role_of(key)

    def account(self, connector: str) -> tuple[str, str]:
        """The account of a connector (empty where it is not known), and the connector's name."""
        known = next((one for one in self.roles.values() if one.connector.id.lower() == connector.lower()), None)
        return (known.account, known.connector.name) if known else ("", subject_of(connector).name)


def read_mappings(visit: Visit) -> list[dict[str, Any]]:
    """Every mapping of the subscription."""
    return list(visit.client.list(f"{visit.root}/providers/{MAPPINGS}", query=MOST))


def read_book(visit: Visit, mappings: Iterable[Mapping[str, Any]] | None = None) -> Book:
    """Names of people, roles and accounts."""
    return Book(principals=read_principals(visit), roles=read_roles(visit) if mappings is None else roles_of(mappings))


def read_roles(visit: Visit) -> Mapping[str, Role]:
    """Roles by the key of their mapping: one call. Who may not read the subscription gets none; ids say something, too."""
    try:
        return roles_of(read_mappings(visit))
    except ArmError as error:
        if error.status != 403:
            raise
        return {}


def roles_of(mappings: Iterable[Mapping[str, Any]]) -> Mapping[str, Role]:
    """The roles of mappings that were read."""
    return {one["id"].lower(): role_of(one["id"], one["properties"].get("accountId", "")) for one in mappings}


def read_grants(visit: Visit, book: Book, **query: str) -> tuple[Grant, ...]:
    """Grants, those that can be used first, and of them the latest."""
    found = [_grant(one, book) for one in visit.client.list(GRANTS, query={**MOST, **query})]
    latest = sorted(found, key=lambda one: one.began, reverse=True)
    return tuple(sorted(latest, key=lambda one: not one.is_active))


def read_sessions(visit: Visit, book: Book, **query: str) -> tuple[Session, ...]:
    """Sessions of people, those that live first, and of them the latest."""
    found = [_session(one, book) for one in visit.client.list(SESSIONS, query={**MOST, **query}) if one["properties"]["use"] != _PROBE]
    latest = sorted(found, key=lambda one: one.since, reverse=True)
    return tuple(sorted(latest, key=lambda one: one.state != "Live"))


def read_revocations(visit: Visit, book: Book, **query: str) -> tuple[Revocation, ...]:
    """Revocations, the latest first."""
    found = [revocation_of(one, book) for one in visit.client.list(REVOCATIONS, query={**MOST, **query})]
    return tuple(sorted(found, key=lambda one: one.at, reverse=True))


def read_grant(visit: Visit, book: Book, id: str) -> Grant:
    """One grant; ArmError 404 when there is none."""
    return _grant(visit.client.get(f"{GRANTS}/{quote(id, safe='')}"), book)


def person_path(object_id: str) -> str:
    """The page of a person."""
    return f"{PATH}/people/{quote(object_id, safe='')}"


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


def _grant(body: Mapping[str, Any], book: Book) -> Grant:
    told = body["properties"]
    return Grant(
        id=body["name"],
        role=book.role(told["mapping"]),
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


def _session(body: Mapping[str, Any], book: Book) -> Session:
    told = body["properties"]
    return Session(
        id=body["name"],
        role=book.role(told["mapping"]),
        who=book.principals.find(told["person"], "User"),
        account=told["accountId"],
        use=told["use"],
        state=told["state"],
        since=told["issuedAt"],
        lease=told["leaseUntil"],
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
