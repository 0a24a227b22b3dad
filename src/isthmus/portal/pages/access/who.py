"""Who may do what where: all roles of a person, or everybody who may take a role of an account; and why, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Problem, Problems
from isthmus.portal.lists import Leaf, read_leaf
from isthmus.portal.page import Visit, local
from isthmus.portal.pages.access.finding import find_person
from isthmus.portal.pages.access.mapped import Role
from isthmus.portal.pages.access.reading import PATH, ROLES, Book, labelled, named, read_mappings, small_book
from isthmus.portal.principals import Principal

HERE = f"{PATH}/who"
_ENTITLEMENTS = "/providers/Isthmus.Access/entitlements"
_SIZE = 100
_MOST_CHOICES = 200
_NOTHING = Leaf(total=None, newest="", older="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entitled:
    """One person and one role. `state` is Available or what is in the way; `until` is how far a lease would reach now, or empty."""

    who: Principal
    role: Role
    label: str
    account: str
    activation: str
    allowed: bool
    because: str
    until: str
    code: str
    details: str
    why_to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing that the decision looked at."""

    name: str
    holds: bool
    details: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Why:
    """The answer for one person and one role: whether, because of which group, claim or grant, until when; the sign-in that it stands on,
    the lines of the mapping with the step that looks at each, and the last session."""

    who: Principal
    role: Role
    label: str
    allowed: bool
    because: str
    until: str
    issuer: str
    signed_in: str
    sign_in_ends: str
    steps: tuple[Step, ...]
    policy: tuple[tuple[str, str, str], ...]
    last_session: str
    last_at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WhoPage:
    """What was asked, as it was typed, and what came of it. `accounts` are those with a mapping, `roles` labels of roles."""

    person: str
    account: str
    role: str
    accounts: tuple[str, ...]
    roles: tuple[str, ...]
    entitled: tuple[Entitled, ...]
    leaf: Leaf
    why: Why | None
    is_asked: bool
    problems: Problems

    @property
    def account_choices(self) -> tuple[tuple[str, str], ...]:
        """Accounts to choose from; none where they are not known, or too many to look through: then one is typed."""
        return _choices("Any account", self.account, [(one, f"AWS {one}") for one in self.accounts])

    @property
    def role_choices(self) -> tuple[tuple[str, str], ...]:
        """Roles, likewise."""
        return _choices("Any role", self.role, [(one, _named(one)) for one in self.roles])


def _choices(any_of_them: str, chosen: str, known: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What was asked for by another address is among them, too: what is wrong with it is said beside it."""
    if not 0 < len(known) <= _MOST_CHOICES:
        return ()
    others = [(chosen, chosen)] if chosen and chosen not in dict(known) else []
    return ("", any_of_them), *others, *known


def _named(label: str) -> str:
    account, _, name = label.partition(".")
    return f"{name} in AWS {account}"


def view(visit: Visit) -> WhoPage:
    """Answer what the query asks: a person, an account, or a person and a role."""
    person, account, role = (visit.query.get(name, "").strip() for name in ("person", "account", "role"))
    mappings, book = _mappings(visit), small_book(visit)
    entitled, leaf, why = tuple[Entitled, ...](), _NOTHING, None
    problems = Problems()
    try:
        id = find_person(visit, person) if person else ""
        if role and not person:
            raise ArmError("PersonNeeded", "Name the person, too: whether somebody may is decided about one.", target="person")
        if role:
            why = _why(visit, book, id, role)
        elif id or account:
            kept = {"person": person} if id else {"account": account}
            query = {"person": id} if id else {"account": account}
            found, leaf = read_leaf(visit, _ENTITLEMENTS, query, size=_SIZE, page_path=HERE, kept=kept)
            entitled = tuple(_entitled(one["properties"], book) for one in found)
    except ArmError as error:
        if error.status not in (400, 404, 409):
            raise
        field = error.target if error.target in ("person", "account") else "role" if error.code == "RoleNotFound" else ""
        problems = Problems(found=(Problem(field=field, message=error.message),))
    return WhoPage(
        person=person,
        account=account,
        role=role,
        accounts=tuple(sorted({one["properties"]["accountId"] for one in mappings})),
        roles=tuple(sorted(f"{one['properties']['accountId']}.{one['name']}" for one in mappings)),
        entitled=entitled,
        leaf=leaf,
        why=why,
        is_asked=bool(person or account or role) and not problems,
        problems=problems,
    )


def _mappings(visit: Visit) -> list[dict[str, Any]]:
    if not visit.subscriptions:
        return []
    try:
        return read_mappings(visit)
    except ArmError as error:
        if error.status != 403:
            raise
        return []


def _why(visit: Visit, book: Book, person: str, role: str) -> Why:
    told = visit.client.post(f"{ROLES}/{quote(role, safe='')}/why", {"person": person}).body
    sign_in, last = told["signIn"] or {}, told["lastSession"] or {}
    return Why(
        who=named(book.principals.find(told["person"], "User"), told["personName"] or ""),
        role=labelled(book.role(told["mappingId"]), told["role"]),
        label=told["role"],
        allowed=told["allowed"],
        because=told["because"] or "",
        until=told["until"] or "",
        issuer=sign_in.get("issuer", ""),
        signed_in=sign_in.get("at", ""),
        sign_in_ends=sign_in.get("endsAt", ""),
        steps=tuple(Step(name=one["name"], holds=one["holds"], details=one["details"]) for one in told["steps"]),
        policy=tuple((one["property"], _said(one["value"]), one["step"] or "") for one in told["policy"]),
        last_session=last.get("accessKeyId", ""),
        last_at=last.get("issuedAt", ""),
    )


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name} is {_said(each)}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else "yes" if value is True else str(value)


def _entitled(told: Mapping[str, Any], book: Book) -> Entitled:
    return Entitled(
        who=named(book.principals.find(told["person"], "User"), told["personName"]),
        role=labelled(book.role(told["mapping"]), told["role"]),
        label=told["role"],
        account=told["accountId"],
        activation=told["activation"],
        allowed=told["allowed"],
        because=told["because"] or "",
        until=told["until"] or "",
        code=told["code"] or "",
        details=told["details"] or "",
        why_to=local(HERE, person=told["person"], role=told["role"]),
    )
