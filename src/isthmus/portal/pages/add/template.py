"""Step 3: the authentication template, every permission with its reason, and whether its stack has arrived in the account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.arm.errors import ArmError
from isthmus.portal.explained import Explained, explained_of
from isthmus.portal.forms import Form
from isthmus.portal.page import Download, Live, Page, Piece, Redirect, Visit
from isthmus.portal.pages.add.draft import KINDS, ORDER, SOLUTIONS, START, STEPS, Draft, DraftGone, address, find_draft, require_draft
from isthmus.portal.pages.add.findings import Finding, Findings
from isthmus.portal.pages.add.steps import Step, Wizard, gone

ARRIVED = "Arrived"
_OPERATION = re.compile(r"[0-9a-f-]{36}")
_OVER = ("succeeded", "failed", "canceled")


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One solution: has its role arrived (Waiting, Arrived, Unreachable), what was seen, and since when (ISO 8601, empty: never looked)."""

    solution: str
    status: str
    details: str
    since: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrivals:
    """Every chosen solution, and the check that somebody asked for: running, done, failed or empty, with its end and what went wrong."""

    lines: tuple[Arrival, ...]
    check: str = ""
    checked_at: str = ""
    problem: str = ""

    @property
    def have_all(self) -> bool:
        """Whether nothing is left to wait for."""
        return bool(self.lines) and all(line.status == ARRIVED for line in self.lines)

    @property
    def count(self) -> int:
        """How many have arrived."""
        return sum(line.status == ARRIVED for line in self.lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Obstacle:
    """What the template waits for, and where it is mended."""

    message: str
    step: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TemplatePage:
    """The step. `explained` is None while there are obstacles, or nothing that needs a role."""

    wizard: Wizard
    account: str
    arrivals: Arrivals
    explained: Explained | None
    obstacles: tuple[Obstacle, ...]
    is_organization: bool


def arrivals_of(draft: Draft) -> tuple[Arrival, ...]:
    """What is known of the roles of a draft."""
    known = draft.properties.get("arrivals", {})
    return tuple(_arrival(title, known.get(KINDS[name])) for name, title in SOLUTIONS.items() if draft.is_on(name))


def _arrival(title: str, seen: Mapping[str, str] | None) -> Arrival:
    if seen is None:
        return Arrival(solution=title, status="Waiting", details="Nobody has looked for the role yet.", since="")
    return Arrival(solution=title, status=seen["status"], details=seen["details"], since=seen["checkedAt"])


def _seen(visit: Visit, draft: Draft) -> Arrivals:
    """What is known, and how the check goes that the address names."""
    lines, check = arrivals_of(draft), visit.query.get("check", "")
    if not _OPERATION.fullmatch(check):
        return Arrivals(lines=lines)
    try:
        status = visit.client.get(f"{visit.root}/providers/Isthmus.Connect/locations/GLOBAL/operationStatuses/{check}")
    except ArmError as error:
        if error.status != 404:
            raise
        return Arrivals(lines=lines)
    word = status["status"].lower()
    if word not in _OVER:
        return Arrivals(lines=lines, check="running")
    problem = status.get("error", {}).get("message", "") if word != "succeeded" else ""
    return Arrivals(lines=lines, check="failed" if problem else "done", checked_at=status.get("endTime", ""), problem=problem)


def _page(visit: Visit, draft: Draft, findings: Findings, wizard: Wizard) -> TemplatePage:
    explained: Explained | None = None
    obstacles: tuple[Obstacle, ...] = ()
    if any(draft.is_on(name) for name in SOLUTIONS):
        try:
            explained = explained_of(visit.client.post(f"{draft.id}/template").body, address(visit, draft.name, "template.json"))
        except ArmError as error:
            if error.status >= 500 or error.status == 401:
                raise
            obstacles = _obstacles(visit, draft, findings, error)
    return TemplatePage(
        wizard=wizard,
        account=draft.basics.get("accountId", ""),
        arrivals=_seen(visit, draft),
        explained=explained,
        obstacles=obstacles,
        is_organization=draft.basics.get("isOrganizationalAccount") is True,
    )


def _obstacles(visit: Visit, draft: Draft, findings: Findings, error: ArmError) -> tuple[Obstacle, ...]:
    """What is wrong with the steps before; the API's own words where it is something else."""
    before = [one for one in findings.found if one.is_error and one.step in ORDER[:2]]
    if before:
        return tuple(_obstacle(visit, draft, one) for one in before)
    to = address(visit, draft.name, "solutions")
    return tuple(Obstacle(message=one.message, step=STEPS["solutions"], to=to) for one in error.details or (error,))


def _obstacle(visit: Visit, draft: Draft, one: Finding) -> Obstacle:
    to = address(visit, draft.name, one.step) + (f"#{one.field}" if one.field else "")
    return Obstacle(message=one.message, step=STEPS[one.step], to=to)


def _press(pressed: str, visit: Visit, draft: Draft, _form: Form) -> object:
    """Ask now whether the stack has arrived; the answer comes to the page by itself, or when it is loaded again."""
    if pressed != "check":
        return None
    try:
        answer = visit.client.post(f"{draft.id}/detect")
    except ArmError as error:
        if error.status == 404:
            return gone()
        return TEMPLATE.refuse(visit, draft, error, saved=draft)
    operation = answer.poll.partition("?")[0].rpartition("/")[2]
    to = address(visit, draft.name, "template")
    return Redirect(to=f"{to}{'&' if '?' in to else '?'}check={operation}#arrivals-title")


def live(visit: Visit, piece: Piece) -> Live:
    """What is known of the stack, until all of it has arrived and nobody asks."""
    draft = find_draft(visit, visit.path["draft"])
    if draft is None:
        raise ArmError("DraftGone", "The draft was discarded, or became a connector.", status=404)
    arrivals = _seen(visit, draft)
    parts = {"arrivals": piece("arrivals", arrivals=arrivals), "arrivals-said": piece("said", arrivals=arrivals)}
    return Live(parts=parts, shape=str(len(arrivals.lines)), ended=arrivals.have_all and arrivals.check != "running")


def file(visit: Visit) -> object:
    """The template as a file, byte for byte what the page shows."""
    try:
        draft = require_draft(visit)
    except DraftGone:
        return gone()
    text = visit.client.post(f"{draft.id}/template").body["text"]
    return Download(name="template.json", content=text.encode(), media_type="application/json")


TEMPLATE = Step(name=ORDER[2], page=_page, press=_press)
PAGES = (
    Page(
        path=f"{START}/{{draft}}/template",
        template="add_template.html",
        view=TEMPLATE.view,
        act=TEMPLATE.act,
        nav="connectors",
        live=live,
        live_key=("check",),
    ),
    Page(path=f"{START}/{{draft}}/template.json", template="add_template.html", view=file, nav="connectors"),
)
