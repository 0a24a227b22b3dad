"""When a solution is due, and what testing its permissions answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import func, select

from isthmus.arm.change import Change, OperationOrder
from isthmus.arm.envelope import Resource, SystemData, instant
from isthmus.arm.types import Actor
from isthmus.clouds.contract import ScanTarget, Selection, Verdict
from isthmus.solutions import inventory, subject
from isthmus.solutions.connectors import Connectors, due_slot
from isthmus.store.tables import audit_records, operations, ordered_syncs
from tests.fakes.jobs import RecordedJobs
from tests.solutions.conftest import ACCOUNT, CONNECTOR, GUID, SOLUTION, Bench

HOUR = 3_600_000
MADE = 1_767_225_600_000


def solution(status: str, *, synced: int | None = None, **settings: str) -> Resource:
    properties: dict[str, Any] = {
        "solutionType": inventory.TYPE,
        "solutionSettings": inventory.SOLUTION.complete(settings),
        "status": status,
        "solutionId": "s",
    }
    if synced is not None:
        properties["lastSyncTime"] = instant(synced)
    made = SystemData(created_by="a", created_by_kind="User", created_at=MADE, changed_by="a", changed_by_kind="User", changed_at=MADE)
    return Resource(id=SOLUTION, properties=properties, system=made)


@pytest.mark.parametrize(
    ("status", "synced", "after", "slot"),
    [
        (subject.PENDING, None, 45_000, MADE + 30_000),
        (subject.PENDING, None, 2 * HOUR + 61_000, MADE + 2 * HOUR),
        (subject.FAILED, None, 700_000, MADE + 600_000),
        (subject.COMPLETED, MADE + 5_000, HOUR - 1, None),
        (subject.COMPLETED, MADE + 5_000, HOUR + 1, MADE + HOUR),
        (subject.COMPLETED, MADE + HOUR + 5_000, HOUR + 10_000, None),
        (subject.WITH_GAPS, MADE + 5_000, 5 * HOUR, MADE + 5 * HOUR),
    ],
)
def test_slots(status: str, synced: int | None, after: int, slot: int | None) -> None:
    assert due_slot(solution(status, synced=synced), MADE + after) == (None if slot is None else str(slot))


def test_a_switched_off_period_is_never_due() -> None:
    assert due_slot(solution(subject.COMPLETED, synced=MADE, periodicSync="false"), MADE + 100 * HOUR) is None


def test_a_slot_is_ordered_once(bench: Bench, jobs: RecordedJobs) -> None:
    connectors = made(bench)
    bench.clock.advance(40)
    connectors.start_due(None)  # type: ignore[arg-type]
    connectors.start_due(None)  # type: ignore[arg-type]
    assert [(job, partition) for job, _, partition in jobs.orders.values()] == [(inventory.SYNC, "s")]
    assert recorded(bench) == 1, "no order, no record"
    bench.clock.advance(30)
    connectors.start_due(None)  # type: ignore[arg-type]
    assert (len(jobs.orders), recorded(bench)) == (2, 2)


def recorded(bench: Bench) -> int:
    with bench.engine.store.read() as connection:
        wanted = select(func.count()).select_from(audit_records).where(audit_records.c.action == "solutions/due")
        return connection.execute(wanted).scalar() or 0


def test_what_was_ordered_is_forgotten_with_its_solution(bench: Bench) -> None:
    connectors = made(bench)
    bench.engine.removals = dict(connectors.removals)
    connectors.start_due(None)  # type: ignore[arg-type]
    bench.engine.apply(Change(deletes=(CONNECTOR,)), Actor(id="a", kind="User"), "w", "x")
    with bench.engine.store.read() as connection:
        assert connection.execute(select(ordered_syncs)).all() == []


def made(bench: Bench) -> Connectors:
    return Connectors(
        engine=bench.engine,
        lookup=bench.lookup,
        scanner=bench.account,
        loop=bench.stock.loop,
        solutions={inventory.TYPE: inventory.SOLUTION},
    )


@pytest.mark.parametrize(
    ("refusal", "unreachable", "status", "details"),
    [("", "", "Connected", ""), ("Deploy first.", "", "Disconnected", "Deploy first."), ("", "No network.", "Disconnected", "No network.")],
)
def test_permissions_are_tested_per_solution(bench: Bench, refusal: str, unreachable: str, status: str, details: str) -> None:
    bench.account.refusal, bench.account.unreachable = refusal, unreachable
    order = OperationOrder(id="op", resource=CONNECTOR, kind="test")
    bench.engine.apply(Change(operation=order), Actor(id="a", kind="User"), "w", "x")
    made(bench).test_job().run({"connector": str(CONNECTOR), "operation": "op"})
    with bench.engine.store.read() as connection:
        row = connection.execute(select(operations)).one()
    assert row.status == "Succeeded", "the test has run, whatever it found"
    assert f'"solutionType":"{inventory.TYPE}","status":"{status}","statusDetails":"{details}"' in row.result


def test_verdicts_are_told_per_action_with_a_remedy(bench: Bench) -> None:
    bench.account.verdicts = (
        Verdict(action="ec2:DescribeVpcs", allowed=True),
        Verdict(action="s3:ListAllMyBuckets", allowed=False, message="allowed by no statement " + "x" * 900),
        Verdict(action="sns:ListTopics", allowed=False, message="A policy of the organization forbids it."),
        Verdict(action="sqs:ListQueues", allowed=None, message="Not tested."),
    )
    order = OperationOrder(id="op", resource=CONNECTOR, kind="test")
    bench.engine.apply(Change(operation=order), Actor(id="a", kind="User"), "w", "x")
    made(bench).test_job().run({"connector": str(CONNECTOR), "operation": "op"})
    with bench.engine.store.read() as connection:
        (found,) = json.loads(connection.execute(select(operations.c.result)).scalar() or "")["solutionTypes"]
    assert found["status"] == "Connected"
    assert [(one["action"], one["allowed"]) for one in found["actions"]] == [(one.action, one.allowed) for one in bench.account.verdicts]
    assert max(len(one["message"]) for one in found["actions"]) == 300
    assert "2 of 4 actions are not allowed: s3:ListAllMyBuckets, sns:ListTopics." in found["statusDetails"]
    assert "1 actions could not be tested: sqs:ListQueues." in found["statusDetails"]
    assert "CloudFormation stack" in found["remedy"]
    assert "organization" in found["remedy"]
    assert bench.account.tested == [(ScanTarget(account=ACCOUNT, guid=GUID, solution=inventory.TYPE), Selection())]


def test_testing_a_deleted_connector_fails_its_operation(bench: Bench) -> None:
    order = OperationOrder(id="op", resource=CONNECTOR, kind="test")
    bench.engine.apply(Change(operation=order), Actor(id="a", kind="User"), "w", "x")
    bench.engine.apply(Change(deletes=(CONNECTOR,)), Actor(id="a", kind="User"), "w", "x")
    made(bench).test_job().run({"connector": str(CONNECTOR), "operation": "op"})
    with bench.engine.store.read() as connection:
        assert connection.execute(select(operations.c.status)).scalar() == "Failed"
