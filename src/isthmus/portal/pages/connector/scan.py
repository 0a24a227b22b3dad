"""Scans of the connector: start one, watch it region by region and service by service, see what could not be read, and what was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problems
from isthmus.portal.lists import Span, read_window
from isthmus.portal.page import Invalid, Live, Piece, Redirect, Visit
from isthmus.portal.pages.connector.following import Followed, follow, started_by
from isthmus.portal.pages.connector.subject import (
    DELETING,
    INVENTORY,
    Connector,
    Head,
    Solution,
    head_of,
    read_connector,
    refusal,
    tab_path,
)
from isthmus.portal.words import lasted, number, plural

TROUBLED = ("denied", "scp", "throttled", "error")
OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "denied": "Not allowed",
        "scp": "Forbidden by the organization",
        "throttled": "Slowed down by AWS",
        "error": "Could not be read",
        "not-opted-in": "Region not enabled",
        "unsupported": "Not offered there",
        "not-selected": "Not selected any more",
    }
)
"""What became of a scope that was not listed, in words."""
_QUIET = ("not-opted-in", "unsupported", "not-selected")
_GAPS, _SCANS = 50, 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A region or a service in a scan: scopes read, of how many (None: not known), gaps and resources in it."""

    name: str
    title: str
    done: int
    expected: int | None
    gaps: int
    resources: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The scan that runs, or the last one. `status` is empty before the first; `is_ordered`: one was asked for and has not begun."""

    status: str
    started: str
    ended: str
    took: str
    done: int
    expected: int | None
    resources: int
    gaps: int
    regions: tuple[Part, ...]
    services: tuple[Part, ...]
    is_ordered: bool
    problem: str

    @property
    def is_running(self) -> bool:
        """Whether numbers will change by themselves."""
        return self.is_ordered or (bool(self.started) and not self.ended)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """A scope that was not listed: where, what became of it and why, the action that was missing (may be empty), and what to do."""

    region: str
    type: str
    service: str
    outcome: str
    word: str
    reason: str
    action: str
    remedy: str
    kept: int
    to: str
    where: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Gaps:
    """A part of the gaps, and what they are filtered by: values with their names, the chosen ones first read from the address."""

    shown: tuple[Gap, ...]
    span: Span
    region: str
    service: str
    outcome: str
    regions: tuple[tuple[str, str], ...]
    services: tuple[tuple[str, str], ...]
    outcomes: tuple[tuple[str, str], ...]

    @property
    def is_filtered(self) -> bool:
        """Whether something was chosen."""
        return bool(self.region or self.service or self.outcome)


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """A scan of the past."""

    status: str
    started: str
    ended: str
    took: str
    summary: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanPage:
    """The tab. `solution` is None where the connector has no inventory; `frozen` are regions whose deletions are withheld."""

    head: Head
    solution: Solution | None
    progress: Progress
    gaps: Gaps | None
    history: tuple[Past, ...]
    frozen: tuple[tuple[str, int], ...]
    left_out: int
    action: str
    solutions_to: str


def view(visit: Visit) -> ScanPage:
    """Read it: connector, solutions, progress, gaps, history, and either the operation of the address or the visitor's rights."""
    return _page(visit, read_connector(visit))


def _page(visit: Visit, connector: Connector, problems: Problems | None = None) -> ScanPage:
    solution = connector.solution(INVENTORY)
    followed = follow(visit)
    # Who has started one may; asking again would be one call more than a page should make.
    head = head_of(visit, connector, "scan", may=True if followed else None, problems=problems)
    if solution is None:
        none = _progress(None, None)
        return ScanPage(
            head=head,
            solution=None,
            progress=none,
            gaps=None,
            history=(),
            frozen=(),
            left_out=0,
            action="",
            solutions_to=tab_path(connector.id, "solutions"),
        )
    progress = _progress(_read_progress(visit, solution), followed)
    scans = visit.client.get(f"{solution.id}/providers/Isthmus.Inventory/scans", query={"$top": str(_SCANS)})["value"]
    ended: Mapping[str, Any] = next(
        (one["properties"]["summary"] for one in scans if one["properties"]["summary"].get("outcomes") is not None), {}
    )
    return ScanPage(
        head=head,
        solution=solution,
        progress=progress,
        gaps=_gaps(visit, connector, solution, progress),
        history=tuple(_past(one["properties"]) for one in scans),
        frozen=tuple(sorted(ended.get("frozen", {}).items())),
        left_out=ended.get("outcomes", {}).get("not-selected", 0),
        action=tab_path(connector.id, "scan"),
        solutions_to=tab_path(connector.id, "solutions"),
    )


def act(visit: Visit, form: Form) -> Redirect | Invalid:
    """Scan now; with `confirm`, what vanished may be deleted."""
    connector = read_connector(visit)
    solution = connector.solution(INVENTORY)
    if solution is None:
        raise ArmError("NoSolutionConfigured", "This connector has no inventory to scan with. Add it under Solutions.", status=409)
    if connector.state == DELETING:
        raise ArmError("ConnectorBeingRemoved", "This connector is being removed, so it is not scanned any more.", status=409)
    body = {"confirmDeletions": True} if form.get("confirm") == "true" else None
    try:
        answer = visit.client.post(f"{solution.id}/syncNow", body)
    except ArmError as error:
        return Invalid(context=_page(visit, connector, refusal(error)), status=error.status)
    return Redirect(to=tab_path(connector.id, "scan", operation=started_by(answer)))


