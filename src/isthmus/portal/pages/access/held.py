"""Sessions and grants of everybody: who holds what now, or held it, by person, account and state; each can be ended from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Problem, Problems
from isthmus.portal.lists import Leaf, read_leaf
from isthmus.portal.page import Visit
from isthmus.portal.pages.access.finding import find_person
from isthmus.portal.pages.access.reading import GRANTS, PATH, SESSIONS, Grant, Session, grant_of, session_of, small_book
from isthmus.portal.principals import may_change

_SIZE = 50
_NOTHING = Leaf(total=0, newest="", older="")
SESSION_STATES = (("live", "Live"), ("revoked", "Revoked"), ("ended", "Ended"), ("any", "Any"))
GRANT_STATES = (("active", "Active"), ("expired", "Expired"), ("ended", "Ended before its time"), ("any", "Any"))


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionsPage:
    """Sessions, the newest first, with the filter as it was typed; `person` may be a name, mail address or object id."""

    sessions: tuple[Session, ...]
    leaf: Leaf
    states: tuple[tuple[str, str], ...]
    state: str
    person: str
    account: str
    can_end: bool
    problems: Problems


@dataclass(frozen=True, kw_only=True, slots=True)
class GrantsPage:
    """Grants, the newest first, with the filter as it was typed; `mapping` is the id of a role mapping, or empty."""

    grants: tuple[Grant, ...]
    leaf: Leaf
    states: tuple[tuple[str, str], ...]
    state: str
    person: str
    mapping: str
    can_end: bool
    problems: Problems


def sessions_view(visit: Visit) -> SessionsPage:
    """Read a part of the sessions; live ones where nothing else is asked for."""
    state, person, account = _state(visit, SESSION_STATES), visit.query.get("person", ""), visit.query.get("account", "").strip()
    id, problems = _person(visit, person)
    kept = {"state": state, "person": person, "account": account}
    query = {"state": "" if state == "any" else state, "person": id, "account": account}
    found, leaf = ([], _NOTHING) if problems else _read(visit, SESSIONS, query, f"{PATH}/sessions", kept)
    book = small_book(visit)
    return SessionsPage(
        sessions=tuple(session_of(one, book) for one in found),
        leaf=leaf,
        states=SESSION_STATES,
        state=state,
        person=person,
        account=account,
        can_end=may_change(visit, "/"),
        problems=problems,
    )


def grants_view(visit: Visit) -> GrantsPage:
    """Read a part of the grants; active ones where nothing else is asked for."""
    state, person, mapping = _state(visit, GRANT_STATES), visit.query.get("person", ""), visit.query.get("mapping", "").strip()
    id, problems = _person(visit, person)
    kept = {"state": state, "person": person, "mapping": mapping}
    query = {"state": "" if state == "any" else state, "person": id, "mapping": mapping}
    found, leaf = ([], _NOTHING) if problems else _read(visit, GRANTS, query, f"{PATH}/grants", kept)
    book = small_book(visit)
    return GrantsPage(
        grants=tuple(grant_of(one, book) for one in found),
        leaf=leaf,
        states=GRANT_STATES,
        state=state,
        person=person,
        mapping=mapping,
        can_end=may_change(visit, "/"),
        problems=problems,
    )


def _state(visit: Visit, states: tuple[tuple[str, str], ...]) -> str:
    given = visit.query.get("state", "")
    return given if given in dict(states) else states[0][0]


def _person(visit: Visit, given: str) -> tuple[str, Problems]:
    """The object id of whom is meant; or that there is no such person."""
    try:
        return find_person(visit, given) if given.strip() else "", Problems()
    except ArmError as error:
        if error.status not in (404, 409):
            raise
        return "", Problems(found=(Problem(field="person", message=error.message),))


def _read(visit: Visit, path: str, query: Mapping[str, str], page_path: str, kept: Mapping[str, str]) -> tuple[list[dict[str, Any]], Leaf]:
    shown = {name: value for name, value in kept.items() if value}
    return read_leaf(visit, path, {**query, "$count": "true"}, size=_SIZE, page_path=page_path, kept=shown)
