"""Isthmus.Operations/jobs: durable work as operators see it, for who may read the whole tenant; failed jobs can be run again."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from isthmus.arm import paging
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import invalid
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope, Window
from isthmus.providers.history import VERSIONS
from isthmus.work import ENDED, FAILED, RUNNING, JobBook, JobRecord

JOBS = "Isthmus.Operations/jobs"
STATES = MappingProxyType({"running": RUNNING, "failed": FAILED, "succeeded": ENDED})
"""Our words for states, and the engine's words that each stands for."""


def row(work: JobBook) -> ResourceType:
    """The row of jobs. What a job was asked and what it answered are never shown."""

    def listed(ask: Ask) -> Window:
        states = _states(ask.query)
        skip, top = paging.skip_of(ask.query), paging.page_size(ask.query)
        _, descends = paging.order_of(ask.query, ("createdAt",), default="createdAt desc")
        found = work.list(states, limit=top + 1, offset=skip, newest_first=descends)
        count = sum(one.count for one in work.counts(states)) if paging.wants_count(ask.query) else None
        return Window(items=[_show(record) for record in found[:top]], count=count, more=len(found) > top)

    def one(ask: Ask) -> Mapping[str, Any] | None:
        found = work.find(ask.id.name)
        return None if found is None else _show(found)

    def retry(_resource: Resource | None, ask: Ask) -> Answer:
        work.retry(ask.id.name)
        found = work.find(ask.id.name)
        return Answer(body=None if found is None else _show(found), change=Change(detail={"job": ask.id.name}))

    return ResourceType(
        name=JOBS,
        scopes=frozenset({Scope.TENANT}),
        versions=VERSIONS,
        read=one,
        window=listed,
        actions=(Action(name="retry", act=retry, needs_resource=False),),
    )


def _states(query: Mapping[str, str]) -> tuple[str, ...]:
    """The engine's states that `state` names; all of them without it."""
    given = query.get("state")
    if given is None:
        return tuple(word for words in STATES.values() for word in words)
    found = STATES.get(given.lower())
    if found is None:
        raise invalid(f"state must be one of {', '.join(STATES)}, not '{given[:32]}'.", target="state", code="InvalidFilter")
    return found


def _show(record: JobRecord) -> Mapping[str, Any]:
    return {
        "id": f"/providers/{JOBS}/{record.id}",
        "name": record.id,
        "type": JOBS,
        "properties": {
            "job": record.job,
            "queue": record.queue,
            "state": next((word for word, states in STATES.items() if record.state in states), record.state.lower()),
            "engineState": record.state,
            "executor": record.executor,
            "createdAt": instant(record.created_at),
            "changedAt": instant(record.changed_at),
            "recoveries": record.recoveries,
            "error": None if record.error is None else record.error.body(),
        },
    }
