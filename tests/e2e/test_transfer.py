"""A living installation is backed up, lost, restored and moved to PostgreSQL: its machines and people notice an interruption, no more."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from isthmus.store.tables import instances, metadata, registrations
from tests.e2e.ledger import joined, resources_of, store_of
from tests.e2e.stack import FILTER, INVENTORY, ONBOARDING, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.postgresql]

MACHINES = 2
NARROW = {"cloudProviderRegions": "us-east-1", "cloudProviderServiceTypes": "ec2, sqs, s3"}
PASSPHRASE = "four words nobody guesses"


def run(stack: Stack, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A command beside the server, with the server's environment."""
    command = [sys.executable, "-m", "isthmus", *arguments]
    return subprocess.run(command, env={**stack.server.environ, **environ}, capture_output=True, text=True, check=False, timeout=120)


def rows_of(url: str) -> dict[str, int]:
    """Rows per table."""
    store = store_of(url)
    with store.read() as connection:
        found = {table.name: len(connection.execute(select(table)).all()) for table in metadata.sorted_tables}
    store.close()
    return found


def heartbeats(url: str) -> list[int]:
    """When each enrolled machine was heard last."""
    store = store_of(url)
    with store.read() as connection:
        found = connection.execute(select(registrations.c.last_heartbeat).where(registrations.c.state == "enrolled")).scalars().all()
    store.close()
    return [int(at or 0) for at in found]


def connected(url: str) -> list[str]:
    """The instances that are machines."""
    store = store_of(url)
    with store.read() as connection:
        found = connection.execute(select(instances.c.instance_id).where(instances.c.state == "CONNECTED")).scalars().all()
    store.close()
    return list(found)


def check_alive(stack: Stack) -> None:
    """Machines sign in with the keys they have, the operator with his, AWS accepts our tokens, the chain holds."""
    began = int(time.time() * 1000)
    for instance in connected(stack.database):
        stack.machine_fault(instance, "stop-agent")
        stack.machine_fault(instance, "start-agent")
    until(lambda: len(found := heartbeats(stack.database)) == MACHINES and min(found) >= began, 60, what="every machine was heard again")
    before = resources_of(stack.database)
    assert stack.sync("inventory")["status"] == "Completed"
    assert resources_of(stack.database) == before
    assert stack.client.post("/providers/Isthmus.Audit/records", {}).body["valid"]


def test_lost_restored_and_moved(new_stack: Callable[..., Stack], postgresql_url: str, tmp_path: Path) -> None:
    stack = new_stack(machines=MACHINES)
    stack.connect()
    stack.deploy()
    stack.configure("onboarding", ONBOARDING, FILTER)
    stack.configure("inventory", INVENTORY, NARROW)
    until(lambda: joined(stack.database)["states"]["CONNECTED"] == MACHINES, 90, what="all machines are connected")
    until(lambda: stack.status("inventory").get("lastSyncTime"), 60, what="the account was scanned")
    restore_what_was_lost(stack, tmp_path)
    move_to_postgresql(stack, postgresql_url)


def restore_what_was_lost(stack: Stack, tmp_path: Path) -> None:
    """Back up while the server runs, lose the whole data folder, restore."""
    phrase, archive = tmp_path / "phrase", tmp_path / "archive"
    phrase.write_text(PASSPHRASE)
    phrase.chmod(0o600)
    ran = run(stack, "backup", str(archive), "--passphrase-file", str(phrase))
    assert ran.returncode == 0, ran.stderr
    before = resources_of(stack.database)
    stack.kill()
    shutil.rmtree(stack.data)
    ran = run(stack, "restore", str(archive), "--passphrase-file", str(phrase))
    assert ran.returncode == 0, ran.stderr
    assert resources_of(stack.database) == before
    stack.start()
    check_alive(stack)


def move_to_postgresql(stack: Stack, url: str) -> None:
    """Stop, copy, start on the copy."""
    stop_idle(stack)
    before = rows_of(stack.database)
    ran = run(stack, "db", "copy", ISTHMUS_TARGET_DATABASE_URL=url)
    assert ran.returncode == 0, ran.stderr
    assert rows_of(url) == before
    assert url.partition("@")[0].rpartition(":")[2] not in ran.stdout + ran.stderr
    stack.database_url = stack.server.environ["ISTHMUS_DATABASE_URL"] = url
    stack.start()
    check_alive(stack)


def stop_idle(stack: Stack) -> None:
    """Stop the server between two jobs: a copy is refused while one waits."""
    for _ in range(20):
        stack.stop()
        ran = run(stack, "db", "copy", "--to", f"sqlite:///{stack.folder / 'rehearsal.db'}")
        (stack.folder / "rehearsal.db").unlink(missing_ok=True)
        if ran.returncode == 0:
            return
        assert "JobsUnfinished" in ran.stderr, ran.stderr
        stack.start()
        until(lambda: not joined(stack.database)["running"], what="nothing runs")
    pytest.fail("jobs never came to an end")
