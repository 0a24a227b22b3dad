"""Which errors end a job, and how steps and stopping meet."""

from __future__ import annotations

import threading
import time

import pytest

from isthmus.arm.errors import ArmError
from isthmus.work.attempts import Activity, Interrupted, is_final


@pytest.mark.parametrize(
    ("status", "final"), [(400, True), (404, True), (408, False), (410, True), (429, False), (499, True), (500, False), (503, False)]
)
def test_only_refusals_are_final(status: int, final: bool) -> None:
    assert is_final(ArmError("Code", "text", status=status)) is final


def test_no_step_begins_once_the_process_stops() -> None:
    activity = Activity()
    with activity.step():
        assert activity.running == 1
        activity.stopping.set()
    assert activity.running == 0
    with pytest.raises(Interrupted), activity.step():
        pytest.fail("a step began")
    assert activity.running == 0


def test_a_pause_ends_when_the_process_stops() -> None:
    activity = Activity()
    activity.pause(0)
    threading.Timer(0.05, activity.stopping.set).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        activity.pause(60)
    assert time.monotonic() - began < 30
