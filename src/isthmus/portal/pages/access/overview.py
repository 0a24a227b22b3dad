"""Access at a glance: which groups hold which roles of which accounts, who holds one now, and whom accounts have been told to deny."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Redirect, Visit
from isthmus.portal.pages.access.mapped import Mapped, mapped_of
from isthmus.portal.pages.access.reading import (
    GRANTS,
    MOST,
    PATH,
    REQUESTS,
    REVOCATIONS,
    SESSIONS,
    Book,
    Grant,
    Revocation,
    Session,
    first_of,
    grant_of,
    read_book,
    read_mappings,
    revocation_of,
    session_of,
)
from isthmus.portal.principals import Principals, may_change
from isthmus.portal.subjects import Subject, subject_of

SOLUTION = "Isthmus.Access"
_LATEST = 10
_DONE = MappingProxyType(
    {
        "removed": "The mapping is removed. Nobody gets credentials by it any more, and its grants have ended.",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """Who holds what now, and who was taken something lately: the latest of each, and how many there are (None: too many to be counted);
    for who may read the tenant."""

    sessions: tuple[Session, ...]
    grants: tuple[Grant, ...]
    revocations: tuple[Revocation, ...]
    live: int | None
    active: int | None
    pending: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessPage:
    """The overview. `people` is None for who may not read the tenant; `accounts` have the solution, told only when nothing is mapped.
    `waiting` are requests that the visitor could decide, counted up to 100."""

    mappings: tuple[Mapped, ...]
    connected: int
    people: People | None
    waiting: int
    accounts: tuple[Subject, ...]
    has_connectors: bool
    can_map: bool
    can_end: bool
    toast: str


def view(visit: Visit) -> AccessPage | Redirect:
    """Read mappings, live sessions, grants and revocations. Who may see none of them goes on to requests, which are everybody's."""
    if not visit.subscriptions:
        return Redirect(to=f"{PATH}/requests")
    bodies = read_mappings(visit)
    book = read_book(visit, bodies)
    mappings = sorted(map(mapped_of, bodies), key=lambda one: (one.role.account, one.role.name.lower(), one.role.id))
    connectors = () if mappings else connectors_of(visit, book.principals)
    return AccessPage(
        mappings=tuple(mappings),
        connected=len({one.role.connector.id.lower() for one in mappings}),
        people=_people(visit, book),
        waiting=len(visit.client.get(REQUESTS, query={"whose": "others", "state": "Pending"})["value"]),
        accounts=tuple(one for one, _, has in connectors if has),
        has_connectors=bool(connectors),
        can_map=bool(book.principals.owns),
        can_end=may_change(visit, "/"),
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def connectors_of(visit: Visit, principals: Principals) -> tuple[tuple[Subject, str, bool], ...]:
    """Connectors with their account, and whether people's access is configured there; where the visitor may give roles come first."""
    told = [one["properties"] for one in visit.client.list(f"{visit.root}/providers/Isthmus.Insights/connectors", query=MOST)]
    found = [
        (subject_of(one["connectorId"]), one["accountId"], any(each["type"].lower() == SOLUTION.lower() for each in one["solutions"]))
        for one in told
    ]
    return tuple(sorted(found, key=lambda one: (not principals.may_give(one[0].id), one[0].name.lower(), one[0].id)))


def _people(visit: Visit, book: Book) -> People | None:
    try:
        sessions, live = first_of(visit, SESSIONS, _LATEST, {"state": "live"})
        grants, active = first_of(visit, GRANTS, _LATEST, {"state": "active"})
        revocations, _ = first_of(visit, REVOCATIONS, _LATEST, {})
        _, pending = first_of(visit, REVOCATIONS, 1, {"state": "pending"})
    except ArmError as error:
        if error.status != 403:
            raise
        return None
    return People(
        sessions=tuple(session_of(one, book) for one in sessions),
        grants=tuple(grant_of(one, book) for one in grants),
        revocations=tuple(revocation_of(one, book) for one in revocations),
        live=live,
        active=active,
        pending=pending,
    )
