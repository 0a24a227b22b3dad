"""A real server in a process of its own, and the command line against it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from isthmus.cli import app
from isthmus.client import read_note
from tests.contract.server import denying_aws

PATIENCE = 180.0
# Nothing listens there: AWS is out of reach at once instead of after a name lookup.
NO_CLOUD = {"AWS_ENDPOINT_URL": "https://127.0.0.1:9"}


def start(data: Path, *options: str, stderr: Any = subprocess.DEVNULL, aws: Mapping[str, str] = NO_CLOUD) -> subprocess.Popen[bytes]:
    """Start `isthmus serve` on a data folder."""
    command = [sys.executable, "-m", "isthmus", "--data", str(data), "serve", *options]
    return subprocess.Popen(command, env={**os.environ, **aws}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)


def await_note(process: subprocess.Popen[bytes], data: Path) -> str:
    """Wait until the server has said where it is; its URL."""
    deadline = time.monotonic() + PATIENCE
    while True:
        note = read_note(data)
        if note is not None and note.pid == process.pid:
            return note.url
        assert process.poll() is None, f"the server ended with {process.returncode}"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


@dataclass(kw_only=True)
class Cli:
    """The command line for one data folder. Every run is kept, so that a test can search what was ever printed."""

    data: Path
    home: Path
    runs: list[Ran]

    def __call__(self, *arguments: str, env: dict[str, str] | None = None, data: Path | None = None, input: str = "") -> Ran:
        variables = {
            "ISTHMUS_DATA": str(data or self.data),
            "XDG_CACHE_HOME": str(self.home),
            "ISTHMUS_URL": "",
            "ISTHMUS_SUBSCRIPTION_ID": "",
            "ISTHMUS_CLIENT_ID": "",
            **(env or {}),
        }
        result = CliRunner().invoke(app, list(arguments), env=variables, input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        ran = Ran(code=result.exit_code, out=result.stdout, err=result.stderr)
        self.runs.append(ran)
        return ran

    def json(self, *arguments: str, env: dict[str, str] | None = None) -> Any:
        """The JSON that a command that works prints."""
        ran = self(*arguments, "--output", "json", env=env)
        assert ran.code == 0, ran.err
        return ran.json()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Data folder of a running server, before an AWS whose accounts have not deployed the template."""
    data = tmp_path_factory.mktemp("served") / "data"
    with denying_aws() as aws:
        process = start(data, "--port", "0", "--log-file", str(data.parent / "log"), aws={"AWS_ENDPOINT_URL": aws})
        try:
            await_note(process, data)
            yield data
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=PATIENCE)


@pytest.fixture
def cli(served: Path, tmp_path: Path) -> Iterator[Cli]:
    """The command line against the server. No command of any test ever prints a token."""
    made = Cli(data=served, home=tmp_path / "cache", runs=[])
    yield made
    for ran in made.runs:
        assert "eyJ" not in ran.out + ran.err
        assert "Traceback" not in ran.err
