"""One machine: what is known of instance and agent, where its onboarding stands and what mends it, and everything that happened; live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from isthmus.portal.forms import Form
from isthmus.portal.machine_list import MACHINE, Machine, shown
from isthmus.portal.page import Live, Page, Piece, Redirect, Visit, local
from isthmus.portal.words import resource_path, spoken, tone

_DONE = MappingProxyType({"looking": "It is looked at again now. What comes of it appears here by itself."})
_ASSURANCE = MappingProxyType({"ssm": "Its key came through Systems Manager, and the agent signed with it (ssm)."})
_CLASSES = MappingProxyType(
    {
        "T": "It passes by itself; Isthmus tries again.",
        "E": "It depends on the machine's surroundings; Isthmus tries again from time to time.",
        "U": "It needs a person. Isthmus looks again when something changes, and every few hours.",
        "S": "It is about security and waits for a decision; nothing happens by itself.",
        "N": "This is no failure.",
    }
)
_STEP = 15_000
"""Pieces of the stream say times to the quarter minute, so that a page that nothing happens to is not sent anew every second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One thing that happened, as the timeline shows it: `title` is the state, `text` what it meant and what mends it."""

    at: str
    title: str
    text: str
    tone: str
    evidence: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of instance and machine besides the state. Empty texts are not known; paths are empty where there is no page."""

    arn: str
    instance_state: str
    generation: int
    attempts: int
    meaning: str
    machine_id: str
    machine_path: str
    projection_path: str
    machine_status: str
    last_change: str
    assurance: str
    evidence: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MachinePage:
    """One instance, its facts, and what happened to it, newest first; `solution` is what works on it."""

    machine: Machine
    facts: Facts
    events: tuple[Event, ...]
    solution: str
    others: str
    toast: str


def view(visit: Visit) -> MachinePage:
    """Read it."""
    body = visit.client.get(f"{visit.root}/providers/Isthmus.Onboarding/instances/{quote(visit.path['id'], safe='.')}")
    told = body["properties"]
    return MachinePage(
        machine=shown(body),
        facts=_facts(told),
        events=tuple(map(_event, told["events"])),
        solution=told["solutionId"],
        others=local("/portal/machines", code=told["code"]) if told["code"] else "",
        toast=_DONE.get(visit.query.get("done", ""), ""),
    )


def act(visit: Visit, _form: Form) -> Redirect:
    """Look again now: sync the solution that works on it."""
    page = view(visit)
    visit.client.post(f"{page.solution}/syncNow")
    return Redirect(to=f"{page.machine.to}?done=looking")


def live(visit: Visit, piece: Piece) -> Live:
    """State, facts and timeline as they are now."""
    page, now = view(visit), visit.now // _STEP * _STEP
    return Live(parts={f"machine-{name}": piece(name, page=page, now=now) for name in ("now", "instance", "agent", "timeline")})


def _facts(told: Mapping[str, Any]) -> Facts:
    machine_id = told["machineId"] or ""
    return Facts(
        arn=told["cloudNativeResourceId"],
        instance_state=told["instanceState"],
        generation=told["generation"],
        attempts=told["attempts"],
        meaning=_CLASSES.get(told["codeClass"], ""),
        machine_id=machine_id,
        machine_path=resource_path(machine_id) if machine_id else "",
        projection_path=resource_path(f"{machine_id}/providers/Microsoft.AwsConnector/ec2Instances/default") if machine_id else "",
        machine_status=told["machineStatus"] or "",
        last_change=told["lastStatusChange"] or "",
        assurance=_ASSURANCE.get(told["assurance"] or "", told["assurance"] or ""),
        evidence=_evidence(told["evidence"]),
    )


def _event(told: Mapping[str, Any]) -> Event:
    code = told["code"]
    return Event(
        at=told["at"],
        title=spoken(told["state"]) + (f": {code}" if code else ""),
        text=told["remedy"],
        tone=tone(told["status"]),
        evidence=_evidence(told["evidence"]),
    )


def _evidence(found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value if isinstance(value, str) else str(value)) for name, value in found.items())


PAGES = (Page(path=f"{MACHINE}/{{id}}", template="machine.html", view=view, act=act, nav="machines", live=live),)
