"""Applications: who may ask for tokens without being a person. Their secrets are shown once; federated credentials need none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems, problems_of
from isthmus.portal.page import Invalid, Page, Redirect, Visit
from isthmus.portal.principals import CLIENTS, read_principals

PATH = "/portal/roles/applications"
_DONE = MappingProxyType(
    {
        "made": "The application is made. Give it a credential, then a role.",
        "removed": "The application is removed, with its credentials and roles.",
        "secret": "The secret is removed. It lets nobody in any more.",
        "credential": "The federated credential is removed. Its tokens let nobody in any more.",
        "trusted": "Tokens of that issuer about that subject are taken from now on.",
    }
)
_FIELDS = MappingProxyType({"issuer": "issuer", "subject": "subject", "audience": "audience", "lifetime": "days"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Application:
    """One application. `signs` says that it has a key of its own; `created` is ISO 8601."""

    id: str
    to: str
    name: str
    object_id: str
    created: str
    signs: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ApplicationsPage:
    """Every application of the tenant, and the form for a new one."""

    applications: tuple[Application, ...]
    can_manage: bool
    name: str
    problems: Problems
    toast: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """A secret as it is kept: an id, a few of its characters, and when it ends."""

    id: str
    hint: str
    expires: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Credential:
    """Whose tokens sign in as the application."""

    id: str
    issuer: str
    subject: str
    audience: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ApplicationPage:
    """One application with its credentials. `shown` is a new secret, on the one page that ever shows it; fields are what was typed."""

    application: Application
    secrets: tuple[Secret, ...]
    credentials: tuple[Credential, ...]
    can_manage: bool
    shown: str
    days: str
    issuer: str
    subject: str
    audience: str
    problems: Problems
    toast: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovePage:
    """What is about to be removed."""

    application: Application
    problems: Problems


def list_view(visit: Visit) -> ApplicationsPage:
    """Read them."""
    return _list(visit, "", Problems())


def create(visit: Visit, form: Form) -> Redirect | Invalid:
    """Make a new one."""
    name = form.get("name")
    try:
        made = visit.client.post(CLIENTS, {"name": name}).body
    except ArmError as error:
        if error.status >= 500:
            raise
        return Invalid(context=_list(visit, name, problems_of(error, {"name": "name"})))
    return Redirect(to=f"{_page_of(made['name'])}?done=made")


def view(visit: Visit) -> ApplicationPage:
    """Read one."""
    return _one(visit, Form(), Problems())


def act(visit: Visit, form: Form) -> Redirect | Invalid | ApplicationPage:
    """Add or remove a credential. A new secret is in the answer and nowhere else."""
    id = f"{CLIENTS}/{quote(visit.path['id'], safe='')}"
    try:
        match form.get("act"):
            case "secret":
                days = int(form.get("days")) if form.get("days").isdecimal() else 0
                made = visit.client.post(f"{id}/addSecret", {"days": days}).body
                return _one(visit, Form(), Problems(), shown=made["secret"])
            case "credential":
                body = {name: form.get(name) for name in ("issuer", "subject", "audience") if form.get(name) or name != "audience"}
                visit.client.post(f"{id}/addFederatedCredential", body)
                done = "trusted"
            case "remove-secret":
                visit.client.post(f"{id}/removeSecret", {"id": form.get("which")})
                done = "secret"
            case "remove-credential":
                visit.client.post(f"{id}/removeFederatedCredential", {"id": form.get("which")})
                done = "credential"
            case _:
                raise ArmError("UnknownAction", "This page does not know what was asked. Load it again.", status=400)
    except ArmError as error:
        if error.status >= 500:
            raise
        return Invalid(context=_one(visit, form, problems_of(error, _FIELDS)))
    return Redirect(to=f"{_page_of(visit.path['id'])}?done={done}")


def remove_view(visit: Visit) -> RemovePage:
    """The confirmation."""
    return RemovePage(application=_shown(_read(visit)), problems=Problems())


def remove(visit: Visit, _form: Form) -> Redirect | Invalid:
    """Remove it with everything that lets it in."""
    try:
        visit.client.post(f"{CLIENTS}/{quote(visit.path['id'], safe='')}/remove")
    except ArmError as error:
        if error.status != 409:
            raise
        wrong = Problems(found=(Problem(field="", message=error.message),))
        return Invalid(context=RemovePage(application=_shown(_read(visit)), problems=wrong))
    return Redirect(to=f"{PATH}?done=removed")


def _list(visit: Visit, name: str, problems: Problems) -> ApplicationsPage:
    found = visit.client.list(CLIENTS, query={"$top": "1000"})
    return ApplicationsPage(
        applications=tuple(sorted(map(_shown, found), key=lambda one: (one.name.lower(), one.id))),
        can_manage=read_principals(visit).can_manage,
        name=name,
        problems=problems,
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def _one(visit: Visit, form: Form, problems: Problems, *, shown: str = "") -> ApplicationPage:
    body = _read(visit)
    properties = body["properties"]
    return ApplicationPage(
        application=_shown(body),
        secrets=tuple(Secret(id=one["id"], hint=one["hint"], expires=one["expiresAt"]) for one in properties["secrets"]),
        credentials=tuple(
            Credential(id=one["id"], issuer=one["issuer"], subject=one["subject"], audience=one["audience"])
            for one in properties["federatedCredentials"]
        ),
        can_manage=read_principals(visit).can_manage,
        shown=shown,
        days=form.get("days", "90"),
        issuer=form.get("issuer"),
        subject=form.get("subject"),
        audience=form.get("audience"),
        problems=problems,
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def _read(visit: Visit) -> Mapping[str, Any]:
    found: Mapping[str, Any] = visit.client.get(f"{CLIENTS}/{quote(visit.path['id'], safe='')}")
    return found


def _page_of(id: str) -> str:
    return f"{PATH}/{quote(id, safe='')}"


def _shown(body: Mapping[str, Any]) -> Application:
    properties = body["properties"]
    return Application(
        id=body["name"],
        to=_page_of(body["name"]),
        name=properties["displayName"],
        object_id=properties["objectId"],
        created=properties["createdAt"],
        signs=properties["signsAssertions"],
    )


PAGES = (
    Page(path=PATH, template="applications.html", view=list_view, act=create, nav="roles"),
    Page(path=f"{PATH}/{{id}}", template="application.html", view=view, act=act, nav="roles"),
    Page(path=f"{PATH}/{{id}}/remove", template="application_remove.html", view=remove_view, act=remove, nav="roles"),
)
