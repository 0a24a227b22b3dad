"""People who signed in with a directory."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

from isthmus.portal.forms import Form
from isthmus.portal.page import Page, Redirect, Visit
from isthmus.portal.principals import PEOPLE, read_principals

PATH = "/portal/roles/people"
_DONE = MappingProxyType({"ended": "The person is signed out everywhere. Signing in again takes the directory's word."})


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """Somebody who signed in; instants are ISO 8601."""

    id: str
    name: str
    mail: str
    issuer: str
    first: str
    last: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PeoplePage:
    """Everybody, the latest first."""

    people: tuple[Known, ...]
    can_manage: bool
    toast: str


def view(visit: Visit) -> PeoplePage:
    """Read them."""
    found = [(one["name"], one["properties"]) for one in visit.client.list(PEOPLE, query={"$top": "1000"})]
    people = [
        Known(id=id, name=one["name"], mail=one["mail"], issuer=one["issuer"], first=one["firstSignIn"], last=one["lastSignIn"])
        for id, one in found
    ]
    return PeoplePage(
        people=tuple(sorted(people, key=lambda one: one.last, reverse=True)),
        can_manage=read_principals(visit).can_manage,
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def act(visit: Visit, form: Form) -> Redirect:
    """Sign somebody out everywhere."""
    visit.client.post(f"{PEOPLE}/{quote(form.get('person'), safe='')}/endSessions")
    return Redirect(to=f"{PATH}?done=ended")


PAGES = (Page(path=PATH, template="people.html", view=view, act=act, nav="roles"),)
