"""`isthmus demo` keeps what the README promises, leaves nothing running, and says so when it cannot work."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.stack import clean_environ
from tests.support.waiting import LOADED, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus", "demo", *arguments, "--folder", str(folder)]
    return subprocess.run(
        command, env=clean_environ(folder.parent), cwd=folder.parent, capture_output=True, text=True, timeout=240 * LOADED, check=False
    )


def processes_of(folder: Path) -> Iterator[psutil.Process]:
    """Processes whose environment or command line names the folder."""
    for process in psutil.process_iter():
        try:
            said = [*process.cmdline(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(str(folder) in text for text in said) and process.pid != psutil.Process().pid:
            yield process


def test_the_demo_takes_one_account_all_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = run("--once", "--machines", "20", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "demo.json").read_text())
    assert set(found) == {"account", "types", "projections", "gaps", "machines", "connected", "seconds", "aws_calls", "urls"}
    assert found["types"] >= 30
    assert found["projections"] >= 200
    assert found["gaps"] == 0
    assert found["machines"] == found["connected"] == 20
    assert 0 < found["seconds"] < 180 * LOADED
    assert found["aws_calls"] > 500
    assert found["urls"]["api"].startswith("https://localhost:")
    for shown in (found["account"], f"{found['projections']} resources", "20 of 20", "ISTHMUS_DATA="):
        assert shown in done.stdout
    assert not (folder / "data" / "server.json").exists()
    until(lambda: not list(processes_of(folder)), 10, what="what was ended by force has gone")


def test_the_demo_empties_only_what_a_demo_made(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    done = run("--once", folder=folder)
    assert done.returncode == 1
    assert "no demo made" in done.stdout
    assert (folder / "thesis.txt").read_text() == "years of work"