def live(visit: Visit, piece: Piece) -> Live:
    """How the scan goes, until it has ended."""
    solution = read_connector(visit).solution(INVENTORY)
    if solution is None:
        raise ArmError("NoSolutionConfigured", "The inventory was removed meanwhile.", status=404)
    progress = _progress(_read_progress(visit, solution), follow(visit))
    names = ("said", "figures", "regions", "services")
    parts = {f"scan-{name}": piece(f"scan_{name}", progress=progress) for name in names}
    shape = "running" if progress.is_running else f"ended {progress.ended}"
    return Live(parts=parts, shape=shape, ended=not progress.is_running)


def _read_progress(visit: Visit, solution: Solution) -> Mapping[str, Any]:
    found: Mapping[str, Any] = visit.client.get(f"{solution.id}/providers/Isthmus.Inventory/progress/default")["properties"]
    return found


def _progress(told: Mapping[str, Any] | None, followed: Followed | None) -> Progress:
    told = told or {}
    started, ended = told.get("startTime") or "", told.get("endTime") or ""
    is_ordered = followed is not None and followed.is_running and (not started or started < followed.started)
    return Progress(
        status=told.get("status") or "",
        started=started,
        ended=ended,
        took=lasted(started, ended),
        done=told.get("done", 0),
        expected=told.get("expected"),
        resources=told.get("resources", 0),
        gaps=told.get("gaps", 0),
        regions=tuple(_part(one, "region") for one in told.get("regions", ())),
        services=tuple(_part(one, "service") for one in told.get("services", ())),
        is_ordered=is_ordered,
        problem=followed.problem if followed and followed.state == "failed" else "",
    )


def _part(one: Mapping[str, Any], kind: str) -> Part:
    name = one[kind]
    return Part(
        name=name,
        title=one.get("title") or name,
        done=one["done"],
        expected=one.get("expected"),
        gaps=one["gaps"],
        resources=one["resources"],
    )


def _gaps(visit: Visit, connector: Connector, solution: Solution, progress: Progress) -> Gaps:
    query = visit.query
    region, service, outcome = query.get("region", ""), query.get("service", ""), query.get("outcome", "")
    outcome = outcome if outcome in OUTCOMES else ""
    wanted = {"outcome": outcome or ",".join(TROUBLED), "region": region[:64], "service": service[:64]}
    kept = {"tab": "scan", "region": region, "service": service, "outcome": outcome}
    path = f"{solution.id}/providers/Isthmus.Inventory/scopes"
    found, span = read_window(visit, path, wanted, size=_GAPS, page_path=tab_path(connector.id, "overview"), kept=kept)
    return Gaps(
        shown=tuple(_gap(connector, one["properties"]) for one in found),
        span=span,
        region=region,
        service=service,
        outcome=outcome,
        regions=_choices(progress.regions, region),
        services=_choices(progress.services, service),
        outcomes=(("", "All that could not be read"), *((word, text) for word, text in OUTCOMES.items())),
    )


def _choices(parts: tuple[Part, ...], chosen: str) -> tuple[tuple[str, str], ...]:
    """What has gaps, with their number; what is chosen stays choosable."""
    found = [
        (part.name, f"{part.title} ({number(part.gaps)})" if part.gaps else part.title)
        for part in parts
        if part.gaps or part.name == chosen
    ]
    if chosen and chosen not in {name for name, _ in found}:
        found.append((chosen, chosen))
    return (("", "All"), *sorted(found, key=lambda pair: pair[1].lower()))


def _gap(connector: Connector, told: Mapping[str, Any]) -> Gap:
    outcome = told["outcome"]
    to, where = "", ""
    if outcome == "denied":
        to, where = tab_path(connector.id, "template"), "Compare the template"
    elif outcome in ("scp", "not-selected"):
        to, where = tab_path(connector.id, "solutions"), "Change the selection"
    return Gap(
        region=told["region"],
        type=told["resourceType"],
        service=told["service"],
        outcome=outcome,
        word=OUTCOMES.get(outcome, outcome),
        reason=told["reason"],
        action=told["action"],
        remedy=told["remedy"],
        kept=told["rows"],
        to=to,
        where=where,
    )


def _past(told: Mapping[str, Any]) -> Past:
    started, ended = told["startTime"], told["endTime"] or ""
    return Past(status=told["status"], started=started, ended=ended, took=lasted(started, ended), summary=_sentence(told["summary"]))


def _sentence(summary: Mapping[str, Any]) -> str:
    """What came of a scan, in a line."""
    if error := summary.get("error"):
        return str(error.get("message", ""))
    outcomes = summary.get("outcomes")
    if outcomes is None:
        return ""
    gaps = sum(outcomes.get(word, 0) for word in TROUBLED)
    parts = [plural(summary.get("projections", 0), "resource"), f"{plural(outcomes.get('complete', 0), 'scope')} listed"]
    parts += [f"{plural(gaps, 'gap')}"] if gaps else []
    if frozen := summary.get("frozen"):
        parts.append(f"deletions frozen in {', '.join(sorted(frozen))}")
    return ", ".join(parts)
