"""Has the stack arrived? Tries to assume the roles of a connector that is still a draft, on request and by a timetable.

A draft carries the GUID that its connector will have, so its template can be deployed first. A draft is read and tried, and is written
(and audited) only when an answer changed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.clouds.contract import Scanner, ScanTarget
from isthmus.engine import Engine, Lookup
from isthmus.solutions import inventory, onboarding
from isthmus.solutions.loop import Loop
from isthmus.work import Arguments, Job, Timetable

DRAFTS = "Isthmus.Connect/drafts"
CHOICES: Mapping[str, str] = {"inventory": inventory.TYPE, "onboarding": onboarding.TYPE}
"""What a draft calls a solution, and its solution type."""
DETECT = "draft.detect"
WAITING, ARRIVED, UNREACHABLE = "Waiting", "Arrived", "Unreachable"
ACTOR = Actor(id="isthmus:arrivals", kind="Application", name="Isthmus arrivals")

_ACCOUNT = re.compile(r"[0-9]{12}")
_EAGER, _PATIENT = 3_600_000, 86_400_000
_AT_ONCE = 16
_LONGEST = 1000

Answers = Mapping[str, tuple[str, str]]
"""Solution type to status and details."""


def chosen(properties: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The solutions that a draft has switched on, by its name for them, with the settings as they were typed."""
    choices = properties.get("solutions", {})
    return {name: choices[name].get("settings", {}) for name in CHOICES if choices.get(name, {}).get("enabled") is True}


def account_of(properties: Mapping[str, Any]) -> str:
    """The account of a draft; empty while it is not one."""
    account = str(properties.get("basics", {}).get("accountId", ""))
    return account if _ACCOUNT.fullmatch(account) else ""


def is_due(properties: Mapping[str, Any], planned: datetime, now: int) -> bool:
    """Whether the timetable looks after a draft at this moment (epoch milliseconds): each time for an hour after it reached the template,
    every ten minutes for a day, until everything chosen has arrived."""
    since = properties.get("awaiting")
    if since is None or not account_of(properties):
        return False
    arrivals = properties.get("arrivals", {})
    if all(arrivals.get(CHOICES[name], {}).get("status") == ARRIVED for name in chosen(properties)):
        return False
    age = now - int(datetime.fromisoformat(since).timestamp() * 1000)
    return age < _EAGER or (age < _PATIENT and planned.minute % 10 == 0 and planned.second < 10)


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """The job and the timetable."""

    engine: Engine
    lookup: Lookup
    scanner: Scanner
    loop: Loop

    def job(self) -> Job:
        """The job behind `detect`: arguments `draft` (id) and `operation`."""
        return Job(name=DETECT, queue="requests", run=self._detect, failed=self._failed, attempts=2)

    def timetable(self) -> Timetable:
        """Every ten seconds, for the drafts that wait."""
        return Timetable(name="arrivals", cron="*/10 * * * * *", run=self.watch)

    def watch(self, planned: datetime) -> None:
        """Look after every draft that is due."""
        now = self.engine.now()
        due = [draft for draft in self.lookup.all(types=[DRAFTS]) if is_due(draft.properties, planned, now)]
        for draft, answers in self._ask(due):
            self._note(draft, answers)

    def _detect(self, arguments: Arguments) -> None:
        draft = self.lookup.find(arguments["draft"])
        if draft is None:
            gone = ArmError("ResourceNotFound", f"'{arguments['draft']}' was deleted or created in the meantime.", status=404)
            self.engine.finish(arguments["operation"], error=gone)
            return
        ((_, answers),) = self._ask([draft])
        self._note(draft, answers)
        now = instant(self.engine.now())
        self.engine.finish(arguments["operation"], result={"arrivals": {kind: _shown(*answers[kind], now) for kind in sorted(answers)}})

    def _failed(self, arguments: Arguments, error: ArmError) -> None:
        self.engine.finish(arguments["operation"], error=error)

    def _ask(self, drafts: Sequence[Resource]) -> list[tuple[Resource, Answers]]:
        return list(zip(drafts, self.loop.run(self._try_all(drafts)), strict=True))

    async def _try_all(self, drafts: Sequence[Resource]) -> list[Answers]:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(draft: Resource) -> Answers:
            kinds = [CHOICES[name] for name in chosen(draft.properties)]
            return dict(zip(kinds, await asyncio.gather(*(self._try(draft, kind, gate) for kind in kinds)), strict=True))

        return list(await asyncio.gather(*(one(draft) for draft in drafts)))

    async def _try(self, draft: Resource, kind: str, gate: asyncio.Semaphore) -> tuple[str, str]:
        guid = draft.properties["connectorPrimaryIdentifier"]
        target = ScanTarget(account=account_of(draft.properties), guid=guid, solution=kind)
        async with gate:
            try:
                await self.scanner.check(target)
            except PermissionError as error:
                return WAITING, str(error)[:_LONGEST]
            except ConnectionError as error:
                return UNREACHABLE, str(error)[:_LONGEST]
        return ARRIVED, f"The role of {kind} in account {target.account} trusts this connector."

    def _note(self, draft: Resource, answers: Answers) -> None:
        """Write what changed, unless the draft asks about something else by now."""
        if not _news(draft.properties, answers):
            return
        asked = account_of(draft.properties)
        at = instant(self.engine.now())

        def decide(old: Resource | None) -> Change:
            if old is None or account_of(old.properties) != asked:
                return Change()
            wanted = {CHOICES[name] for name in chosen(old.properties)}
            news = {kind: _shown(*answer, at) for kind, answer in _news(old.properties, answers).items() if kind in wanted}
            if not news:
                return Change()
            arrivals = {**old.properties.get("arrivals", {}), **news}
            statuses = {kind: one["status"] for kind, one in news.items()}
            return Change(puts=(replace(old, properties={**old.properties, "arrivals": arrivals}),), detail=statuses)

        self.engine.write(draft.id, decide, ACTOR, f"{DRAFTS}/arrivals")


def _news(properties: Mapping[str, Any], answers: Answers) -> dict[str, tuple[str, str]]:
    known = properties.get("arrivals", {})
    return {
        kind: (status, details)
        for kind, (status, details) in answers.items()
        if (known.get(kind, {}).get("status"), known.get(kind, {}).get("details")) != (status, details)
    }


def _shown(status: str, details: str, at: str) -> dict[str, str]:
    return {"status": status, "details": details, "checkedAt": at}
