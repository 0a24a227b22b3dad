"""The agent by the protocol of container credentials, with botocore as its client, and what it refuses."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from botocore.credentials import ContainerProvider

from isthmus.arm.errors import ArmError
from isthmus.cli.aws.agent import Agent, find_agent, token_file
from isthmus.cli.aws.cache import Cache, Credentials
from tests.support.clock import Clock


def fetch(role: str) -> Credentials:
    if role != "1.Reader":
        raise ArmError("RoleNotFound", f"There is no role '{role}'.", status=404)
    end = (datetime.now(UTC) + timedelta(seconds=300)).isoformat().replace("+00:00", "Z")
    return Credentials.of({"accessKeyId": "ASIA1", "secretAccessKey": "s", "sessionToken": "t", "expiration": end})


@pytest.fixture
def agent() -> Iterator[Agent]:

    made = Agent(Cache(fetch, time.time), time.time)
    thread = threading.Thread(target=made.serve)
    thread.start()
    yield made
    made.close()
    thread.join(10)


def test_an_sdk_gets_credentials_of_a_role(agent: Agent, tmp_path: Path) -> None:
    agent.whereabouts.write(tmp_path / "agent.json")
    environ = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{agent.port}/1.Reader",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token_file(tmp_path / "agent.json")),
    }
    found = ContainerProvider(environ=environ).load()
    assert found is not None
    assert found.get_frozen_credentials().access_key == "ASIA1"


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/1.Reader", {}, 401, "Unauthorized"),
        ("/1.Reader", {"Authorization": "wrong"}, 401, "Unauthorized"),
        ("/1.Reader", {"Authorization": "TOKEN", "Host": "evil.example"}, 403, "Forbidden"),
        ("/1.Reader", {"Authorization": "TOKEN", "Host": "127.0.0.1"}, 403, "Forbidden"),
        ("/2.Reader", {"Authorization": "TOKEN"}, 404, "RoleNotFound"),
        ("/", {"Authorization": "TOKEN"}, 404, "RoleNotFound"),
    ],
)
def test_nobody_else_gets_any(agent: Agent, path: str, headers: dict[str, str], status: int, code: str) -> None:
    sent = {name: value.replace("TOKEN", agent.token) for name, value in headers.items()}
    answer = httpx.get(f"http://127.0.0.1:{agent.port}{path}", headers=sent, trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "ASIA" not in answer.text
    assert "access-control-allow-origin" not in answer.headers


def test_other_verbs_do_nothing(agent: Agent) -> None:
    answer = httpx.post(f"http://127.0.0.1:{agent.port}/1.Reader", headers={"Authorization": agent.token}, trust_env=False)
    assert answer.status_code == 501


def test_its_file_is_for_its_owner_alone_and_others_are_not_believed(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "agent.json"
    assert find_agent(path) is None
    agent.whereabouts.write(path)
    assert {stat.S_IMODE(file.stat().st_mode) for file in (path, token_file(path))} == {0o600}
    found = find_agent(path)
    assert found is not None
    assert (found.port, found.token) == (agent.port, agent.token)
    assert agent.token not in repr(found)
    path.chmod(0o644)
    assert find_agent(path) is None
    path.unlink()
    path.write_text(json.dumps({"port": 1, "pid": 1, "token": "t"}))
    path.chmod(0o600)
    assert find_agent(path) is None, "nobody listens there"


def test_it_ends_when_nobody_asks(clock: Clock) -> None:
    idle = Agent(Cache(fetch, clock), clock, idle_seconds=0.01)
    thread = threading.Thread(target=idle.serve)
    thread.start()
    clock.advance(10)
    thread.join(10)
    assert not thread.is_alive()
