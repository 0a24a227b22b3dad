"""Step 5: every choice with the way back to it, what is wrong, what will happen, and the button that makes it so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import parse_resource
from isthmus.portal.forms import Form, Problem, Problems
from isthmus.portal.page import Invalid, Page, Redirect, Visit
from isthmus.portal.pages.add.basics import locations_of
from isthmus.portal.pages.add.draft import SOLUTIONS, START, STEPS, Draft, DraftGone, address, find_draft, require_draft
from isthmus.portal.pages.add.findings import Findings, judge, tag_rows
from isthmus.portal.pages.add.solutions import Catalogue, Listed, Recurrence, catalogue, inventory_form, onboarding_form, spoken_hours
from isthmus.portal.pages.add.steps import Step, Wizard, gone
from isthmus.portal.pages.add.template import ARRIVED, arrivals_of
from isthmus.portal.words import connector_path

_CONNECTORS = "Microsoft.HybridConnectivity/publicCloudConnectors"
_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One choice: what it is called, what was chosen, where it is changed, and what is wrong with it."""

    name: str
    value: str
    to: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """The choices of a step."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Something that stands in the way, and where it is mended (empty: nowhere in the wizard)."""

    message: str
    step: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewPage:
    """The step. `connector` is the id that will be made, empty while it has no name; `plan` are sentences in the order of events."""

    wizard: Wizard
    sections: tuple[Section, ...]
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    plan: tuple[str, ...]
    connector: str
    is_ready: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reader:
    """Makes rows of a draft."""

    visit: Visit
    draft: Draft
    findings: Findings
    offered: Catalogue
    locations: Mapping[str, str]

    def row(self, step: str, field: str, name: str, value: str) -> Row:
        """A choice with the way back to it."""
        problem = self.findings.problems(step).at(field)
        return Row(name=name, value=value, to=f"{address(self.visit, self.draft.name, step)}#{field}", problem=problem)

    def basics(self, subscription: str) -> Iterator[Row]:
        """Step 1."""
        basics, there = self.draft.basics, self.findings.group_exists
        group = basics.get("resourceGroup", "")
        note = {True: " (exists)", False: " (new)"}.get(there, "") if group and there is not None else ""
        kind = "Organization" if basics.get("isOrganizationalAccount") else "Single account"
        yield Row(name="Subscription", value=subscription, to="", problem="")
        yield self.row("basics", "resource-group", "Resource group", f"{group}{note}")
        yield self.row("basics", "connector-name", "Connector name", basics.get("connectorName", ""))
        yield self.row("basics", "location", "Region", self.locations.get(basics.get("location", ""), basics.get("location", "")))
        yield self.row("basics", "account-id", "AWS account id", basics.get("accountId", ""))
        yield self.row("basics", "account-kind", "Account", kind)

    def inventory(self) -> Iterator[Row]:
        """Inventory."""
        form = inventory_form(self.draft, self.offered)
        yield self.row("solutions", "inventory", "Inventory", "On" if form.is_on else "Off")
        if form.is_on:
            read = "Global read" if form.has_global_read else "Least privilege access"
            yield self.listed("inventory", "service", "AWS services", form.services, "cloudProviderServiceTypes")
            yield self.row("solutions", "inventory-read", "Permissions", read)
            yield from self.schedule("inventory", form.recurrence, form.regions)

    def onboarding(self) -> Iterator[Row]:
        """Arc onboarding."""
        form = onboarding_form(self.draft, self.offered)
        yield self.row("solutions", "onboarding", "Arc onboarding", "On" if form.is_on else "Off")
        if form.is_on:
            endpoint = f"Proxy server {form.proxy}" if form.has_proxy else "Public endpoint"
            yield self.row("solutions", "onboarding-proxy" if form.has_proxy else "onboarding-endpoint", "Connectivity", endpoint)
            yield from self.schedule("onboarding", form.recurrence, form.regions)
            yield self.row("solutions", "onboarding-tag", "Tag filter", form.tag or "None: every EC2 instance")

    def schedule(self, solution: str, recurrence: Recurrence, regions: Listed) -> Iterator[Row]:
        """Periodic sync and regions."""
        hours = "hour" if recurrence.hours == "1" else spoken_hours(recurrence.hours)
        period = f"On, every {hours}" if recurrence.is_on else "Off"
        yield self.row("solutions", f"{solution}-periodic", "Periodic sync", period)
        yield self.listed(solution, "region", "AWS regions", regions, "cloudProviderRegions")

    def listed(self, solution: str, box: str, name: str, given: Listed, setting: str) -> Row:
        """All of something, or the names of what was chosen."""
        if given.has_all:
            return self.row("solutions", f"{solution}-{box}s", name, "All supported")
        titles = [self.offered.title(solution, setting, word) for word in given.listed]
        field = f"{solution}-more-regions" if given.more and box == "region" else f"{solution}-{box}"
        return self.row("solutions", field, name, ", ".join(titles))

    def tags(self) -> Iterator[Row]:
        """Tags by name."""
        wrong = self.findings.problems("tags")
        for number, (name, value) in enumerate(tag_rows(self.draft), 1):
            row = self.row("tags", f"tag-name-{number}", name or "(no name)", value)
            problem = row.problem or wrong.at(f"tag-value-{number}")
            yield Row(name=row.name, value=row.value, to=row.to, problem=problem)


