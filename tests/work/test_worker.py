"""Jobs in one process, on both databases: what runs, how often, and what is left when something goes wrong."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import inspect, text

from isthmus.arm.errors import ArmError, unavailable
from isthmus.store import Store
from isthmus.work import FAILED, Job, Work
from tests.support.clock import Clock
from tests.work.conftest import QUEUES, Launch, eventually, ordered

pytestmark = pytest.mark.slow


def put(store: Store, work: Work, job: str, workflow_id: str, **arguments: Any) -> None:
    with store.begin() as connection:
        work.enqueue(connection, job, workflow_id, arguments)


def ends(work: Work, workflow_id: str, state: str = "SUCCESS") -> None:
    eventually(lambda: work.state(workflow_id) == state)


class Script:
    """A job that raises or answers what it is told, call after call, and remembers the calls."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.failures: list[ArmError] = []

    def run(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        self.calls.append(dict(arguments))
        self.times.append(time.monotonic())
        answer = self.answers[min(len(self.calls), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    def failed(self, arguments: Mapping[str, Any], error: ArmError) -> None:
        self.failures.append(error)

    def job(self, **options: Any) -> Job:
        return Job(**{"name": "test.script", "queue": "main", "run": self.run, "failed": self.failed, "interval_seconds": 0.02, **options})


def test_every_job_finishes_once(store: Store, launch: Launch) -> None:
    runs: Counter[int] = Counter()
    lock = threading.Lock()

    def run(arguments: Mapping[str, Any]) -> dict[str, Any]:
        with lock:
            runs[arguments["number"]] += 1
        return {"number": arguments["number"]}

    work = launch(Job(name="test.count", queue="main", run=run))
    with store.begin() as connection:
        for number in range(30):
            work.enqueue(connection, "test.count", f"count:{number}", {"number": number})
    eventually(lambda: len(ordered(work, ["SUCCESS"])) == 30)
    assert runs == Counter(range(30))
    assert ordered(work) == []


def test_a_job_starts_soon_after_its_commit(store: Store, launch: Launch) -> None:
    script = Script(None)
    work = launch(script.job(), queues=[QUEUES[0], QUEUES[1]])
    delays = []
    for number in range(5):
        put(store, work, "test.script", f"soon:{number}")
        committed = time.monotonic()
        eventually(lambda number=number: len(script.calls) > number)  # type: ignore[misc]
        delays.append(script.times[-1] - committed)
    assert min(delays) <= 0.3


def test_errors_that_may_pass_are_tried_again_ever_later(store: Store, launch: Launch, clock: Clock) -> None:
    script = Script(unavailable("away"), ArmError("TooManyRequests", "slower", status=429), RuntimeError("surprise"), {"ok": True})
    work = launch(script.job(interval_seconds=0.1, backoff=2.0), clock=clock)
    script.answers[0].retry_after = None
    put(store, work, "test.script", "again", place="eu-west-1")
    ends(work, "again")
    assert script.calls == [{"place": "eu-west-1"}] * 4
    pauses = [later - earlier for earlier, later in zip(script.times, script.times[1:], strict=False)]
    assert pauses[0] >= 0.1
    assert pauses[1] >= 0.2
    assert pauses[2] >= 0.4
    assert script.failures == []


def test_an_error_may_ask_for_a_longer_pause(store: Store, launch: Launch, clock: Clock) -> None:
    script = Script(unavailable("away", retry_after=1), None)
    work = launch(script.job(), clock=clock)
    put(store, work, "test.script", "patient")
    ends(work, "patient")
    assert script.times[1] - script.times[0] >= 1.0


@pytest.mark.parametrize("status", [403, 409])
def test_a_final_error_is_not_tried_again(store: Store, launch: Launch, status: int) -> None:
    detail = ArmError("Inner", "why", target="part")
    script = Script(ArmError("Gone", "The thing is gone; make another.", status=status, target="thing", details=[detail]))
    work = launch(script.job())
    put(store, work, "test.script", "final")
    ends(work, "final", "ERROR")
    assert len(script.calls) == 1
    assert [(error.body(), error.status) for error in script.failures] == [(script.answers[0].body(), status)]
    (record,) = work.list(FAILED)
    assert record.error is not None
    assert (record.id, record.job, record.queue, record.error.body()) == ("final", "test.script", "main", script.answers[0].body())


def test_failure_is_told_once_when_the_attempts_are_used_up(store: Store, launch: Launch) -> None:
    script = Script(ValueError("no such luck"))
    work = launch(script.job(attempts=3))
    put(store, work, "test.script", "unlucky")
    ends(work, "unlucky", "ERROR")
    assert len(script.calls) == 3
    (failure,) = script.failures
    assert (failure.code, failure.status) == ("InternalError", 500)
    assert "ValueError" in failure.message
    assert "no such luck" not in failure.message


def test_a_callback_that_fails_is_tried_again(store: Store, launch: Launch) -> None:
    script = Script(ArmError("Gone", "gone", status=404))
    told = []

    def failed(_arguments: Mapping[str, Any], error: ArmError) -> None:
        told.append(error.code)
        if len(told) < 3:
            raise unavailable("the database is away", retry_after=0)

    work = launch(script.job(failed=failed))
    put(store, work, "test.script", "told")
    ends(work, "told", "ERROR")
    assert told == ["Gone"] * 3


def test_a_result_that_is_not_small_json_fails_the_job(store: Store, launch: Launch) -> None:
    script = Script({"document": "x" * 20_000})
    work = launch(script.job(attempts=1))
    put(store, work, "test.script", "large")
    ends(work, "large", "ERROR")
    assert script.failures[0].code == "InternalError"


def test_a_transaction_that_rolls_back_leaves_no_job(store: Store, launch: Launch) -> None:
    script = Script(None)
    work = launch(script.job())

    with store.engine.connect() as connection:
        work.enqueue(connection, "test.script", "undone", {})
        connection.rollback()
    put(store, work, "test.script", "kept")
    ends(work, "kept")
    assert work.state("undone") is None
    assert len(script.calls) == 1


def test_an_id_that_exists_is_left_alone(store: Store, launch: Launch) -> None:
    script = Script(None)
    work = launch(script.job())
    put(store, work, "test.script", "same", number=1)
    put(store, work, "test.script", "same", number=2)
    ends(work, "same")
    with store.begin() as connection:
        work.enqueue(connection, "test.script", "same", {"number": 3})
        work.enqueue(connection, "test.script", "other", {"number": 4})
    ends(work, "other")
    assert script.calls == [{"number": 1}, {"number": 4}]


def test_a_delayed_job_waits(store: Store, launch: Launch) -> None:
    script = Script(None)
    work = launch(script.job())
    began = time.monotonic()
    with store.begin() as connection:
        work.enqueue(connection, "test.script", "later", {}, delay_seconds=2)
    assert work.state("later") == "DELAYED"
    ends(work, "later")
    assert script.times[0] - began >= 2 - 0.05, "clocks differ a little"


def test_one_job_at_a_time_per_partition(store: Store, launch: Launch) -> None:
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    together = []
    lock = threading.Lock()

    def run(arguments: Mapping[str, Any]) -> None:
        with lock:
            running[arguments["part"]] += 1
            most[arguments["part"]] = max(most[arguments["part"]], running[arguments["part"]])
            together.append(running.total())
        time.sleep(0.03)
        with lock:
            running[arguments["part"]] -= 1

    work = launch(Job(name="test.part", queue="parts", run=run))
    with store.begin() as connection:
        for number in range(9):
            part = "abc"[number % 3]
            work.enqueue(connection, "test.part", f"part:{number}", {"part": part}, partition=part)
    eventually(lambda: len(ordered(work, ["SUCCESS"])) == 9)
    assert most == Counter("abc")
    assert max(together) > 1


@pytest.mark.parametrize(
    "arguments",
    [{"list": [1]}, {"nothing": None}, {"object": {}}, {"long": "x" * 5000}, {"number": float("nan")}, {"bytes": b"x"}, {1: "x"}],
)
def test_arguments_are_small_plain_json(store: Store, arguments: dict[Any, Any]) -> None:
    work = Work(store, jobs=[Script(None).job()], queues=QUEUES, clock=time.time)
    with pytest.raises(ValueError), store.begin() as connection:
        work.enqueue(connection, "test.script", "wrong", arguments)
    assert work.state("wrong") is None


def test_what_is_not_declared_is_refused(store: Store) -> None:
    work = Work(store, jobs=[Script(None).job(), Script(None).job(name="test.part", queue="parts")], queues=QUEUES, clock=time.time)
    with store.begin() as connection:
        with pytest.raises(ValueError, match=r"test\.part, test\.script"):
            work.enqueue(connection, "test.unknown", "1", {})
        with pytest.raises(ValueError, match="has no partition"):
            work.enqueue(connection, "test.script", "1", {}, partition="a")
        with pytest.raises(ValueError, match="needs a partition"):
            work.enqueue(connection, "test.part", "1", {})
    with pytest.raises(ValueError, match="'elsewhere'"):
        Work(store, jobs=[Script(None).job(queue="elsewhere")], queues=QUEUES, clock=time.time)


def test_an_operator_runs_a_failed_job_again(store: Store, launch: Launch) -> None:
    script = Script(ArmError("Denied", "no", status=403), {"now": "yes"})
    work = launch(script.job())
    put(store, work, "test.script", "denied")
    ends(work, "denied", "ERROR")
    work.retry("denied")
    ends(work, "denied")
    with pytest.raises(ArmError) as refused:
        work.retry("denied")
    assert refused.value.status == 409
    with pytest.raises(ArmError) as unknown:
        work.retry("never")
    assert unknown.value.status == 404


def test_old_history_is_deleted_and_the_rest_kept(store: Store, launch: Launch, clock: Clock) -> None:
    clock.now = time.time()
    script = Script(None)
    work = launch(script.job(), clock=clock, keep_days=7)
    put(store, work, "test.script", "old")
    ends(work, "old")
    with store.begin() as connection:
        work.enqueue(connection, "test.script", "waiting", {}, delay_seconds=3600)
    work.delete_old()
    assert work.state("old") == "SUCCESS"
    clock.advance(8 * 86_400)
    work.delete_old()
    assert work.state("old") is None
    assert work.state("waiting") == "DELAYED"


def test_nothing_in_the_database_is_pickled(store: Store, launch: Launch) -> None:
    script = Script(unavailable("away", retry_after=0), ArmError("Gone", "gone", status=404))
    work = launch(script.job())
    put(store, work, "test.script", "json")
    ends(work, "json", "ERROR")
    schema = None if store.engine.dialect.name == "sqlite" else "dbos"
    tables = inspect(store.engine).get_table_names(schema=schema)
    found: Counter[str] = Counter()
    for table in tables:
        if "serialization" in {column["name"] for column in inspect(store.engine).get_columns(table, schema=schema)}:
            name = f"{schema}.{table}" if schema else table
            with store.read() as connection:
                found.update(connection.scalars(text(f"select serialization from {name} where serialization is not null")))
    assert set(found) == {"isthmus_json"}
    assert found.total() >= 3


def test_the_engine_is_quiet(store: Store, launch: Launch, capfd: pytest.CaptureFixture[str]) -> None:
    script = Script(None)
    work = launch(script.job())
    put(store, work, "test.script", "quiet")
    ends(work, "quiet")
    work.stop()
    captured = capfd.readouterr()
    assert captured.err == ""
    assert "dbos" not in captured.out.lower()
