"""The probe of container engines: an exit code and one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from isthmus.client import read_note

pytestmark = pytest.mark.e2e


def run(**environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus.cli.probe"]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False, timeout=60)


def test_a_server_that_is_ready(served: Path) -> None:
    note = read_note(served)
    assert note is not None
    ran = run(ISTHMUS_DATA=str(served), ISTHMUS_PORT=str(urlsplit(note.url).port))
    assert (ran.returncode, ran.stderr) == (0, "ready\n")


def test_one_that_is_not_there(served: Path, tmp_path: Path) -> None:
    silent = run(ISTHMUS_DATA=str(served), ISTHMUS_PORT="9")
    assert (silent.returncode, silent.stderr.count("\n")) == (1, 1)
    fresh = run(ISTHMUS_DATA=str(tmp_path))
    assert (fresh.returncode, "no CA" in fresh.stderr) == (1, True)
    wrong = run(ISTHMUS_DATA=str(served), ISTHMUS_PORT="many")
    assert (wrong.returncode, "ISTHMUS_PORT" in wrong.stderr, "Traceback" in wrong.stderr) == (1, True, False)
