"""The state machine on its own: whatever is observed, no row loops on errors, waits without a reason, or comes back from the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.clouds.contract import Invocation
from isthmus.solutions.onboard import rows
from isthmus.solutions.onboard.codes import CODES, retry_at
from isthmus.solutions.onboard.rows import NEVER, InstanceRow, Seen
from isthmus.solutions.onboard.steps import Observed, Standing, next_step
from isthmus_agent.keys import Key
from tests.support.examples import examples

NOW = 1_767_225_600_000
KEY = Key.generate().public
OUTPUTS = (f"-----BEGIN ISTHMUS KEY-----\n{KEY}\n-----END ISTHMUS KEY-----", "", "noise", "-----BEGIN RSA PRIVATE KEY-----")
DETAILS = (
    "Success",
    "Failed",
    "Pending",
    "InProgress",
    "Delayed",
    "DeliveryTimedOut",
    "Delivery Timed Out",
    "ExecutionTimedOut",
    "Undeliverable",
    "Terminated",
    "Cancelled",
    "InvalidPlatform",
    "AccessDenied",
    "SomethingNew",
)
STATUSES = (
    "Success",
    "Failed",
    "Pending",
    "InProgress",
    "Delayed",
    "TimedOut",
    "Cancelled",
    "Cancelling",
    "Undeliverable",
    "Terminated",
    "New",
)

seen = st.builds(
    Seen,
    state=st.sampled_from(["pending", "running", "stopping", "stopped", "shutting-down", "terminated", "gone", "odd"]),
    ping=st.sampled_from(["", "Online", "ConnectionLost", "Inactive"]),
    profile=st.sampled_from(["", "arn"]),
    imds=st.booleans(),
    exclusion=st.sampled_from(["", "FILTERED_TAG", "FILTERED_REGION"]),
)
moments = st.integers(min_value=-7_200_000, max_value=7_200_000)
codes = st.sampled_from(["", *CODES])


@st.composite
def instance_rows(draw: st.DrawFn) -> InstanceRow:
    return InstanceRow(
        key="1/r/i-1",
        account="1",
        region="r",
        instance_id="i-1",
        solution="s",
        machine="/subscriptions/s/machines/i-1",
        seen=draw(seen),
        state=draw(st.sampled_from(rows.STATES)),
        code=draw(codes),
        evidence=draw(st.sampled_from([{}, {"exit": 62}, {"exit": 26}])),
        generation=draw(st.integers(min_value=1, max_value=5)),
        attempts=draw(st.integers(min_value=0, max_value=40)),
        batch=draw(st.sampled_from(["", "b"])),
        command_id=draw(st.sampled_from(["", "c"])),
        since=NOW + min(0, draw(moments)),
        next_at=draw(st.sampled_from([NOW - 1, NOW, NOW + 1, NOW + 3_600_000, NEVER])),
    )


standings = st.none() | st.builds(
    Standing,
    state=st.sampled_from(["pending", "enrolled", "expired", "left"]),
    silent=st.booleans(),
    window_open=st.booleans(),
    expires_at=st.just(NOW),
)
invocations = st.none() | st.builds(
    Invocation,
    instance_id=st.just("i-1"),
    status=st.sampled_from(STATUSES),
    detail=st.sampled_from(DETAILS),
    exit_code=st.sampled_from([-1, 0, 1, 26, 61, 62, 67, 81, 104, 201, 202, 203, 205]),
    output=st.sampled_from([*OUTPUTS, "connected to /subscriptions/s/machines/i-1", "connected to /subscriptions/x/machines/y."]),
)


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    invocation = draw(invocations)
    return Observed(
        standing=draw(standings),
        polled=invocation is not None or draw(st.booleans()),
        invocation=invocation,
        used=draw(st.integers(min_value=0, max_value=6)),
        retry=draw(st.booleans()),
        release=draw(st.booleans()),
        before_start=draw(st.booleans()),
    )


@settings(max_examples=examples(1500), deadline=None)
@given(instance_rows(), observations())
def test_every_step_is_accounted_for(row: InstanceRow, observed: Observed) -> None:
    step = next_step(row, observed, NOW)
    after = step.row
    assert step == next_step(row, observed, NOW)
    assert after.state in rows.STATES
    assert (after.key, after.seen) == (row.key, row.seen)
    assert after.generation >= row.generation
    if after != row:
        if after.state in (rows.BLOCKED, rows.QUARANTINED, rows.EXCLUDED, rows.SSM_WAIT, rows.STOPPED, rows.DISCONNECTED):
            assert after.code in CODES
            assert CODES[after.code].sentence(after.evidence)
        if after.state in (rows.BLOCKED, rows.SSM_WAIT):
            assert NOW < after.next_at < NEVER
        if after.state == rows.QUARANTINED:
            assert CODES[after.code].kind == "S"
            assert after.next_at == NEVER
        assert "PRIVATE KEY" not in str(after.evidence).replace("a private key", "")
    if step.act == "genkey":
        assert after.generation > observed.used
        assert (after.sends, after.command_id, after.batch) == (row.sends + 1, "", "")
    if step.act == "connect":
        assert observed.standing is not None
        assert observed.standing.window_open
    if step.act:
        assert row.seen.state == "running"
        assert not row.seen.exclusion


@settings(max_examples=examples(500), deadline=None)
@given(instance_rows(), observations(), st.sampled_from(["gone", "terminated"]))
def test_the_gone_are_marked_and_stay_so(row: InstanceRow, observed: Observed, state: str) -> None:
    gone = replace(row, seen=replace(row.seen, state=state))
    step = next_step(gone, observed, NOW)
    assert step.row.state in (rows.OFFBOARDING, rows.REMOVED)
    assert not step.act
    if step.row.state == rows.REMOVED:
        assert next_step(step.row, observed, NOW + 1).row == step.row


@settings(max_examples=examples(500), deadline=None)
@given(instance_rows(), observations())
def test_a_settled_row_does_not_move_by_itself(row: InstanceRow, observed: Observed) -> None:
    """Level-triggered: what is idle twice under one observation stays where it is."""
    calm = replace(observed, retry=False, release=False)
    first = next_step(row, calm, NOW)
    second = next_step(first.row, calm, NOW)
    if any(step.act or step.row.in_flight or step.row.code == "EXPIRED" for step in (first, second)):
        return
    third = next_step(second.row, calm, NOW)
    assert not third.act
    assert (third.row.state, third.row.code) == (second.row.state, second.row.code)


@settings(max_examples=examples(200), deadline=None)
@given(invocations.filter(lambda one: one is not None), standings.filter(lambda one: one is None or one.state != "enrolled"), st.data())
def test_no_failure_is_repeated_without_rest(invocation: Invocation, standing: Standing | None, data: Any) -> None:
    """A day in which every command ends the same bad way: commands per instance stay few."""
    row = InstanceRow(
        key="k", account="1", region="r", instance_id="i-1", solution="s", machine="m", seen=Seen(state="running", ping="Online")
    )
    now, commands, used = NOW, 0, 0
    while now < NOW + 86_400_000:
        observed = Observed(standing=standing, polled=bool(row.command_id), invocation=invocation if row.command_id else None, used=used)
        step = next_step(row, observed, now)
        row = step.row
        if step.act in ("genkey", "connect"):
            commands += 1
            row = replace(row, batch="b", command_id="c", next_at=now + 1000)
        elif step.act == "register":
            used = row.generation
            row = replace(row, state=rows.CONNECTING, since=now, command_id="c", sends=row.sends + 1, next_at=now + 1000)
            commands += 1
        assert row.next_at == NEVER or row.next_at > now or step.act == "register"
        now = min(max(row.next_at, now + 1), NOW + 86_400_001)
    assert commands <= 130


@pytest.mark.parametrize("code", CODES)
def test_back_off_grows_by_class_and_has_an_end(code: str) -> None:
    kind = CODES[code].kind
    if kind in ("N", "S"):
        return
    waits = [retry_at(code, attempts, 0, "k") for attempts in range(1, 30)]
    first, last = {"T": (1, 30), "E": (15, 360), "U": (360, 360)}[kind]
    assert 0.8 * first * 60_000 <= waits[0] <= first * 60_000
    assert all(wait <= last * 60_000 for wait in waits)
    assert waits[-1] >= 0.8 * last * 60_000


@pytest.mark.parametrize("name", CODES)
def test_every_remedy_is_a_sentence(name: str) -> None:
    text = CODES[name].sentence({})
    assert text
    assert "{" not in text
