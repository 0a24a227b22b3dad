"""One request for a role: who asks for what and why, what they hold already, what was decided; and deciding about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from isthmus.arm.errors import ArmError
from isthmus.client import Answer
from isthmus.portal.forms import Form, Problem, Problems
from isthmus.portal.page import Invalid, Redirect, Visit, local
from isthmus.portal.pages.access.asked import Asked, asked_of
from isthmus.portal.pages.access.mapped import said
from isthmus.portal.pages.access.reading import PATH, REQUESTS, Grant, grant_of, request_path, small_book
from isthmus.portal.principals import read_me

_ACTIONS = ("approve", "deny", "withdraw", "acknowledge")
_DONE = MappingProxyType(
    {
        "asked": "You have asked. Those who decide see it here and with isthmus access requests.",
        "approve": "You approved it.",
        "deny": "You denied it.",
        "withdraw": "You withdrew it.",
        "acknowledge": "It is noted that you have looked.",
        "ended": "The grant is ended, and the account is told to deny its sessions.",
    }
)
_CHANGED = frozenset({"RequestChanged", "RequestDecided", "AlreadyApproved"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Gives:
    """What the role allows: managed policies, IAM statements a line each, the tag of machines for shells (or empty); and which groups
    decide about it, with what the directory calls each (or empty)."""

    policies: tuple[str, ...]
    statements: tuple[str, ...]
    machine_tag: str
    approvers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestPage:
    """A request. `holds` are the person's living grants, `own` that of this request where it lives; `refusal` says why the visitor cannot
    decide, empty when they can. Who `has_approved` already may still deny. `gives` is None when the role is gone; `seen` is the ETag of
    what is shown."""

    one: Asked
    holds: tuple[Grant, ...]
    own: Grant | None
    can_decide: bool
    has_approved: bool
    can_acknowledge: bool
    can_end: bool
    refusal: str
    extend_to: str
    gives: Gives | None
    seen: str
    comment: str
    problems: Problems
    toast: str


def view(visit: Visit) -> RequestPage:
    """Read it."""
    return _page(visit, _fetch(visit), "", Problems())


def act(visit: Visit, form: Form) -> Redirect | Invalid:
    """Decide, withdraw or acknowledge, unless something was done with it since the form was made: then that is shown first."""
    action, comment = form.get("action"), form.get("comment")
    if action not in _ACTIONS:
        return _refused(visit, comment, Problem(field="", message="Choose what to do with this request."))
    if action == "deny" and not comment:
        return _refused(visit, comment, Problem(field="comment", message="Say why you deny it: who asked reads it."))
    body = {"reason": comment} if comment and action != "withdraw" else None
    try:
        visit.client.post(f"{REQUESTS}/{_name(visit)}/{action}", body, etag=form.get("seen"))
    except ArmError as error:
        if error.status == 401 and error.code != "SignInNeeded":
            raise
        if error.status not in (400, 401, 403, 409, 412, 503):
            raise
        return _refused(visit, comment, _problem(error), status=409 if error.status == 412 else error.status)
    return Redirect(to=local(request_path(visit.path["request"]), done=action))


def _gives(told: Mapping[str, Any]) -> Gives:
    return Gives(
        policies=tuple(told["managedPolicyArns"]),
        statements=said(told["statements"]),
        machine_tag=told["machineTag"],
        approvers=tuple((id, told["approverGroupNames"].get(id, "")) for id in told["approverGroups"]),
    )


def _name(visit: Visit) -> str:
    return quote(visit.path["request"], safe="")


def _fetch(visit: Visit) -> Answer:
    return visit.client.fetch(f"{REQUESTS}/{_name(visit)}")


def _refused(visit: Visit, comment: str, problem: Problem, status: int = 422) -> Invalid:
    return Invalid(context=_page(visit, _fetch(visit), comment, Problems(found=(problem,))), status=status)


def _problem(error: ArmError) -> Problem:
    is_about_words = (error.target or "").startswith("reason")
    message = f"{error.message} What happened is below." if error.code in _CHANGED else error.message
    return Problem(field="comment" if is_about_words else "", message=message)


def _page(visit: Visit, answer: Answer, comment: str, problems: Problems) -> RequestPage:
    told, book = answer.body["properties"], small_book(visit)
    principals = read_me(visit)
    one = asked_of(answer.body, book, principals.me.id)
    holds = tuple(grant_of(each, book) for each in told["holds"])
    own = next((each for each in holds if each.id == one.grant), None)
    return RequestPage(
        one=one,
        holds=holds,
        own=own,
        can_decide=told["canDecide"],
        has_approved=any(each.by.lower() == principals.me.id.lower() for each in one.approved_by),
        can_acknowledge=one.needs_a_look and not one.is_mine and principals.has_signed_in and principals.may_give(one.role.connector.id),
        can_end=own is not None and (one.is_mine or "/" in principals.owns),
        refusal=(told["cannotBecause"] or "") if one.is_pending and not told["canDecide"] else "",
        extend_to=local(f"{PATH}/ask", role=one.label, reason=one.reason) if one.is_mine and own is not None and one.label else "",
        gives=_gives(told["gives"]) if told["gives"] else None,
        seen=answer.etag,
        comment=comment,
        problems=problems,
        toast=_DONE.get(visit.query.get("done", ""), "") if not problems else "",
    )
