"""The end of one grant: the question, with a reason, and what follows."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems, problems_of
from isthmus.portal.page import Invalid, Redirect, Visit, local
from isthmus.portal.pages.access.reading import GRANTS, MINE, Grant, person_path, read_book, read_grant, revocation_path
from isthmus.portal.principals import may_change, reads_tenant


@dataclass(frozen=True, kw_only=True, slots=True)
class EndGrantPage:
    """The question before a grant ends."""

    grant: Grant
    can_end: bool
    reason: str
    back: str
    problems: Problems


def view(visit: Visit) -> EndGrantPage:
    """The question."""
    return _question(visit, "", Problems())


def _question(visit: Visit, reason: str, problems: Problems) -> EndGrantPage:
    grant = read_grant(visit, read_book(visit), visit.path["grant"])
    can_end = may_change(visit, "/") or _is_own(visit, grant)
    return EndGrantPage(grant=grant, can_end=can_end, reason=reason, back=_back(visit, grant), problems=problems)


def _is_own(visit: Visit, grant: Grant) -> bool:
    return visit.person is not None and grant.who.id.lower() == visit.person.object_id.lower()


def _back(visit: Visit, grant: Grant) -> str:
    """Pages of people are for readers of the tenant; others come from their request, or from what is theirs."""
    return person_path(grant.who.id) if reads_tenant(visit) else grant.request or MINE


def act(visit: Visit, form: Form) -> Redirect | Invalid:
    """End it, for a reason; then on to how its account comes to deny, where something lived."""
    reason = form.get("reason")
    if not reason:
        return Invalid(context=_question(visit, reason, Problems(found=(Problem(field="reason", message="Say why: the audit keeps it."),))))
    grant = read_grant(visit, read_book(visit), visit.path["grant"])
    try:
        made = visit.client.post(f"{GRANTS}/{grant.id}/end", {"reason": reason}).body["revocations"]
    except ArmError as error:
        if error.status != 400:
            raise
        return Invalid(context=_question(visit, reason, problems_of(error, {"reason": "reason"})))
    is_shown = bool(made) and reads_tenant(visit)
    return Redirect(to=local(revocation_path(made[0]) if is_shown else _back(visit, grant), done="ended"))
