"""Processes that stop, die or meet: real child processes on both databases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from isthmus.arm.errors import ArmError, unavailable
from isthmus.store import Store
from isthmus.work import Job, Queue, Work, alone
from isthmus.work.engine import executor_name
from tests.support.clock import Clock
from tests.support.databases import Databases
from tests.support.waiting import LOADED
from tests.work.conftest import Launch, eventually, ordered
from tests.work.program import build

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the worker program on a database; it is killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(url: str, ticks: Path | str = "-") -> subprocess.Popen[str]:
        child = subprocess.Popen([sys.executable, "-m", "tests.work.program", url, str(ticks)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    yield begin
    for child in started:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def put_mark(store: Store, work: Work, workflow_id: str, path: Path, gate: Path) -> None:
    with store.begin() as connection:
        work.enqueue(connection, "test.mark", workflow_id, {"path": str(path), "gate": str(gate)})


def test_work_of_a_killed_process_is_finished_after_the_next_start(store: Store, database_url: str, start: Start, tmp_path: Path) -> None:
    path, gate = tmp_path / "marks", tmp_path / "gate"
    work = build(store)
    child = start(database_url)
    put_mark(store, work, "killed", path, gate)
    eventually(lambda: lines(path) == ["begin"])
    child.kill()
    child.wait()
    gate.touch()
    start(database_url)
    eventually(lambda: work.state("killed") == "SUCCESS")
    assert lines(path) == ["begin", "begin", "end"]
    (record,) = ordered(work, ["SUCCESS"])
    assert record.recoveries == 1


@pytest.mark.postgresql
def test_a_living_process_takes_over_from_a_killed_one(postgresql_url: str, start: Start, tmp_path: Path) -> None:
    path, gate = tmp_path / "marks", tmp_path / "gate"
    store = Store(postgresql_url)
    work = build(store)
    first = start(postgresql_url)
    for number in range(3):
        put_mark(store, work, f"orphan:{number}", path, gate)
    eventually(lambda: lines(path) == ["begin"] * 3)
    second = start(postgresql_url)
    time.sleep(0.5)
    assert lines(path) == ["begin"] * 3, "work of a living process was taken over"
    first.kill()
    first.wait()
    eventually(lambda: lines(path) == ["begin"] * 6)
    gate.touch()
    eventually(lambda: len(ordered(work, ["SUCCESS"])) == 3)
    assert Counter(lines(path)) == {"begin": 6, "end": 3}
    assert second.poll() is None
    store.close()


@pytest.mark.postgresql
def test_a_timetable_runs_once_over_two_processes(postgresql_url: str, start: Start, tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    for _ in range(2):
        start(postgresql_url, ticks)
    eventually(lambda: len(lines(ticks)) >= 3)
    assert max(Counter(lines(ticks)).values()) == 1


def test_a_timetable_runs_at_its_planned_times(databases: Databases, start: Start, tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    start(databases.fresh_sqlite(tmp_path / "ticks.db"), ticks)
    eventually(lambda: len(lines(ticks)) >= 3)
    # Those that the engine finds at one look run together, in any order.
    planned = [datetime.fromisoformat(line) for line in lines(ticks)]
    assert {(one.utcoffset(), one.microsecond) for one in planned} == {(timedelta(0), 0)}
    assert len(set(planned)) == len(planned)


def test_a_second_process_on_one_file_is_refused(databases: Databases, start: Start, tmp_path: Path) -> None:
    url = databases.fresh_sqlite(tmp_path / "one.db")
    child = start(url)
    store = Store(url)
    work = build(store)
    with pytest.raises(ArmError) as refused:
        work.launch()
    assert (refused.value.code, refused.value.status) == ("DatabaseInUse", 409)
    assert str(tmp_path / "one.db") in refused.value.message
    assert str(child.pid) in refused.value.message
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=20) == 0
    work.launch()
    work.stop()
    store.close()


def test_stopping_lets_a_running_step_end_and_leaves_the_rest(store: Store, launch: Launch) -> None:
    began, release, ran = threading.Event(), threading.Event(), Counter[str]()

    def run(arguments: Mapping[str, Any]) -> None:
        began.set()
        release.wait(10 * LOADED)
        ran[arguments["name"]] += 1

    job, queue = Job(name="test.slow", queue="single", run=run), Queue(name="single", worker_concurrency=1, polling_seconds=0.05)
    work = launch(job, queues=[queue])
    with store.begin() as connection:
        for name in ("first", "second"):
            work.enqueue(connection, "test.slow", name, {"name": name})
    assert began.wait(10 * LOADED)

    def let_go() -> None:
        """The step ends when nobody takes from the queue any more."""
        eventually(lambda: "queue-worker-single" not in {thread.name for thread in threading.enumerate()})
        release.set()

    assert "queue-worker-single" in {thread.name for thread in threading.enumerate()}
    threading.Thread(target=let_go).start()
    work.stop(timeout_seconds=10 * LOADED)
    assert ran.total() == 1
    assert sorted(str(work.state(name)) for name in ("first", "second")) == ["ENQUEUED", "SUCCESS"]
    launch(job, queues=[queue])
    eventually(lambda: len(ordered(work, ["SUCCESS"])) == 2)
    assert ran == {"first": 1, "second": 1}


def test_a_job_between_attempts_stops_at_once_and_keeps_its_count(store: Store, launch: Launch, clock: Clock) -> None:
    calls, told = [], []

    def run(_arguments: Mapping[str, Any]) -> None:
        calls.append(clock())
        raise unavailable(f"away {len(calls)}", retry_after=7)

    def failed(_arguments: Mapping[str, Any], error: ArmError) -> None:
        told.append((error.body(), error.status, error.retry_after, error.headers))

    job = Job(name="test.away", queue="main", run=run, failed=failed, attempts=2, interval_seconds=50)
    work = launch(job, clock=clock)
    with store.begin() as connection:
        work.enqueue(connection, "test.away", "away", {})
    eventually(lambda: len(calls) == 1)
    time.sleep(0.2)
    before = time.monotonic()
    work.stop()
    assert time.monotonic() - before < 5
    assert work.state("away") == "PENDING"
    clock.advance(60)
    again = launch(job, clock=clock, executor=work.executor)
    eventually(lambda: again.state("away") == "ERROR")
    assert len(calls) == 2, "a recovered job goes on with the attempts it has left and does not sleep again"
    error = unavailable("away 2", retry_after=7)
    assert told == [(error.body(), error.status, error.retry_after, error.headers)]


@pytest.mark.parametrize("error", [unavailable("stopping"), RuntimeError("the database is closed")], ids=["refused", "surprise"])
def test_what_fails_while_the_process_stops_is_left_to_the_next_one(store: Store, launch: Launch, error: Exception) -> None:
    began, calls, told = threading.Event(), [], []

    def run(_arguments: Mapping[str, Any]) -> None:
        calls.append(1)
        if len(calls) > 1:
            return
        began.set()
        eventually(lambda: not work.is_running)
        raise error

    job = Job(name="test.last", queue="main", run=run, failed=lambda _arguments, error: told.append(error), attempts=1)
    work = launch(job)
    with store.begin() as connection:
        work.enqueue(connection, "test.last", "last", {})
    assert began.wait(10 * LOADED)
    work.stop()
    assert work.state("last") == "PENDING"
    again = launch(job, executor=work.executor)
    eventually(lambda: again.state("last") == "SUCCESS")
    assert (len(calls), told) == (2, [])


@pytest.mark.postgresql
def test_a_process_that_loses_its_session_is_told(postgresql_url: str) -> None:
    store = Store(postgresql_url)
    lost = threading.Event()
    work = Work(store, jobs=[], queues=[], clock=time.time, on_lost=lost.set, executor="loser")
    work.launch()
    twin = Work(store, jobs=[], queues=[], clock=time.time, executor="loser")
    with pytest.raises(ArmError, match="'loser'"):
        twin.launch()
    with store.begin() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objsubid = 1 and pid <> pg_backend_pid() "
                "and database = (select oid from pg_database where datname = current_database())"
            )
        )
    assert lost.wait(5 * LOADED)
    work.stop()
    store.close()


@pytest.mark.postgresql
def test_every_start_on_postgresql_has_a_name_of_its_own(postgresql_url: str) -> None:
    store = Store(postgresql_url)
    first, second = executor_name(store.engine), executor_name(store.engine)
    assert first != second
    assert str(os.getpid()) in first
    store.close()


def test_who_has_a_database_alone_meets_no_worker(store: Store, launch: Launch) -> None:
    work = launch()
    with pytest.raises(ArmError, match="DatabaseInUse"), alone(store):
        pytest.fail("a worker has the database")
    work.stop()
    with alone(store), pytest.raises(ArmError, match="DatabaseInUse") as caught:
        launch()
    assert caught.value.status == 409
    launch()
    assert store.name.count(":***@") == store.url.count("@"), "names of databases hold no password"
