"""Give somebody a role at a scope."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import parse_resource
from isthmus.portal.forms import Form, Problem, Problems, problems_of
from isthmus.portal.page import Invalid, Page, Redirect, Visit
from isthmus.portal.pages.roles import ASSIGNMENTS, PATH, ROLES
from isthmus.portal.principals import Principals, read_principals
from isthmus.portal.subjects import subject_of

_CONNECTORS = "providers/Microsoft.HybridConnectivity/publicCloudConnectors"
_MOST = {"$top": "1000"}
_MOST_SCOPES = 400
"""Scopes to choose from; the rest is typed."""
_MEANING = {
    "Owner": "May do everything, and give roles to others.",
    "Contributor": "May change every resource, but gives nobody a role.",
    "Reader": "May read every resource and change none.",
    "Directory Provisioner": "May keep the users and groups of the directory (SCIM). It counts for the whole tenant (/) only.",
}
_TARGETS = {"properties.principalId": "principal", "properties.roleDefinitionId": "role"}
_OF_SCOPE = ("InvalidResourceId", "InvalidResourceType", "InvalidResourceNamespace")


@dataclass(frozen=True, kw_only=True, slots=True)
class AssignPage:
    """The form: what may be chosen (value and text), and what was. `other` fields win over the lists beside them."""

    principals: tuple[tuple[str, str], ...]
    scopes: tuple[tuple[str, str], ...]
    roles: tuple[tuple[str, str, str], ...]
    principal: str
    other_principal: str
    role: str
    scope: str
    other_scope: str
    problems: Problems


def view(visit: Visit) -> AssignPage:
    """The empty form; `scope` and `principal` of the query are chosen already."""
    wanted = {"principal": visit.query.get("principal", ""), "scope": visit.query.get("scope", visit.root)}
    return _page(visit, read_principals(visit), Form(pairs=tuple(wanted.items())), Problems())


def act(visit: Visit, form: Form) -> Redirect | Invalid:
    """Assign it, or say at its field what is wrong."""
    principals = read_principals(visit)
    who = form.get("other-principal") or form.get("principal")
    scope = form.get("other-scope") or form.get("scope")
    missing = [
        Problem(field=field, message=message)
        for field, given, message in (
            ("principal", who, "Choose who gets the role, or give an object id below."),
            ("role", form.get("role"), "Choose the role."),
            ("scope", scope, "Choose where the role counts, or give a resource id below."),
        )
        if not given
    ]
    if missing:
        return Invalid(context=_page(visit, principals, form, Problems(found=tuple(missing))))
    kind = principals.find(who, "User").kind
    body = {"properties": {"roleDefinitionId": form.get("role"), "principalId": who, "principalType": kind}}
    try:
        at = "" if scope == "/" else str(parse_resource(scope))
        # The number of this request is random and used once: it names what the request makes.
        visit.client.put(f"{at}/{ASSIGNMENTS}/{visit.correlation}", body)
    except ArmError as error:
        if error.status >= 500:
            raise
        return Invalid(context=_page(visit, principals, form, _problems(error, form)))
    return Redirect(to=f"{PATH}?done=assigned")


def _problems(error: ArmError, form: Form) -> Problems:
    at_principal = "other-principal" if form.get("other-principal") else "principal"
    at_scope = "other-scope" if form.get("other-scope") else "scope"
    if error.code == "RoleAssignmentExists":
        return Problems(found=(Problem(field=at_principal, message="This principal has this role at this scope already."),))
    if error.code in _OF_SCOPE or error.status in (403, 404):
        return Problems(found=(Problem(field=at_scope, message=error.message),))
    return problems_of(error, {**_TARGETS, "properties.principalId": at_principal})


def _page(visit: Visit, principals: Principals, form: Form, problems: Problems) -> AssignPage:
    people = sorted(principals.known.values(), key=lambda one: (one.kind, one.name.lower()))
    return AssignPage(
        principals=(("", "Choose…"), *((one.id, _named(one.name, one.kind, one.more)) for one in people)),
        scopes=_scopes(visit, principals),
        roles=tuple((name, name, _MEANING[name]) for name in ROLES.values()),
        principal=form.get("principal"),
        other_principal=form.get("other-principal"),
        role=form.get("role"),
        scope=form.get("scope"),
        other_scope=form.get("other-scope"),
        problems=problems,
    )


def _named(name: str, kind: str, more: str) -> str:
    what = "person" if kind == "User" else "application"
    return f"{name} ({what}{', ' if more else ''}{more})"


def _scopes(visit: Visit, principals: Principals) -> tuple[tuple[str, str], ...]:
    """The tenant, the subscriptions, groups and connectors of this one: where the visitor may give roles."""
    found = [("/", "The whole tenant (/)")]
    found += [(f"/subscriptions/{id}", f"Subscription {name}") for id, name in visit.subscriptions]
    groups = [one["id"] for one in visit.client.list(f"{visit.root}/resourceGroups", query=_MOST)]
    connectors = [one["id"] for one in visit.client.list(f"{visit.root}/{_CONNECTORS}", query=_MOST)]
    for id in (*groups, *connectors):
        about = subject_of(id)
        found.append((id, f"{about.kind.capitalize()} {about.name}"))
    return tuple(pair for pair in found if principals.may_give(pair[0]))[:_MOST_SCOPES]


PAGES = (Page(path=f"{PATH}/assign", template="role_assign.html", view=view, act=act, nav="roles"),)
