"""Requests for roles: those that wait for the visitor, the visitor's own, and all that they may see, by state."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.portal.lists import Leaf, read_leaf
from isthmus.portal.page import Visit, local
from isthmus.portal.pages.access.asked import PENDING, STATES, Asked, asked_of
from isthmus.portal.pages.access.reading import PATH, REQUESTS, small_book

HERE = f"{PATH}/requests"
_SIZE = 50
OTHERS, MINE, ALL = "others", "mine", "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestsPage:
    """Requests, the newest first. `whose` is others (which the visitor could decide), mine or all; `state` is one, or empty for any."""

    whose: str
    state: str
    states: tuple[str, ...]
    requests: tuple[Asked, ...]
    leaf: Leaf
    tabs: tuple[tuple[str, str, str], ...]


def view(visit: Visit) -> RequestsPage:
    """Read a part of the list. What waits for the visitor is shown where nothing else is asked for."""
    whose = visit.query.get("whose", "")
    whose = whose if whose in (MINE, ALL) else OTHERS
    state = visit.query.get("state", PENDING if whose == OTHERS else "")
    state = state if state in STATES else ""
    query = {"whose": "" if whose == ALL else whose, "state": state}
    found, leaf = read_leaf(visit, REQUESTS, query, size=_SIZE, page_path=HERE, kept={"whose": whose, "state": state or "any"})
    book, me = small_book(visit), visit.person.object_id if visit.person else ""
    return RequestsPage(
        whose=whose,
        state=state,
        states=STATES,
        requests=tuple(asked_of(one, book, me) for one in found),
        leaf=leaf,
        tabs=((OTHERS, "Waiting for you", HERE), (MINE, "Yours", local(HERE, whose=MINE)), (ALL, "All", local(HERE, whose=ALL))),
    )
