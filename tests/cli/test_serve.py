"""`isthmus serve` as a real process: its port, its note, its end, and what it prints."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isthmus.arm.errors import ArmError
from isthmus.cli.server import bind
from tests.cli.conftest import NO_CLOUD, await_note, start

pytestmark = pytest.mark.e2e


@pytest.fixture
def taken() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def stop(process: subprocess.Popen[bytes], kind: signal.Signals = signal.SIGTERM) -> float:
    """Tell it to end; the seconds it took. It ends with code 0."""
    started = time.monotonic()
    process.send_signal(kind)
    assert process.wait(timeout=30) == 0
    return time.monotonic() - started


def run(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus", "--data", str(data), *arguments]
    return subprocess.run(command, env={**os.environ, **NO_CLOUD}, capture_output=True, text=True, check=False, timeout=60)


def test_a_taken_port_is_replaced_commands_find_the_server_and_sigterm_ends_it(tmp_path: Path, taken: int) -> None:
    data, said = tmp_path / "data", tmp_path / "said"
    with said.open("wb") as stderr:
        process = start(data, "--port", str(taken), stderr=stderr)
    try:
        url = await_note(process, data)
        assert not url.endswith(f":{taken}")
        first = run(data, "-o", "json", "subscription", "list")
        assert (first.returncode, len(json.loads(first.stdout))) == (0, 1), first.stderr
        second = run(data, "serve", "--port", "0")
        assert (second.returncode, url in second.stderr, "Stop it first" in second.stderr) == (1, True, True)
        assert stop(process) < 10
    finally:
        process.kill()
    assert not (data / "server.json").exists()
    text = said.read_text()
    assert f"Isthmus serves {url}" in text
    assert "The port was taken" in text
    assert str(data / "keys" / "ca.pem") in text
    assert "/sign-in#" not in text
    logged = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert {"started", "stopped"} <= {line["event"] for line in logged}
    modes = {file.name: file.stat().st_mode & 0o777 for file in (data / "keys").rglob("*") if file.is_file()}
    assert set(modes.values()) == {0o600}
    assert [file for file in data.rglob("*") if file.is_file() and "keys" not in file.parts and b"PRIVATE KEY" in file.read_bytes()] == []
    after = run(data, "subscription", "list")
    assert (after.returncode, "isthmus serve" in after.stderr) == (1, True)


def test_an_exact_port_that_is_taken_is_an_error(tmp_path: Path, taken: int) -> None:
    ran = run(tmp_path / "data", "serve", "--port", str(taken), "--exact-port")
    assert (ran.returncode, f"127.0.0.1:{taken}" in ran.stderr, "--port" in ran.stderr) == (1, True, True)


def test_the_first_start_on_a_terminal_shows_a_link_that_no_log_holds(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    ours, theirs = pty.openpty()
    process: subprocess.Popen[bytes] = start(data, "--port", "0", "--log-file", str(log), stderr=theirs)
    os.close(theirs)
    try:
        await_note(process, data)
        text = _read_until(ours, "/sign-in#")
        code = text.partition("/sign-in#")[2].split()[0]
        assert len(code) >= 32
        assert stop(process, signal.SIGINT) < 10
    finally:
        process.kill()
        os.close(ours)
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert code.encode() not in everything
    assert log.stat().st_mode & 0o777 == 0o600
    assert "started" in {json.loads(line)["event"] for line in log.read_text().splitlines()}


def _read_until(terminal: int, wanted: str) -> str:
    """What a terminal shows, up to the line that holds `wanted`."""
    text, deadline = "", time.monotonic() + 30
    while not (wanted in text and "\n" in text.partition(wanted)[2]):
        assert time.monotonic() < deadline, text
        text += os.read(terminal, 4096).decode()
    return text


def test_a_free_port_is_bound_as_asked() -> None:
    listener: Any = bind("127.0.0.1", 0)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    with pytest.raises(ArmError, match=r"Cannot listen on 192\.0\.2\.1"):
        bind("192.0.2.1", 0)
