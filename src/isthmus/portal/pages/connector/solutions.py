"""The solutions of the connector: their settings to look at and to change, one more, one less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems, problems_of
from isthmus.portal.page import Invalid, Redirect, Visit
from isthmus.portal.pages.connector.settings import Field, SolutionType, fields_of, solution_types, targets, typed_settings
from isthmus.portal.pages.connector.subject import (
    INVENTORY,
    SOLUTIONS,
    TITLES,
    Connector,
    Head,
    Solution,
    head_of,
    read_connector,
    seal_of,
    tab_path,
)
from isthmus.portal.words import anchor

_NAMES: Mapping[str, str] = MappingProxyType(dict(zip(TITLES, ("inventory", "onboarding", "access"), strict=True)))
"""What a new solution is called unless somebody types another name."""
_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A setting that somebody else saved meanwhile: what is saved, and what was typed here."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing to set up at the directory; `values` are (name, value) to be copied exactly."""

    title: str
    details: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """A solution and its form. `seen` is the seal of the settings that the form was made of, `changed` what others saved since, `steps`
    what to set up at a directory that the account trusts itself."""

    anchor: str
    name: str
    kind: str
    title: str
    description: str
    status: str
    details: str
    last_sync: str
    fields: tuple[Field, ...]
    name_problem: str
    seen: str
    changed: tuple[Changed, ...]
    remove_to: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SolutionsPage:
    """The tab: what there is, and what could be added."""

    head: Head
    cards: tuple[Card, ...]
    missing: tuple[Card, ...]
    action: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoveSolutionPage:
    """The question before a solution is removed."""

    head: Head
    name: str
    title: str
    is_inventory: bool
    action: str
    back: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Typed:
    """A form that was not taken: which solution (a name, or a kind that was to be added), what it says, and why not."""

    about: str
    name: str
    settings: Mapping[str, str]
    problems: Problems
    changed: tuple[Changed, ...] = ()


def view(visit: Visit) -> SolutionsPage | RemoveSolutionPage:
    """Read it: connector, solutions, what can be configured, rights."""
    connector = read_connector(visit)
    going = _named(connector, visit.query.get("remove", ""))
    return _question(visit, connector, going) if going else _page(visit, connector, solution_types(visit, connector))


def _question(visit: Visit, connector: Connector, going: Solution, problems: Problems | None = None) -> RemoveSolutionPage:
    return RemoveSolutionPage(
        head=head_of(visit, connector, "solutions", part="solution_remove", problems=problems),
        name=going.name,
        title=going.title,
        is_inventory=going.kind.lower() == INVENTORY.lower(),
        action=tab_path(connector.id, "solutions", remove=going.name),
        back=tab_path(connector.id, "solutions"),
    )


def _page(visit: Visit, connector: Connector, kinds: tuple[SolutionType, ...], typed: _Typed | None = None) -> SolutionsPage:
    known = {kind.kind.lower(): kind for kind in kinds}
    present = {one.kind.lower() for one in connector.solutions}
    summary = typed.problems if typed else Problems()
    found = tuple(_card(connector, one, known[one.kind.lower()], typed) for one in connector.solutions if one.kind.lower() in known)
    return SolutionsPage(
        head=head_of(visit, connector, "solutions", problems=summary),
        cards=tuple(replace(card, steps=_steps(visit, connector, card.name)) for card in found),
        missing=tuple(_offer(kind, typed) for kind in kinds if kind.kind.lower() not in present),
        action=tab_path(connector.id, "solutions"),
    )


def _steps(visit: Visit, connector: Connector, name: str) -> tuple[Step, ...]:
    """Asked for where the account trusts a directory itself; nobody else has anything to set up."""
    solution = next(one for one in connector.solutions if one.name == name)
    if solution.settings.get("federation", "broker") == "broker":
        return ()
    told = visit.client.post(f"{solution.id}/federationSteps").body["steps"]
    return tuple(
        Step(title=one["title"], details=one["details"], values=tuple((value["name"], value["value"]) for value in one["values"]))
        for one in told
    )


def _card(connector: Connector, solution: Solution, kind: SolutionType, typed: _Typed | None) -> Card:
    mine = typed if typed and typed.about == solution.name else None
    prefix = anchor("s", solution.name)
    return Card(
        anchor=prefix,
        name=solution.name,
        kind=solution.kind,
        title=solution.title,
        description=kind.description,
        status=solution.status,
        details=solution.details,
        last_sync=solution.last_sync,
        fields=fields_of(kind, mine.settings if mine else solution.settings, prefix, mine.problems if mine else Problems()),
        name_problem="",
        seen=seal_of(dict(solution.settings)),
        changed=mine.changed if mine else (),
        remove_to=tab_path(connector.id, "solutions", remove=solution.name),
    )


