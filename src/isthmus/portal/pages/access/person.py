"""One person: what they hold, what was taken from them and how fast; the end of all their access, and its lifting."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems, problems_of
from isthmus.portal.page import Invalid, Redirect, Visit, local
from isthmus.portal.pages.access.reading import (
    PEOPLE,
    Book,
    Grant,
    Revocation,
    Session,
    named,
    person_of,
    person_path,
    read_book,
    read_grants,
    read_revocations,
    read_sessions,
    revocation_path,
)
from isthmus.portal.principals import Principal, may_change

_DONE = MappingProxyType(
    {
        "readmitted": "Let in again, as far as the groups reach. Sessions from before stay denied.",
        "nothing": "Nothing kept this person out.",
        "ended": "The grant is ended. It had no session that an account would have to deny.",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonPage:
    """A person with everything that concerns their access. `block` keeps them out of everything, None where nothing does."""

    who: Principal
    is_me: bool
    block: Revocation | None
    grants: tuple[Grant, ...]
    sessions: tuple[Session, ...]
    revocations: tuple[Revocation, ...]
    can_end: bool
    can_readmit: bool
    to: str
    toast: str

    @property
    def active(self) -> tuple[Grant, ...]:
        """Grants that can be used."""
        return tuple(one for one in self.grants if one.is_active)

    @property
    def live(self) -> tuple[Session, ...]:
        """Sessions that can be used."""
        return tuple(one for one in self.sessions if one.state == "Live")


@dataclass(frozen=True, kw_only=True, slots=True)
class OffboardPage:
    """The question: what would end, and the reason that was typed."""

    person: PersonPage
    reason: str
    problems: Problems


def view(visit: Visit) -> PersonPage:
    """Read everything about the person of the address."""
    return _read(visit, read_book(visit), person_of(visit))


def _read(visit: Visit, book: Book, id: str) -> PersonPage:
    grants = read_grants(visit, book, person=id)
    revocations = read_revocations(visit, book, person=id)
    name = next((one.who.name for one in grants if one.who.name), "")
    return PersonPage(
        who=named(book.principals.find(id, "User"), name),
        is_me=book.principals.me.id.lower() == id,
        block=next((one for one in revocations if one.blocks), None),
        grants=grants,
        sessions=read_sessions(visit, book, person=id),
        revocations=revocations,
        can_end=may_change(visit, "/"),
        can_readmit=book.principals.can_manage,
        to=person_path(id),
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def readmit(visit: Visit, _form: Form) -> Redirect:
    """Let the person in again."""
    id = person_of(visit)
    lifted = visit.client.post(f"{PEOPLE}/{id}/readmit").body["lifted"]
    return Redirect(to=local(person_path(id), done="readmitted" if lifted else "nothing"))


def offboard_view(visit: Visit) -> OffboardPage:
    """The question."""
    return OffboardPage(person=view(visit), reason="", problems=Problems())


def offboard(visit: Visit, form: Form) -> Redirect | Invalid:
    """End everything, for a reason; then on to how accounts come to deny."""
    id, reason = person_of(visit), form.get("reason")
    if not reason:
        return _refused(visit, reason, Problems(found=(Problem(field="reason", message="Say why: the audit keeps it."),)))
    try:
        made = visit.client.post(f"{PEOPLE}/{id}/offboard", {"reason": reason}).body
    except ArmError as error:
        if error.status != 400:
            raise
        return _refused(visit, reason, problems_of(error, {"reason": "reason"}))
    return Redirect(to=f"{revocation_path(made['name'])}?done=offboarded")


def _refused(visit: Visit, reason: str, problems: Problems) -> Invalid:
    return Invalid(context=OffboardPage(person=view(visit), reason=reason, problems=problems))
