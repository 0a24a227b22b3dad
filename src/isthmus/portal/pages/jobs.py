"""Durable jobs of the installation: what runs, what failed, and another try. For who may read the whole tenant."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form
from isthmus.portal.lists import Span, read_window
from isthmus.portal.page import Invalid, Live, Page, Piece, Redirect, Visit
from isthmus.portal.words import anchor, lasted

PATH = "/portal/jobs"
_JOBS = "/providers/Isthmus.Operations/jobs"
_SIZE = 50
_DONE = MappingProxyType({"retried": "The job runs again."})
STATES = ("running", "failed", "")
_NOTHING = Span(skip=0, shown=0, total=0, newer="", older="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job. `state` is running, failed or succeeded, `engine_state` the engine's word; instants are ISO 8601."""

    id: str
    anchor: str
    name: str
    queue: str
    state: str
    engine_state: str
    executor: str
    created: str
    changed: str
    took: str
    recoveries: int
    code: str
    message: str

    @property
    def can_retry(self) -> bool:
        """Whether it failed and may be run again."""
        return self.state == "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobsPage:
    """Jobs by state, the newest first. `refusal` says why they are not shown to this person; then there are none."""

    chosen: str
    jobs: tuple[Job, ...]
    span: Span
    shape: str
    toast: str
    refusal: str


def view(visit: Visit) -> JobsPage | Invalid:
    """Read a part of the list; a page of its own for who may not read the tenant."""
    try:
        return _read(visit)
    except ArmError as error:
        if error.status != 403:
            raise
        chosen = _chosen(visit)
        refused = JobsPage(chosen=chosen, jobs=(), span=_NOTHING, shape="", toast="", refusal=error.message)
        return Invalid(context=refused, status=403)


def act(visit: Visit, form: Form) -> Redirect:
    """Run a failed job again."""
    visit.client.post(f"{_JOBS}/{quote(form.get('job'), safe=':')}/retry")
    return Redirect(to=f"{PATH}?state={_chosen(visit) or 'running'}&done=retried")


def live(visit: Visit, piece: Piece) -> Live:
    """States of the jobs that are shown; the list is fetched again when jobs come, end or go."""
    page = _read(visit)
    return Live(parts={one.anchor: piece("state", job=one) for one in page.jobs}, shape=page.shape)


def _chosen(visit: Visit) -> str:
    chosen = visit.query.get("state", "running")
    return "" if chosen == "all" else chosen if chosen in STATES else "running"


def _read(visit: Visit) -> JobsPage:
    chosen = _chosen(visit)
    found, span = read_window(visit, _JOBS, {"state": chosen}, size=_SIZE, page_path=PATH, kept={"state": chosen or "all"})
    jobs = tuple(map(_shown, found))
    shape = hashlib.blake2s("|".join(f"{one.id}:{one.state}:{one.recoveries}" for one in jobs).encode()).hexdigest()
    toast = _DONE.get(visit.query.get("done", ""), "")
    return JobsPage(chosen=chosen, jobs=jobs, span=span, shape=shape, toast=toast, refusal="")


def _shown(body: Mapping[str, Any]) -> Job:
    properties, error = body["properties"], body["properties"]["error"] or {}
    running = properties["state"] == "running"
    return Job(
        id=body["name"],
        anchor=anchor("job", body["name"]),
        name=properties["job"],
        queue=properties["queue"],
        state=properties["state"],
        engine_state=properties["engineState"],
        executor=properties["executor"],
        created=properties["createdAt"],
        changed=properties["changedAt"],
        took="" if running else lasted(properties["createdAt"], properties["changedAt"]),
        recoveries=properties["recoveries"],
        code=error.get("code", ""),
        message=error.get("message", ""),
    )


PAGES = (Page(path=PATH, template="jobs.html", view=view, act=act, nav="jobs", live=live, live_key=("state", "skip")),)