def _page(visit: Visit, draft: Draft, findings: Findings, wizard: Wizard) -> ReviewPage:
    reader = _Reader(visit=visit, draft=draft, findings=findings, offered=catalogue(visit), locations=dict(locations_of(visit)))
    arrivals = arrivals_of(draft)
    to = address(visit, draft.name, "template")
    states = {ARRIVED: "arrived", "Unreachable": "AWS could not be reached"}
    stack = tuple(
        Row(name=f"Role of {one.solution}", value=states.get(one.status, "not arrived yet"), to=to, problem="") for one in arrivals
    )
    return ReviewPage(
        wizard=wizard,
        sections=(
            Section(title=STEPS["basics"], rows=tuple(reader.basics(wizard.subscription))),
            Section(title=f"{STEPS['solutions']}: Inventory", rows=tuple(reader.inventory())),
            Section(title=f"{STEPS['solutions']}: Arc onboarding", rows=tuple(reader.onboarding())),
            Section(title=STEPS["template"], rows=stack),
            Section(title=STEPS["tags"], rows=tuple(reader.tags())),
        ),
        faults=tuple(_faults(visit, draft, findings, are_errors=True)),
        warnings=tuple(_faults(visit, draft, findings, are_errors=False)),
        plan=tuple(_plan(draft, findings)),
        connector=_connector(visit, draft) if findings.is_ready else "",
        is_ready=findings.is_ready,
    )


def _faults(visit: Visit, draft: Draft, findings: Findings, *, are_errors: bool) -> Iterator[Fault]:
    for one in findings.found:
        if one.is_error is are_errors:
            to = address(visit, draft.name, one.step) + (f"#{one.field}" if one.field else "")
            yield Fault(message=one.message, step=STEPS[one.step], to=to)


def _plan(draft: Draft, findings: Findings) -> Iterator[str]:
    """What will happen when everything is right."""
    basics = draft.basics
    group = basics.get("resourceGroup", "")
    if findings.group_exists:
        yield f"Resource group {group} is used as it is."
    elif findings.group_exists is False:
        yield f"Resource group {group} is created in {basics.get('location', '')}, with the tags."
    yield f"Connector {basics.get('connectorName', '')} for AWS account {basics.get('accountId', '')} is created in it, with the tags."
    arrived = {one.solution for one in arrivals_of(draft) if one.status == ARRIVED}
    for name, title in SOLUTIONS.items():
        if draft.is_on(name):
            begins = "begins at once" if title in arrived else "begins by itself as soon as the stack has arrived"
            first = "its first scan" if name == "inventory" else "its first look for EC2 instances"
            yield f"{title} is added; {first} {begins}."
    if not any(draft.is_on(name) for name in SOLUTIONS):
        yield "No solution is added, so the connector does nothing until you add one."
    yield "All of this is made together or not at all. The draft ends."


def _connector(visit: Visit, draft: Draft) -> str:
    basics = draft.basics
    return f"{visit.root}/resourceGroups/{basics['resourceGroup']}/providers/{_CONNECTORS}/{basics['connectorName']}"


def act(visit: Visit, form: Form) -> object:
    """Create; or go to another step. A form that was sent twice leads to the connector that the first one made."""
    try:
        if form.get("go", "create") != "create":
            return REVIEW.take(visit, form, require_draft(visit))
        return _create(visit, form, require_draft(visit))
    except DraftGone:
        made = _made(visit, form.get("connector"))
        return _to(made) if made and form.get("go", "create") == "create" else gone(form)


def _create(visit: Visit, form: Form, draft: Draft) -> object:
    """Make the connector that the visitor looked at; what was changed since is looked at first. Raises DraftGone."""
    current: Draft | None = draft
    for _ in range(_ATTEMPTS):
        if current is None:
            raise DraftGone
        if form.get("seen") != current.seal("review"):
            changed = (
                "The draft was changed in another tab, or by somebody else, since this page was opened. Look at it again, then create."
            )
            return _refused(visit, current, changed)
        try:
            made = visit.client.post(f"{current.id}/create", {"etag": current.etag}).body
        except ArmError as error:
            if error.status not in (404, 412):
                return _answer(visit, current, error)
            current = find_draft(visit, draft.name)
            continue
        return _to(made["id"])
    return _refused(visit, draft, "The draft changes all the time. Wait until nobody else works on it, then create.")


def _answer(visit: Visit, draft: Draft, error: ArmError) -> Invalid:
    """The API's refusal. What the draft itself has wrong is shown where it is mended; raises what is no answer to a form."""
    if error.status == 401 or error.status >= 500:
        raise error
    if error.code == "DraftNotReady":
        findings = judge(visit, draft)
        return Invalid(context=REVIEW.show(visit, draft, findings=findings, is_sent=True))
    return _refused(visit, draft, error.message)


def _refused(visit: Visit, draft: Draft, message: str) -> Invalid:
    found = Problems(found=(Problem(field="", message=message),))
    return Invalid(context=REVIEW.show(visit, draft, saved=draft, refusal=found))


def _made(visit: Visit, id: str) -> str:
    """The id of a connector that exists and may be seen; empty otherwise."""
    try:
        known = parse_resource(id)
        if known.type.lower() != _CONNECTORS.lower():
            return ""
        found: str = visit.client.get(str(known))["id"]
    except ArmError as error:
        if error.status >= 500:
            raise
        return ""
    return found


def _to(connector: str) -> Redirect:
    return Redirect(to=f"{connector_path(connector)}?done=created")


REVIEW = Step(name="review", page=_page)
PAGES = (Page(path=f"{START}/{{draft}}/review", template="add_review.html", view=REVIEW.view, act=act, nav="connectors"),)
