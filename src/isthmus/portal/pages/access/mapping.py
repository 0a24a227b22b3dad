"""One mapping: what it gives, to whom, on what conditions, and who holds it; its removal."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems
from isthmus.portal.page import Invalid, Redirect, Visit
from isthmus.portal.pages.access.mapped import Mapped, mapped_of, mapping_path
from isthmus.portal.pages.access.reading import PATH, Grant, Session, mapping_id, read_book, read_grants, read_sessions
from isthmus.portal.principals import may_change, read_principals

_DONE = MappingProxyType(
    {
        "created": "The mapping is made. Update the account's stack, so that the role exists there.",
        "saved": "The mapping is saved. Who held the role by a group that was taken out has lost it; conditions count from the next "
        "renewal on; what the role allows counts when the stack is updated.",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingPage:
    """A mapping with its latest grants and sessions; both None for who may not read the tenant."""

    mapping: Mapped
    grants: tuple[Grant, ...] | None
    sessions: tuple[Session, ...] | None
    can_change: bool
    can_end: bool
    edit_to: str
    remove_to: str
    template_to: str
    toast: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoveMappingPage:
    """The question before a mapping goes. `holders` have an active grant; None where that may not be known."""

    mapping: Mapped
    holders: int | None
    can_change: bool
    action: str
    problems: Problems


def view(visit: Visit) -> MappingPage:
    """Read it."""
    mapping = mapped_of(visit.client.get(mapping_id(visit)))
    principals = read_principals(visit)
    grants, sessions = _held(visit, mapping.role.id)
    return MappingPage(
        mapping=mapping,
        grants=grants,
        sessions=sessions,
        can_change=principals.may_give(mapping.role.connector.id),
        can_end=may_change(visit, "/"),
        edit_to=mapping_path(mapping.role.id, "edit"),
        remove_to=mapping_path(mapping.role.id, "remove"),
        template_to=f"{mapping.role.connector.to}?tab=template",
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def _held(visit: Visit, id: str) -> tuple[tuple[Grant, ...], tuple[Session, ...]] | tuple[None, None]:
    book = read_book(visit)
    try:
        return read_grants(visit, book, mapping=id), read_sessions(visit, book, mapping=id)
    except ArmError as error:
        if error.status != 403:
            raise
        return None, None


def remove_view(visit: Visit) -> RemoveMappingPage:
    """The question."""
    return _question(visit, Problems())


def _question(visit: Visit, problems: Problems) -> RemoveMappingPage:
    mapping = mapped_of(visit.client.get(mapping_id(visit)))
    grants, _ = _held(visit, mapping.role.id)
    return RemoveMappingPage(
        mapping=mapping,
        holders=None if grants is None else len({one.who.id for one in grants if one.is_active}),
        can_change=read_principals(visit).may_give(mapping.role.connector.id),
        action=mapping_path(mapping.role.id, "remove"),
        problems=problems,
    )


def remove(visit: Visit, _form: Form) -> Redirect | Invalid:
    """Remove it."""
    try:
        visit.client.delete(mapping_id(visit))
    except ArmError as error:
        if error.status != 409:
            raise
        return Invalid(context=_question(visit, Problems(found=(Problem(field="", message=error.message),))))
    return Redirect(to=f"{PATH}?done=removed")
