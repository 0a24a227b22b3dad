"""Asking for a role for a time: which, why, for how long. What the API refuses stands at its field, and what was typed stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems, problems_of
from isthmus.portal.page import Invalid, Redirect, Visit, local
from isthmus.portal.pages.access.reading import PATH, ROLES, read_mappings, request_path
from isthmus.portal.principals import read_me

HERE = f"{PATH}/ask"
_DEFAULT = "60"
_FIELDS = {"reason": "reason", "seconds": "minutes"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AskPage:
    """The form. `roles` are names with what is said of them; `refusal` says why the visitor's own roles are not known, empty otherwise."""

    roles: tuple[tuple[str, str], ...]
    role: str
    reason: str
    minutes: str
    is_break_glass: bool
    refusal: str
    problems: Problems


def view(visit: Visit) -> AskPage:
    """The form; `role`, `reason` and `minutes` of the query are filled in."""
    pairs = tuple((name, visit.query.get(name, default)) for name, default in (("role", ""), ("reason", ""), ("minutes", _DEFAULT)))
    return _form(visit, Form(pairs=pairs), Problems())


def act(visit: Visit, form: Form) -> Redirect | Invalid:
    """Ask, or say at its field what is wrong."""
    role, reason, minutes = form.get("role"), form.get("reason"), form.get("minutes")
    problems = []
    if not role:
        problems.append(Problem(field="role", message="Choose the role that you need."))
    if not reason:
        problems.append(Problem(field="reason", message="Say why you need it: approvers and auditors read it."))
    if not (minutes.isascii() and minutes.isdigit() and 0 < len(minutes) < 6 and int(minutes)):
        problems.append(Problem(field="minutes", message="This is a whole number of minutes, 1 or more."))
    if problems:
        return Invalid(context=_form(visit, form, Problems(found=tuple(problems))))
    body = {"reason": reason, "seconds": int(minutes) * 60, **({"breakGlass": True} if form.has("glass") else {})}
    try:
        made = visit.client.post(f"{ROLES}/{quote(role, safe='')}/request", body).body
    except ArmError as error:
        if error.status >= 500 and error.code != "GroupsUnknown":
            raise
        if error.status == 401 and error.code != "SignInNeeded":
            raise
        found = problems_of(error, _FIELDS)
        at_role = tuple(Problem(field=one.field or "role", message=one.message) for one in found)
        return Invalid(context=_form(visit, form, Problems(found=at_role)), status=422 if error.status == 400 else error.status)
    return Redirect(to=local(request_path(made["name"]), done="asked"))


def _form(visit: Visit, form: Form, problems: Problems) -> AskPage:
    roles, refusal = _roles(visit)
    chosen = form.get("role")
    if chosen and chosen not in roles:
        roles = {chosen: chosen, **roles}
    return AskPage(
        roles=(("", "Choose…"), *sorted(roles.items())) if roles else (),
        role=chosen,
        reason=form.get("reason"),
        minutes=form.get("minutes", _DEFAULT),
        is_break_glass=form.has("glass"),
        refusal=refusal,
        problems=problems,
    )


def _roles(visit: Visit) -> tuple[dict[str, str], str]:
    """Roles by name: what the visitor could hold; and what they own, whose glass they may ask to break."""
    found = dict[str, str]()
    refusal = ""
    try:
        for one in visit.client.list(ROLES, query={"$top": "1000"}):
            found[one["name"]] = _said(one["name"], one["properties"])
    except ArmError as error:
        if error.code != "SignInNeeded":
            raise
        refusal = "Only people of a directory ask for roles. Sign out, and sign in with your directory."
    if not refusal:
        found = {**_owned(visit), **found}
    return found, refusal


def _owned(visit: Visit) -> dict[str, str]:
    principals = read_me(visit)
    if not principals.owns:
        return {}
    mappings = [one for one in read_mappings(visit) if principals.may_give(one["id"])]
    names = [(f"{one['properties']['accountId']}.{one['name']}") for one in mappings]
    return {name: f"{_named(name)} (in an emergency)" for name in names}


def _said(name: str, told: Mapping[str, Any]) -> str:
    if told["activation"] != "Request":
        return f"{_named(name)} (needs no request)"
    held = " – held now, asking again extends it" if told["state"] == "Available" else ""
    return f"{_named(name)} (at most {told['longestSeconds'] // 60} minutes){held}"


def _named(name: str) -> str:
    account, _, role = name.partition(".")
    return f"{role} in AWS {account}"
