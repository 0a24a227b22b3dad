"""Watching: what is appended where no terminal is, what a terminal shows, restarts, ends, and Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
import yaml
from rich.console import Console

from isthmus.arm.errors import ArmError
from isthmus.cli import operation
from isthmus.cli import watch as watching
from isthmus.cli.formats import Output
from isthmus.cli.session import Session
from isthmus.cli.watch import Sight, list_of, present
from isthmus.client import Client, Place
from tests.cli.conftest import Cli, await_note, start

COLUMNS = {"NAME": "name", "STATE": "state"}
AWAY = ArmError("ServerNotReachable", "Gone.", status=503)


def row(name: str, state: str) -> dict[str, str]:
    return {"id": f"/{name}", "name": name, "state": state}


def looks(*seen: Sight | ArmError) -> Callable[[], Sight]:
    """A look that sees one after another, and the last one for ever."""
    left = list(seen)

    def look() -> Sight:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, ArmError):
            raise found
        return found

    return look


class Naps:
    """Sleeps that take no time; the last one is interrupted."""

    def __init__(self, most: int) -> None:
        self.taken: list[float] = []
        self._most = most

    def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        if len(self.taken) > self._most:
            raise KeyboardInterrupt


def watch(output: Output, look: Callable[[], Sight], naps: Naps | None = None) -> Sight:
    return present(Session(output=output, sleep=naps or Naps(20)), look, watch=True, interval=2.0)


THREE = (
    list_of([row("a", "new"), row("b", "new")], COLUMNS),
    list_of([row("a", "new"), row("b", "new")], COLUMNS),
    list_of([row("a", "done"), row("c", "new")], COLUMNS, is_over=True),
)


def test_once_is_once(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(sleep=Naps(0))
    assert present(session, looks(*THREE), watch=False, interval=2.0) is THREE[0]
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_without_a_terminal_changes_are_appended_until_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    naps = Naps(20)
    assert watch(Output.TABLE, looks(*THREE), naps).is_over
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert lines[:3] == [["NAME", "STATE"], ["a", "new"], ["b", "new"]]
    assert [line[1:] for line in lines[3:]] == [["a", "done"], ["c", "new"]]
    assert err.split()[1:] == ["gone:", "b", "new"]
    assert naps.taken == [2.0, 2.0]


def test_programs_get_a_row_or_a_document_per_change(capsys: pytest.CaptureFixture[str]) -> None:
    watch(Output.TSV, looks(*THREE))
    assert capsys.readouterr().out == "a\tnew\nb\tnew\na\tdone\nc\tnew\n"
    watch(Output.CSV, looks(*THREE))
    assert capsys.readouterr().out == "NAME,STATE\r\na,new\r\nb,new\r\na,done\r\nc,new\r\n"
    watch(Output.JSON, looks(*THREE))
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [[one["name"] for one in document] for document in told] == [["a", "b"], ["a", "c"]]
    watch(Output.YAML, looks(*THREE))
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == told


def test_one_thing_is_watched_member_by_member(capsys: pytest.CaptureFixture[str]) -> None:
    first = Sight(item={"name": "n", "properties": {"status": "Running"}})
    last = Sight(item={"name": "n", "properties": {"status": "Failed\x1b[2J"}}, is_over=True)
    watch(Output.TABLE, looks(first, first, last))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert (lines[:2], lines[2][1:]) == ([["name", "n"], ["status", "Running"]], ["status", "Failed", "[2J"])


def test_a_server_that_is_away_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    busy = ArmError("ServiceUnavailable", "Busy.", status=503)
    none = ArmError("NoServer", "None.", status=503)
    watch(Output.TSV, looks(THREE[0], AWAY, none, busy, THREE[2]))
    out, err = capsys.readouterr()
    assert out == "a\tnew\nb\tnew\na\tdone\nc\tnew\n"
    assert ["does not answer" in line or "answers again" in line or "gone" in line for line in err.splitlines()] == [True, True, True]


def test_what_fails_at_first_or_is_refused_later_is_an_error() -> None:
    with pytest.raises(ArmError, match="Gone"):
        watch(Output.TABLE, looks(AWAY))
    with pytest.raises(ArmError, match="Not yours"):
        watch(Output.TABLE, looks(THREE[0], ArmError("AuthorizationFailed", "Not yours.", status=403)))


def test_a_terminal_is_drawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(watching, "console", lambda: Console(file=screen, force_terminal=True, width=60, height=20, markup=False))
    with pytest.raises(KeyboardInterrupt):
        watch(Output.TABLE, looks(THREE[0], AWAY, list_of([row("a\x1b[2Jz", "x")], COLUMNS), list_of([], COLUMNS)), Naps(3))
    text = screen.getvalue()
    assert all(said in text for said in ("NAME", "does not answer", "answers again", "Nothing found", "Ctrl-C ends"))
    assert "\x1b[2J" not in text
    assert "\x1b[1A" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def operations(*seen: dict[str, Any]) -> Session:
    """A session whose server shows one state of an operation after another."""
    left = list(seen)

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/subscriptions":
            return httpx.Response(200, json={"value": [{"subscriptionId": "s", "displayName": "S"}]})
        found = {"name": "1", "properties": {"startTime": "2026", "kind": "sync", **left.pop(0)}}
        is_list = request.url.path.endswith("/longRunningOperations")
        return httpx.Response(200, json={"value": [found]} if is_list else found)

    session = Session(output=Output.TSV, sleep=Naps(20))
    session.place = Place(url="https://arm.test")
    session.client = Client("https://arm.test", lambda: "t", transport=httpx.MockTransport(respond))
    return session


RUNNING, DONE = {"status": "Running"}, {"status": "Succeeded", "endTime": "2027"}


def test_an_operation_is_watched_until_it_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    operation.show(operations(RUNNING, RUNNING, DONE), "1", watch=True)
    assert [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()] == ["Running", "Succeeded"]
    with pytest.raises(typer.Exit) as ended:
        operation.show(operations(RUNNING, {"status": "Failed", "endTime": "2027"}), "1", watch=True)
    assert ended.value.exit_code == 1


def test_running_operations_are_watched_until_none_runs(capsys: pytest.CaptureFixture[str]) -> None:
    operation.listing(operations(RUNNING, DONE), running=True, watch=True)
    out, err = capsys.readouterr()
    assert (out.count("\n"), "gone: 1" in err) == (1, True)


def command(data: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "isthmus", "--data", str(data), *arguments]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment without a sign-in."""
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "ISTHMUS_URL": "", "ISTHMUS_CLIENT_ID": "", "TERM": "xterm", "COLUMNS": "80"}