def _offer(kind: SolutionType, typed: _Typed | None) -> Card:
    mine = typed if typed and typed.about == kind.kind else None
    prefix, problems = anchor("s", kind.kind), mine.problems if mine else Problems()
    return Card(
        anchor=prefix,
        name=mine.name if mine else _NAMES.get(kind.kind, "solution"),
        kind=kind.kind,
        title=TITLES.get(kind.kind, kind.kind),
        description=kind.description,
        status="",
        details="",
        last_sync="",
        fields=fields_of(kind, mine.settings if mine else kind.defaults(), prefix, problems),
        name_problem=problems.at(f"{prefix}-name"),
        seen="",
        changed=(),
        remove_to="",
    )


def act(visit: Visit, form: Form) -> Redirect | Invalid:
    """Save settings, add a solution, or remove one."""
    connector = read_connector(visit)
    going = _named(connector, visit.query.get("remove", ""))
    if going is not None:
        return _remove(visit, connector, going)
    kinds = solution_types(visit, connector)
    kind = next((one for one in kinds if one.kind == form.get("kind")), None)
    if kind is None:
        raise ArmError("InvalidSolutionType", "The form names no solution type that is offered here. Load the page again.", status=400)
    typed = typed_settings(form, kind)
    solution = _named(connector, form.get("solution"))
    if solution is not None:
        return _save(visit, connector, kinds, solution, kind, typed, form.get("seen"))
    return _add(visit, connector, kinds, kind, form.get("name"), typed)


def _save(
    visit: Visit,
    connector: Connector,
    kinds: tuple[SolutionType, ...],
    solution: Solution,
    kind: SolutionType,
    typed: Mapping[str, str],
    seen: str,
) -> Redirect | Invalid:
    """Change settings that are still those which the form was made of."""
    wrong = _Typed(about=solution.name, name="", settings=typed, problems=Problems())
    for _ in range(_ATTEMPTS):
        answer = visit.client.fetch(solution.id)
        saved: Mapping[str, str] = answer.body["properties"]["solutionSettings"]
        if seen != seal_of(dict(saved)):
            changed = tuple(
                Changed(path=name, before=saved.get(name, ""), after=value) for name, value in typed.items() if saved.get(name) != value
            )
            connector = read_connector(visit)
            return Invalid(context=_page(visit, connector, kinds, replace(wrong, changed=changed)))
        try:
            visit.client.patch(solution.id, {"properties": {"solutionSettings": dict(typed)}}, etag=answer.etag)
        except ArmError as error:
            if error.status == 412:
                continue
            return _refused(visit, connector, kinds, replace(wrong, problems=_problems(error, kind, anchor("s", solution.name))), error)
        return Redirect(to=tab_path(connector.id, "solutions", done="saved"))
    busy = Problem(field="", message="The solution changes all the time: a sync writes to it. Press Save again in a moment.")
    return Invalid(context=_page(visit, connector, kinds, replace(wrong, problems=Problems(found=(busy,)))))


def _add(
    visit: Visit, connector: Connector, kinds: tuple[SolutionType, ...], kind: SolutionType, name: str, typed: Mapping[str, str]
) -> Redirect | Invalid:
    prefix = anchor("s", kind.kind)
    wrong = _Typed(about=kind.kind, name=name, settings=typed, problems=Problems())
    if not name or "/" in name:
        unnamed = Problem(field=f"{prefix}-name", message="A solution needs a name of 3 to 63 letters, digits and hyphens.")
        return Invalid(context=_page(visit, connector, kinds, replace(wrong, problems=Problems(found=(unnamed,)))))
    if _named(connector, name) is not None:
        taken = Problem(field=f"{prefix}-name", message=f"'{name}' is taken by another solution of this connector. Choose another name.")
        return Invalid(context=_page(visit, connector, kinds, replace(wrong, problems=Problems(found=(taken,)))))
    try:
        visit.client.put(f"{connector.id}/{SOLUTIONS}/{name}", {"properties": {"solutionType": kind.kind, "solutionSettings": dict(typed)}})
    except ArmError as error:
        found = _problems(error, kind, prefix)
        if error.code == "InvalidResourceName":
            found = Problems(found=(Problem(field=f"{prefix}-name", message=error.message),))
        return _refused(visit, connector, kinds, replace(wrong, problems=found), error)
    return Redirect(to=tab_path(connector.id, "solutions", done="added"))


def _remove(visit: Visit, connector: Connector, going: Solution) -> Redirect | Invalid:
    try:
        visit.client.delete(going.id)
    except ArmError as error:
        found = _problems(error, None, "")
        return Invalid(context=_question(visit, connector, going, found), status=error.status)
    return Redirect(to=tab_path(connector.id, "solutions", done="removed"))


def _problems(error: ArmError, kind: SolutionType | None, prefix: str) -> Problems:
    if error.status == 401 or error.status >= 500:
        raise error
    return problems_of(error, targets(kind, prefix) if kind else {})


def _refused(visit: Visit, connector: Connector, kinds: tuple[SolutionType, ...], typed: _Typed, error: ArmError) -> Invalid:
    return Invalid(context=_page(visit, connector, kinds, typed), status=error.status if error.status == 403 else 422)


def _named(connector: Connector, name: str) -> Solution | None:
    return next((one for one in connector.solutions if name and one.name.lower() == name.lower()), None)
