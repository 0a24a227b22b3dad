"""Roles: who may do what where; given and taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import parse_resource
from isthmus.portal.forms import Form, Problem, Problems
from isthmus.portal.page import Invalid, Page, Redirect, Visit
from isthmus.portal.principals import Principal, Principals, read_principals
from isthmus.portal.subjects import Subject, subject_of

PATH = "/portal/roles"
ASSIGNMENTS = "providers/Microsoft.Authorization/roleAssignments"
ROLES = MappingProxyType(
    {
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
        "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
        "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
        "b3a1c5de-2f64-4d0b-9a57-6c0e8d41f7a2": "Directory Provisioner",
    }
)
"""The ids of the built-in roles: Azure's, and one of ours."""
_DONE = MappingProxyType(
    {"assigned": "The role is assigned. It counts from now on.", "removed": "The role is taken away. It counts no more."}
)
_MOST = {"$top": "1000"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """One role of one principal at one scope. `since` is ISO 8601, `by` who gave it."""

    id: str
    who: Principal
    role: str
    scope: Subject
    since: str
    by: str
    is_mine: bool
    can_remove: bool

    @property
    def is_keys_to_all(self) -> bool:
        """Whether it is Owner of the whole tenant."""
        return self.role == "Owner" and self.scope.id == "/"


@dataclass(frozen=True, kw_only=True, slots=True)
class RolesPage:
    """Role assignments at, above and below the subscription that match `who`, `role` and `scope`; `total` is how many there are in all."""

    assignments: tuple[Assignment, ...]
    total: int
    who: str
    role: str
    scope: str
    can_assign: bool
    toast: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovePage:
    """What is about to be taken away, and what that means."""

    assignment: Assignment
    problems: Problems


def view(visit: Visit) -> RolesPage:
    """Read the assignments."""
    principals = read_principals(visit)
    everything = _read(visit, principals)
    who, role, scope = (visit.query.get(name, "").strip() for name in ("who", "role", "scope"))
    chosen = [one for one in everything if _matches(one, who.lower(), role, scope.lower())]
    return RolesPage(
        assignments=tuple(sorted(chosen, key=lambda one: (one.scope.id.lower(), one.role, one.who.name.lower(), one.who.id))),
        total=len(everything),
        who=who,
        role=role,
        scope=scope,
        can_assign=bool(principals.owns),
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def remove_view(visit: Visit) -> RemovePage:
    """The confirmation."""
    return RemovePage(assignment=_one(visit), problems=Problems())


def remove(visit: Visit, form: Form) -> Redirect | Invalid:
    """Take the role away; one's own ownership of everything only with the box ticked."""
    assignment = _one(visit)
    if assignment.is_mine and assignment.is_keys_to_all and not form.has("understood"):
        message = "Tick the box: you cannot give this role back to yourself."
        return Invalid(context=RemovePage(assignment=assignment, problems=Problems(found=(Problem(field="understood", message=message),))))
    try:
        visit.client.delete(assignment.id)
    except ArmError as error:
        if error.status not in (400, 409):
            raise
        return Invalid(context=RemovePage(assignment=assignment, problems=Problems(found=(Problem(field="", message=error.message),))))
    return Redirect(to=f"{PATH}?done=removed")


def _one(visit: Visit) -> Assignment:
    id = parse_resource(visit.query.get("id", ""))
    if id.type.lower() != "microsoft.authorization/roleassignments":
        raise ArmError("PageNotFound", "This address names no role assignment.", status=404)
    return _shown(visit.client.get(str(id)), read_principals(visit))


def _read(visit: Visit, principals: Principals) -> list[Assignment]:
    return [_shown(body, principals) for body in visit.client.list(f"{visit.root}/{ASSIGNMENTS}", query=_MOST)]


def _shown(body: Mapping[str, Any], principals: Principals) -> Assignment:
    properties, made = body["properties"], body.get("systemData", {})
    role = properties["roleDefinitionId"].rpartition("/")[2].lower()
    by = principals.find(made.get("createdBy", ""))
    return Assignment(
        id=body["id"],
        who=principals.find(properties["principalId"], properties["principalType"]),
        role=ROLES.get(role, role),
        scope=subject_of(properties["scope"]),
        since=made.get("createdAt", ""),
        by=by.name or by.id,
        is_mine=properties["principalId"].lower() == principals.me.id.lower(),
        can_remove=principals.may_give(properties["scope"]),
    )


def _matches(assignment: Assignment, who: str, role: str, scope: str) -> bool:
    words = f"{assignment.who.name} {assignment.who.more} {assignment.who.id}".lower()
    return who in words and role in ("", assignment.role) and scope in f"{assignment.scope.id} {assignment.scope.name}".lower()


PAGES = (
    Page(path=PATH, template="roles.html", view=view, nav="roles"),
    Page(path=f"{PATH}/remove", template="role_remove.html", view=remove_view, act=remove, nav="roles"),
)
