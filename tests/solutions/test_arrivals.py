"""Whether a draft's stack has arrived: asked by itself while somebody waits, written only when the answer changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from isthmus.arm.change import Change, OperationOrder
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.ids import subscription_id
from isthmus.arm.types import Actor
from isthmus.engine import Engine, Lookup
from isthmus.solutions.arrivals import DRAFTS, Arrivals
from isthmus.solutions.loop import Loop
from isthmus.store.tables import audit_records, operations
from tests.fakes.scanner import FakeAccount
from tests.solutions.conftest import ACCOUNT, GROUP, GUID
from tests.support.clock import Clock

SUBSCRIPTION = subscription_id(GROUP.subscription)
DRAFT = SUBSCRIPTION.extension(DRAFTS, "first")
INVENTORY, ONBOARDING = "Microsoft.AssetManagement", "Microsoft.HybridCompute.Onboard"
PERSON = Actor(id="t", kind="User")


class Wait:
    """A draft whose stack is awaited, and an account in memory."""

    def __init__(self, engine: Engine, loop: Loop, clock: Clock) -> None:
        self.engine, self.clock, self.account = engine, clock, FakeAccount(refusal="Deploy the stack first.")
        self.arrivals = Arrivals(engine=engine, lookup=Lookup(engine.store), scanner=self.account, loop=loop)
        engine.apply(Change(puts=(Resource(id=SUBSCRIPTION),)), PERSON, "setup", "/")
        self.put(awaiting=instant(engine.now()))

    def put(self, **more: Any) -> None:
        """The draft, with both solutions unless `more` says otherwise."""
        solutions = {"inventory": {"enabled": True}, "onboarding": {"enabled": True}}
        properties = {"step": "template", "basics": {"accountId": ACCOUNT}, "solutions": solutions, "connectorPrimaryIdentifier": GUID}
        self.engine.apply(Change(puts=(Resource(id=DRAFT, properties={**properties, **more}),)), PERSON, "put", str(DRAFT))

    def watch(self) -> None:
        """What the timetable does now."""
        self.arrivals.watch(datetime.fromtimestamp(self.clock(), tz=UTC))

    def draft(self) -> Resource:
        """The draft as it is."""
        found = self.arrivals.lookup.find(DRAFT)
        assert found is not None
        return found

    def statuses(self) -> dict[str, str]:
        """Solution type to status."""
        return {kind: one["status"] for kind, one in self.draft().properties.get("arrivals", {}).items()}

    def records(self) -> int:
        """How much is in the audit log."""
        with self.engine.store.read() as connection:
            return connection.execute(select(func.count()).select_from(audit_records)).scalar() or 0


@pytest.fixture
def wait(engine: Engine, loop: Loop, clock: Clock) -> Wait:
    return Wait(engine, loop, clock)


def test_an_answer_is_written_once_and_again_when_it_changes(wait: Wait) -> None:
    wait.watch()
    assert wait.statuses() == {INVENTORY: "Waiting", ONBOARDING: "Waiting"}
    assert "Deploy the stack first" in wait.draft().properties["arrivals"][INVENTORY]["details"]
    etag, records = wait.draft().etag, wait.records()
    for _ in range(3):
        wait.clock.advance(10)
        wait.watch()
    assert (wait.draft().etag, wait.records()) == (etag, records), "nothing changed, nothing written"
    wait.account.unreachable = "No network."
    wait.watch()
    assert wait.statuses() == {INVENTORY: "Unreachable", ONBOARDING: "Unreachable"}
    wait.account.unreachable = wait.account.refusal = ""
    wait.watch()
    assert wait.statuses() == {INVENTORY: "Arrived", ONBOARDING: "Arrived"}
    assert wait.records() == records + 2
    wait.account.refusal = "It is gone again."
    wait.clock.advance(10)
    wait.watch()
    assert set(wait.statuses().values()) == {"Arrived"}, "nobody waits any more"


def test_the_timetable_is_eager_for_an_hour_and_patient_for_a_day(wait: Wait) -> None:
    asked = []
    wait.account.refusal = ""
    check = wait.account.check

    async def counted(target: Any) -> None:
        asked.append(target.solution)
        await check(target)
        raise PermissionError("not yet")

    wait.account.check = counted  # type: ignore[method-assign]
    start = wait.clock()
    counts = {}
    for hour, moments in {0: 360, 1: 360, 23: 360, 25: 360}.items():
        asked.clear()
        wait.clock.advance(start + hour * 3600 - wait.clock())
        for _ in range(moments):
            wait.clock.advance(10)
            wait.watch()
        counts[hour] = len(asked) // 2
    assert (counts[1], counts[25]) == (6, 0)
    assert 355 <= counts[0] <= 360
    assert counts[23] in (5, 6)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"awaiting": "2026-01-01T00:00:00.000Z", "basics": {"accountId": "12"}},
        {"awaiting": "2026-01-01T00:00:00.000Z", "solutions": {"inventory": {"enabled": False}}},
    ],
)
def test_drafts_without_somebody_who_waits_are_left_alone(wait: Wait, more: dict[str, Any]) -> None:
    wait.put(**more)
    wait.watch()
    assert wait.statuses() == {}


def detect(wait: Wait) -> dict[str, Any]:
    wait.engine.apply(Change(operation=OperationOrder(id="op", resource=DRAFT, kind="detect")), PERSON, "w", "x")
    wait.arrivals.job().run({"draft": str(DRAFT), "operation": "op"})
    with wait.engine.store.read() as connection:
        row = connection.execute(select(operations)).one()
    return {"status": row.status, **json.loads(row.result or row.error)}


def test_detection_on_request_answers_and_writes(wait: Wait) -> None:
    wait.put(solutions={"onboarding": {"enabled": True}})
    wait.account.refusal = ""
    found = detect(wait)
    assert found["status"] == "Succeeded"
    assert {kind: one["status"] for kind, one in found["arrivals"].items()} == {ONBOARDING: "Arrived"} == wait.statuses()


def test_detection_for_a_draft_that_is_gone_fails(wait: Wait) -> None:
    wait.engine.apply(Change(deletes=(DRAFT,)), PERSON, "delete", str(DRAFT))
    found = detect(wait)
    assert (found["status"], found["code"]) == ("Failed", "ResourceNotFound")


def test_an_answer_about_another_account_is_not_written(wait: Wait) -> None:
    """The draft changes while its account is asked."""
    asked = wait.account.check

    async def changed(target: Any) -> None:
        wait.put(awaiting=instant(wait.engine.now()), basics={"accountId": "999999999999"})
        await asked(target)

    wait.account.check = changed  # type: ignore[method-assign]
    wait.watch()
    assert wait.statuses() == {}
