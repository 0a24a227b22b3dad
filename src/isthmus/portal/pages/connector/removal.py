"""The end of a connector: what each choice means, a name that is typed, and how it goes until it is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems
from isthmus.portal.page import Invalid, Live, Piece, Redirect, Visit
from isthmus.portal.pages.connector.following import Followed, follow, latest, started_by
from isthmus.portal.pages.connector.overview import Figures, figures_of
from isthmus.portal.pages.connector.subject import DELETING, FAILED, Connector, Head, head_of, read_connector, refusal, tab_path
from isthmus.portal.words import connector_path

_CHOICES = ("keep", "delete")
_COUNTED: Mapping[str, str] = MappingProxyType(
    {
        "solutions": "Solutions deleted",
        "resources": "Resources deleted",
        "machines": "Machines deleted",
        "groups": "Resource groups deleted",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalPage:
    """The question. `resources` and `machines` are keep, delete or not chosen yet; `figures` None where they may not be seen."""

    head: Head
    account: str
    figures: Figures | None
    solutions: tuple[str, ...]
    resources: str
    machines: str
    typed: str
    has_failed: bool
    action: str
    back: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LeavingPage:
    """A removal that runs or has ended: `told` are numbers of what is deleted so far. `operation` may be unknown to the visitor."""

    head: Head
    name: str
    operation: Followed | None
    told: tuple[tuple[str, int], ...]
    back: str


def view(visit: Visit) -> RemovalPage | LeavingPage:
    """Read it: connector, solutions, figures, rights; or the removal that runs, or has ended with the connector."""
    operation = follow(visit)
    try:
        connector = read_connector(visit)
    except ArmError as error:
        if error.status != 404 or operation is None:
            raise
        return _leaving(visit, _gone_head(visit), operation)
    if connector.state == DELETING:
        operation = operation or latest(visit, "remove")
        return _leaving(visit, head_of(visit, connector, "delete", part="leaving", may=True), operation)
    return _page(visit, connector)


def _page(visit: Visit, connector: Connector, form: Form | None = None, problems: Problems | None = None) -> RemovalPage:
    form = form or Form()
    return RemovalPage(
        head=head_of(visit, connector, "delete", problems=problems),
        account=connector.account,
        figures=figures_of(visit, connector),
        solutions=tuple(one.title for one in connector.solutions),
        resources=form.get("resources"),
        machines=form.get("machines"),
        typed=form.get("name"),
        has_failed=connector.state == FAILED,
        action=tab_path(connector.id, "delete"),
        back=connector_path(connector.id),
    )


def _leaving(visit: Visit, head: Head, operation: Followed | None) -> LeavingPage:
    told = operation.told if operation else {}
    counts = tuple((title, told[word]) for word, title in _COUNTED.items() if isinstance(told.get(word), int))
    return LeavingPage(head=head, name=head.name, operation=operation, told=counts, back="/portal/connectors")


def _gone_head(visit: Visit) -> Head:
    """The frame without a connector to ask about."""
    id = visit.id()
    return Head(
        id=str(id),
        name=id.name,
        lead="",
        part="leaving",
        tab="delete",
        tabs=(),
        home="",
        state="",
        may_change=True,
        toast="",
        problems=Problems(),
    )


def act(visit: Visit, form: Form) -> Redirect | Invalid:
    """Remove it, when both questions are answered and its name is typed."""
    connector = read_connector(visit)
    found = []
    if form.get("resources") not in _CHOICES:
        found.append(Problem(field="resources", message="Choose whether the resources stay or go."))
    if form.get("machines") not in _CHOICES:
        found.append(Problem(field="machines", message="Choose whether the machines stay or go."))
    if form.get("name") != connector.name:
        found.append(Problem(field="name", message=f"Type {connector.name}, exactly so, to confirm."))
    if found:
        return Invalid(context=_page(visit, connector, form, Problems(found=tuple(found))))
    try:
        answer = visit.client.post(f"{connector.id}/remove", {"resources": form.get("resources"), "machines": form.get("machines")})
    except ArmError as error:
        return Invalid(context=_page(visit, connector, form, refusal(error)), status=error.status)
    return Redirect(to=tab_path(connector.id, "delete", operation=started_by(answer)))


def live(visit: Visit, piece: Piece) -> Live:
    """How the removal goes, until it has ended."""
    operation = follow(visit)
    page = _leaving(visit, _gone_head(visit), operation)
    is_running = operation is not None and operation.is_running
    said = piece("leaving_said", operation=operation, told=page.told)
    return Live(parts={"leaving-said": said}, shape=operation.state if operation else "gone", ended=not is_running)
