"""A launched `Work` for tests, and a way to wait for what it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pytest

from isthmus.store import Store
from isthmus.work import RUNNING, Job, JobRecord, Queue, Work
from tests.support.waiting import LOADED

QUEUES = (
    Queue(name="main", worker_concurrency=8, polling_seconds=0.05),
    Queue(name="parts", worker_concurrency=8, partitioned=True, polling_seconds=0.05),
)


def is_of_timetable(job: str) -> bool:
    """Whether a job is a run of a timetable. They come by themselves, the engine's own 23 minutes past every hour: no test orders them."""
    return job.startswith("timetable.")


def ordered(work: Work, states: Sequence[str] = RUNNING) -> list[JobRecord]:
    """What somebody ordered of the workflows in these states."""
    return [record for record in work.list(states) if not is_of_timetable(record.job)]


class Launch(Protocol):
    """Build and launch a `Work` on the test's store; it is stopped after the test."""

    def __call__(self, *jobs: Job, **options: Any) -> Work: ...


@pytest.fixture
def launch(store: Store) -> Iterator[Launch]:
    """See `Launch`."""
    launched: list[Work] = []

    def build(*jobs: Job, **options: Any) -> Work:
        for earlier in launched:
            earlier.stop()
        work = Work(store, **{"jobs": jobs, "queues": QUEUES, "clock": time.time, "on_lost": lambda: None, **options})
        work.launch()
        launched.append(work)
        return work

    yield build
    for work in launched:
        work.stop(timeout_seconds=1)


def eventually(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Return as soon as the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + LOADED * seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("what was waited for did not happen in time")
        time.sleep(0.01)
