"""The machines of the connector in numbers; the list of them is a page of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problems
from isthmus.portal.page import Invalid, Redirect, Visit, local
from isthmus.portal.pages.connector.subject import (
    ONBOARDING,
    Connector,
    Head,
    Solution,
    head_of,
    read_connector,
    refusal,
    tab_path,
    unless_forbidden,
)

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "connected": "Connected",
        "disconnected": "Disconnected",
        "inProgress": "In progress",
        "waiting": "Waiting for Systems Manager",
        "blocked": "Blocked",
        "stopped": "Stopped",
        "excluded": "Excluded",
    }
)
"""Status words of instances in the order in which they are shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """How many instances have a status, and where they are listed."""

    word: str
    title: str
    count: int
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """Why instances are held up: the code, how many, what to do, and where they are listed."""

    code: str
    count: int
    remedy: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MachinesPage:
    """The tab. `total` is None where the visitor may not see the subscription; `solution` where onboarding is not added."""

    head: Head
    solution: Solution | None
    total: int | None
    counts: tuple[Count, ...]
    causes: tuple[Cause, ...]
    all_to: str
    action: str
    solutions_to: str


def view(visit: Visit) -> MachinesPage:
    """Read it: connector, solutions, numbers, rights."""
    return _page(visit, read_connector(visit))


def _page(visit: Visit, connector: Connector, problems: Problems | None = None) -> MachinesPage:
    solution = connector.solution(ONBOARDING)
    path = f"{connector.root}/providers/Isthmus.Onboarding/counts/default"
    told = None
    try:
        told = visit.client.get(path, query={"connector": connector.id})["properties"] if solution else None
    except ArmError as error:
        unless_forbidden(error)
    statuses, codes = (told["statuses"], told["codes"]) if told else ({}, ())
    return MachinesPage(
        head=head_of(visit, connector, "machines", problems=problems),
        solution=solution,
        total=sum(statuses.get(word, 0) for word in WORDS) if told else None,
        counts=tuple(
            Count(word=word, title=title, count=statuses.get(word, 0), to=_machines(connector, status=word))
            for word, title in WORDS.items()
        ),
        causes=tuple(
            Cause(code=one["code"], count=one["count"], remedy=one["remedy"], to=_machines(connector, code=one["code"])) for one in codes
        ),
        all_to=_machines(connector),
        action=tab_path(connector.id, "machines"),
        solutions_to=tab_path(connector.id, "solutions"),
    )


def act(visit: Visit, _form: Form) -> Redirect | Invalid:
    """Look for instances now, and try again what waits."""
    connector = read_connector(visit)
    solution = connector.solution(ONBOARDING)
    if solution is None:
        raise ArmError("NoSolutionConfigured", "This connector does not onboard machines. Add it under Solutions.", status=409)
    try:
        visit.client.post(f"{solution.id}/syncNow")
    except ArmError as error:
        return Invalid(context=_page(visit, connector, refusal(error)), status=error.status)
    return Redirect(to=tab_path(connector.id, "machines", done="sync"))


def _machines(connector: Connector, **query: str) -> str:
    return local("/portal/machines", connector=connector.id, **query)
