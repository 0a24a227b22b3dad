"""Step 1 and the start: where the connector is kept, its name, and the AWS account; with the drafts that somebody left."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems
from isthmus.portal.page import Invalid, Page, Redirect, Visit
from isthmus.portal.pages.add.draft import NAME, NEW, START, STEPS, Draft, DraftGone, address, find_draft, require_draft, start_address
from isthmus.portal.pages.add.findings import Findings
from isthmus.portal.pages.add.steps import Step, Wizard, gone

_MINTED = re.compile(r"[0-9a-f]{16}")
_DONE: Mapping[str, str] = {"kept": "What you typed is kept as a draft.", "discarded": "The draft was discarded."}


@dataclass(frozen=True, kw_only=True, slots=True)
class DraftLine:
    """A draft that waits: what it is called, how far it is, when it was changed (ISO 8601), and where to go on or to discard it."""

    title: str
    account: str
    step: str
    changed_at: str
    to: str
    discard: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BasicsForm:
    """What stands in the fields. `kind` is single or organization."""

    group: str
    name: str
    location: str
    account: str
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BasicsPage:
    """The step, what may be chosen (groups by name, regions as value and name), and on the start page the drafts."""

    wizard: Wizard
    form: BasicsForm
    subscription: str
    subscriptions: tuple[tuple[str, str], ...]
    groups: tuple[str, ...]
    locations: tuple[tuple[str, str], ...]
    new_draft: str
    drafts: tuple[DraftLine, ...]
    done: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscardPage:
    """What is about to be discarded."""

    title: str
    account: str
    step: str
    back: str
    action: str
    has_arrived: bool


def drafts_of(visit: Visit) -> tuple[DraftLine, ...]:
    """The drafts of the subscription, the last changed first. Whoever may not read drafts sees none."""
    try:
        found = list(visit.client.list(f"{visit.root}/providers/Isthmus.Connect/drafts"))
    except ArmError as error:
        if error.status != 403:
            raise
        return ()
    found.sort(key=lambda one: str(one.get("systemData", {}).get("lastModifiedAt", "")), reverse=True)
    return tuple(_line(visit, one) for one in found)


def _line(visit: Visit, one: Mapping[str, Any]) -> DraftLine:
    properties = one["properties"]
    basics, step = properties.get("basics", {}), properties.get("step", "basics")
    return DraftLine(
        title=basics.get("connectorName", "") or "Without a name",
        account=basics.get("accountId", ""),
        step=STEPS[step],
        changed_at=one.get("systemData", {}).get("lastModifiedAt", ""),
        to=address(visit, one["name"], step),
        discard=address(visit, one["name"], "discard"),
    )


def _page(visit: Visit, draft: Draft, _findings: Findings, wizard: Wizard) -> BasicsPage:
    basics = draft.basics
    location = str(basics.get("location", "")).replace(" ", "").lower()
    form = BasicsForm(
        group=basics.get("resourceGroup", ""),
        name=basics.get("connectorName", ""),
        location=location,
        account=basics.get("accountId", ""),
        kind="organization" if basics.get("isOrganizationalAccount") else "single",
    )
    locations = locations_of(visit)
    if location and location not in {value for value, _ in locations}:
        locations = (*locations, (location, location))
    return BasicsPage(
        wizard=wizard,
        form=form,
        subscription=visit.subscription,
        subscriptions=visit.subscriptions,
        groups=_groups(visit),
        locations=locations,
        new_draft="" if wizard.draft else draft.name,
        drafts=(),
        done="",
    )


def _groups(visit: Visit) -> tuple[str, ...]:
    try:
        return tuple(one["name"] for one in visit.client.list(f"{visit.root}/resourceGroups"))
    except ArmError as error:
        if error.status != 403:
            raise
        return ()


def locations_of(visit: Visit) -> tuple[tuple[str, str], ...]:
    """Where connectors can be kept: the API's name and the one for people, by the latter."""
    provider = visit.client.get(f"{visit.root}/providers/Microsoft.HybridConnectivity", version="2024-11-01")
    names = next(one["locations"] for one in provider["resourceTypes"] if one["resourceType"].lower() == "publiccloudconnectors")
    return tuple((name.replace(" ", "").lower(), name) for name in sorted(names))


