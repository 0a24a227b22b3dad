"""The authentication template as the connector needs it now, every permission with its reason, and what of it stands in the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.explained import Explained, explained_of
from isthmus.portal.forms import Form, Problems
from isthmus.portal.page import Download, Invalid, Live, Piece, Redirect, Visit
from isthmus.portal.pages.connector.following import Followed, follow, latest, started_by
from isthmus.portal.pages.connector.subject import Connector, Head, head_of, read_connector, refusal, tab_path, title_of

_KIND = "compare-template"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One thing in which the account differs: `kind` is missing, extra or changed."""

    what: str
    kind: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A role: InStep, Drifted, NotDeployed or Unreadable, what that means, and every difference."""

    title: str
    role: str
    status: str
    details: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TemplatePage:
    """The tab. `explained` is None where there is no template, for the reason in `obstacle` (empty: no solution needs one)."""

    head: Head
    account: str
    explained: Explained | None
    obstacle: str
    comparison: Followed | None
    compared: tuple[Compared, ...]
    action: str
    solutions_to: str


def view(visit: Visit) -> TemplatePage | Download:
    """Read it: connector, solutions, the template, the comparison, rights. With `download` the template is a file."""
    connector = read_connector(visit)
    if visit.query.get("download") == "template.json":
        text = visit.client.post(f"{connector.id}/explainTemplate").body["text"]
        return Download(name="template.json", content=text.encode(), media_type="application/json")
    return _page(visit, connector)


def _page(visit: Visit, connector: Connector, problems: Problems | None = None) -> TemplatePage:
    comparison = follow(visit) or latest(visit, _KIND)
    explained, obstacle = _explained(visit, connector)
    results = comparison.told.get("solutionTypes", ()) if comparison and comparison.state == "succeeded" else ()
    return TemplatePage(
        head=head_of(visit, connector, "template", problems=problems),
        account=connector.account,
        explained=explained,
        obstacle=obstacle,
        comparison=comparison,
        # The address may name another operation of this connector, which tells something else.
        compared=tuple(_compared(one) for one in results if "differences" in one),
        action=tab_path(connector.id, "template"),
        solutions_to=tab_path(connector.id, "solutions"),
    )


def _explained(visit: Visit, connector: Connector) -> tuple[Explained | None, str]:
    """The template, or why there is none."""
    if not connector.solutions:
        return None, ""
    try:
        body = visit.client.post(f"{connector.id}/explainTemplate").body
    except ArmError as error:
        if error.status not in (400, 409):
            raise
        return None, error.message
    return explained_of(body, tab_path(connector.id, "template", download="template.json")), ""


def act(visit: Visit, _form: Form) -> Redirect | Invalid:
    """Compare now; the page follows."""
    connector = read_connector(visit)
    try:
        answer = visit.client.post(f"{connector.id}/compareTemplate")
    except ArmError as error:
        return Invalid(context=_page(visit, connector, refusal(error)), status=error.status)
    return Redirect(to=tab_path(connector.id, "template", operation=started_by(answer)))


def live(visit: Visit, piece: Piece) -> Live:
    """Whether the comparison has ended; then the page fetches what it told."""
    comparison = follow(visit)
    is_running = comparison is not None and comparison.is_running
    said = piece("compare_said", comparison=comparison)
    return Live(parts={"compare-said": said}, shape=comparison.state if comparison else "gone", ended=not is_running)


def _compared(told: Mapping[str, Any]) -> Compared:
    return Compared(
        title=title_of(told["solutionType"]),
        role=told["role"],
        status=told["status"],
        details=told["details"],
        differences=tuple(Difference(what=one["what"], kind=one["kind"], detail=one["detail"]) for one in told["differences"]),
    )