def read_until(read: Callable[[], bytes], wanted: str) -> str:
    """What is read, up to what is wanted."""
    text, deadline = "", time.monotonic() + 60
    while wanted not in text:
        assert time.monotonic() < deadline, text
        text += read().decode()
    return text


@pytest.mark.e2e
def test_ctrl_c_ends_a_watch_on_a_terminal_with_130(served: Path, environ: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    watcher = subprocess.Popen(
        command(served, "machine", "list", "--watch", "--interval", "0.2"), env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    patience = threading.Timer(60, watcher.kill)
    patience.start()
    try:
        read_until(lambda: os.read(ours, 4096), "Ctrl-C ends")
        watcher.send_signal(signal.SIGINT)
        rest = b""
        try:
            while part := os.read(ours, 4096):
                rest += part
        except OSError:  # the terminal is gone with the program
            pass
        assert watcher.wait(timeout=30) == 130
        assert b"Traceback" not in rest
        assert b"\x1b[?25h" in rest
    finally:
        patience.cancel()
        watcher.kill()
        os.close(ours)


@pytest.fixture
def watched(cli: Cli, served: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A watch of connectors, not on a terminal."""
    watcher = subprocess.Popen(
        command(served, "connector", "list", "--watch", "--interval", "0.1", "-o", "tsv"), env=environ, stdout=subprocess.PIPE
    )
    yield watcher
    watcher.kill()
    watcher.wait()


@pytest.mark.e2e
def test_a_new_connector_appears_in_a_watch(cli: Cli, watched: subprocess.Popen[bytes]) -> None:
    out: Any = watched.stdout
    name = f"w-{time.time_ns()}"
    cli.json("connector", "create", "--account", f"{time.time_ns() % 10**12:012d}", "--name", name, "--group", name)
    assert f"{name}\t" in read_until(lambda: out.readline(), name)
    watched.send_signal(signal.SIGINT)
    assert watched.wait(timeout=30) == 130


@pytest.mark.e2e
@pytest.mark.slow
def test_a_watch_outlives_a_restart_on_another_port(tmp_path: Path, environ: dict[str, str]) -> None:
    data, log = tmp_path / "data", str(tmp_path / "log")
    children = [start(data, "--port", "0", "--log-file", log)]
    try:
        first = await_note(children[0], data)
        machines = command(data, "machine", "list", "--watch", "--interval", "0.1")
        watcher = subprocess.Popen(machines, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        children.append(watcher)
        said: Any = watcher.stderr
        read_until(lambda: said.readline(), "Nothing found")
        children[0].send_signal(signal.SIGTERM)
        assert children[0].wait(timeout=60) == 0
        read_until(lambda: said.readline(), "does not answer")
        children.append(start(data, "--port", "0", "--log-file", log))
        assert await_note(children[2], data) != first
        assert "answers again" in read_until(lambda: said.readline(), "answers again")
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(timeout=30) == 130
    finally:
        for child in children:
            child.kill()
            child.wait()