def _typed(form: Form, draft: Draft) -> Mapping[str, Any]:
    """What the fields hold. A kind that was not sent stays as it was: the choice that is not offered cannot be sent by a browser."""
    kind = {"single": False, "organization": True}.get(form.get("account-kind"))
    typed: dict[str, Any] = {
        **draft.basics,
        "resourceGroup": form.get("resource-group"),
        "connectorName": form.get("connector-name"),
        "location": form.get("location"),
        "accountId": form.get("account-id"),
    }
    return {"basics": typed if kind is None else {**typed, "isOrganizationalAccount": kind}}


BASICS = Step(name="basics", page=_page, typed=_typed)


def start(visit: Visit) -> BasicsPage:
    """The first step of a draft that is made when something is typed, and the drafts that are there."""
    draft = Draft(name=secrets.token_hex(8), root=visit.root, properties=NEW)
    return _start(visit, BASICS.show(visit, draft))


def _start(visit: Visit, page: object) -> BasicsPage:
    assert isinstance(page, BasicsPage)
    return replace(page, drafts=drafts_of(visit), done=_DONE.get(visit.query.get("done", ""), ""))


def begin(visit: Visit, form: Form) -> object:
    """Make the draft. Its name came with the form, so that the same form sent twice makes one draft."""
    name = form.get("draft")
    name = name if _MINTED.fullmatch(name) else secrets.token_hex(8)
    wanted = form.get("subscription", visit.subscription)
    is_known = wanted in {id for id, _ in visit.subscriptions}
    visit = replace(visit, subscription=wanted) if is_known else visit
    draft = Draft(name=name, root=visit.root, properties=NEW)
    typed = draft.with_typed(_typed(form, draft), "basics")
    if not is_known:
        unknown = Problems(found=(Problem(field="subscription", message="Choose one of the subscriptions that you may use."),))
        return Invalid(context=_start(visit, BASICS.show(visit, typed, saved=draft, refusal=unknown)))
    there = find_draft(visit, name)
    if there is not None:
        return BASICS.take(visit, form, there)
    try:
        answer = visit.client.put(draft.id, {"properties": dict(typed.properties)})
    except ArmError as error:
        refused = BASICS.refuse(visit, typed, error, saved=draft)
        return replace(refused, context=_start(visit, refused.context))
    return BASICS.go_on(visit, form, replace(draft, etag=answer.etag, properties=answer.body["properties"]))


def ask_discard(visit: Visit) -> object:
    """The question."""
    try:
        draft = require_draft(visit)
    except DraftGone:
        return gone()
    step = draft.properties.get("step", "basics")
    arrivals = draft.properties.get("arrivals", {}).values()
    return DiscardPage(
        title=draft.basics.get("connectorName", "") or "Without a name",
        account=draft.basics.get("accountId", ""),
        step=STEPS[step],
        back=address(visit, draft.name, step),
        action=address(visit, draft.name, "discard"),
        has_arrived=any(one["status"] == "Arrived" for one in arrivals),
    )


def discard(visit: Visit, _form: Form) -> Redirect:
    """The draft goes; one that is gone already is as gone."""
    name = visit.path["draft"]
    if NAME.fullmatch(name):
        visit.client.delete(Draft(name=name, root=visit.root).id)
    return Redirect(to=start_address(visit, "discarded"))


PAGES = (
    Page(path=START, template="add_basics.html", view=start, act=begin, nav="connectors"),
    Page(path=f"{START}/{{draft}}/basics", template="add_basics.html", view=BASICS.view, act=BASICS.act, nav="connectors"),
    Page(path=f"{START}/{{draft}}/discard", template="add_discard.html", view=ask_discard, act=discard, nav="connectors"),
)
