"""Three processes on one PostgreSQL database and one key folder: a scan whose process is killed is finished by another."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text

from isthmus.client import Client, choose_token, find_server
from isthmus.store.tables import scans, scopes
from tests.e2e.ledger import finished_cells, joined, resources_of, store_of
from tests.e2e.stack import INVENTORY, Server, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.postgresql]

NARROW = {
    "cloudProviderRegions": "eu-central-1, us-east-1",
    "cloudProviderServiceTypes": "ec2, iam, sqs, sns, logs, s3, lambda, dynamodb",
}


@contextmanager
def companions(stack: Stack, folder: Path) -> Iterator[list[Server]]:
    """A second server and a process that only works, with data folders of their own and the first one's keys."""
    shared = {
        "AWS_ENDPOINT_URL": stack.lab.url,
        "ISTHMUS_DATABASE_URL": stack.database_url,
        "ISTHMUS_KEYS_FOLDER": str(stack.data / "keys"),
        "ISTHMUS_PUBLIC_URL": stack.url,
    }
    made = []
    for name, options in (("second", ()), ("worker", ("--work-only",))):
        (folder / name).mkdir()
        made.append(Server(folder / name, shared, *options))
    try:
        for server in made:
            server.start(seconds=150)
        yield made
    finally:
        for server in made:
            server.stop()


def owner_of(url: str, job: str) -> int:
    """The id of the process that runs a job now; 0 when none does."""
    store = store_of(url)
    with store.read() as connection:
        asked = text("select executor_id from dbos.workflow_status where name = :job and status = 'PENDING'")
        executor = connection.execute(asked, {"job": job}).scalar()
    store.close()
    return int(str(executor).split("-")[-2]) if executor else 0


def unfinished(url: str) -> list[Any]:
    """Jobs that nobody has finished, without the runs of timetables, which come and go."""
    store = store_of(url)
    with store.read() as connection:
        asked = "select workflow_uuid, status from dbos.workflow_status where status in ('PENDING', 'ENQUEUED', 'DELAYED')"
        found = connection.execute(text(f"{asked} and name not like 'timetable.%'")).all()
    store.close()
    return list(found)


def scan_states(url: str) -> list[str]:
    """The state of every scan."""
    store = store_of(url)
    with store.read() as connection:
        found = [row.status for row in connection.execute(select(scans.c.status))]
    store.close()
    return found


def ledger(url: str) -> dict[str, int]:
    """Scopes by the scan that closed them."""
    store = store_of(url)
    with store.read() as connection:
        counted = connection.execute(select(scopes.c.scan, func.count()).group_by(scopes.c.scan)).all()
    store.close()
    return {row[0]: row[1] for row in counted}


def test_a_scan_outlives_the_process_that_ran_it(new_stack: Callable[..., Stack], postgresql_url: str, tmp_path: Path) -> None:
    stack = new_stack(database_url=postgresql_url, machines=3)
    stack.connect()
    stack.deploy()
    with companions(stack, tmp_path) as (second, worker):
        by_pid = {server.child.pid: server for server in (stack.server, second, worker) if server.child}
        assert len(by_pid) == 3
        stack.fault(service="sqs", delay=12)
        stack.fault(service="sns", delay=12)
        stack.configure("inventory", INVENTORY, NARROW)
        solution = stack.solution("inventory")
        until(lambda: finished_cells(postgresql_url, solution) >= 10, 60, 0.02, "some cells are closed")
        victim = by_pid[owner_of(postgresql_url, "inventory.sync")]
        victim.stop(signal.SIGKILL)
        partial = finished_cells(postgresql_url, solution)
        assert scan_states(postgresql_url) == ["InProgress"]
        stack.heal()
        if victim is stack.server:
            # The issuer answers at whichever server is left.
            ca = (stack.data / "keys" / "ca.pem").read_text()
            stack.lab.admin("POST", "/_lab/issuers", {"host": "issuer.isthmus.test", "connect": f"127.0.0.1:{second.port}", "ca": ca})
        ended = until(lambda: scan_states(postgresql_url) != ["InProgress"] and scan_states(postgresql_url), 90, what="the scan ended")
        assert ended == ["Completed"], "it is the same scan, finished by another process"
        check_the_end(stack, partial, victim)
        check_faces(stack, second, worker, without=victim)


def check_the_end(stack: Stack, partial: int, victim: Server) -> None:
    """Everything is as if nobody had been killed."""
    if victim is stack.server:
        stack.start()
    cells = stack.scopes("inventory")
    assert 10 <= partial < len(cells)
    assert {one["outcome"] for one in cells} == {"complete"}
    assert list(ledger(stack.database).values()) == [len(cells)], "one scan closed every scope"
    after = resources_of(stack.database)
    stack.sync("inventory")
    assert resources_of(stack.database) == after, "an undisturbed scan of the same account finds the same"
    assert joined(stack.database)["running"] == []
    until(lambda: not unfinished(stack.database), what="no job is stuck")
    assert stack.client.post("/providers/Isthmus.Audit/records", {}).body["valid"]


def check_faces(stack: Stack, second: Server, worker: Server, *, without: Server) -> None:
    """A token of one server opens the other; the worker serves health alone."""
    ca = str(stack.data / "keys" / "ca.pem")
    if without is not second:
        place = find_server(stack.data, "", {})
        token = choose_token(place, {"XDG_CACHE_HOME": str(stack.folder / "cache")}, time.time)
        with Client(f"https://localhost:{second.port}", token, verify=place.ca) as other:
            assert [one["subscriptionId"] for one in other.list("/subscriptions")] == [stack.root.rpartition("/")[2]]
    if without is not worker:
        assert httpx.get(f"https://localhost:{worker.port}/subscriptions", verify=ca, trust_env=False).status_code == 404
        ready = httpx.get(f"https://localhost:{worker.port}/readyz", verify=ca, trust_env=False).json()
        assert ready == {"status": "ready", "database": "ready", "keys": "ready", "jobs": "ready"}
        assert not (worker.data / "server.json").exists()


def test_a_process_with_keys_of_its_own_is_refused(postgresql_url: str, tmp_path: Path) -> None:
    settings = {"ISTHMUS_DATABASE_URL": postgresql_url, "AWS_ENDPOINT_URL": "https://127.0.0.1:9"}
    first, stranger = (Server(tmp_path / name, settings) for name in ("first", "stranger"))
    for server in (first, stranger):
        server.data.parent.mkdir()
    try:
        first.start(seconds=150)
        with pytest.raises(AssertionError, match="the server ended with 1"):
            stranger.start(seconds=150)
        assert first.child is not None
        assert first.child.poll() is None
    finally:
        first.stop()
        stranger.stop()
    said = stranger.log.read_text()
    assert "[SigningKeysDiffer]" in said
    assert "ISTHMUS_KEYS_FOLDER" in said
    assert "Traceback" not in said
