"""Programs of tests/node, run as children until the test is over."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import LOADED

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "build/node/tests/node_modules"
PROGRAMS = ROOT / "tests/node"
NODE = Path(sys.executable).with_name("node")
_SECONDS = 30 * LOADED


@contextmanager
def running_program(
    program: Path, argument: Path, *, package: str, folder: Path, what: str, node: Path = NODE, modules: Path = MODULES
) -> Iterator[dict[str, Any]]:
    """Start a program that needs a package and give what it says of itself when it listens; it ends when its input closes.

    AssertionError says what is missing, or that it did not start; a test is never left out for that.
    """
    for path, cure in ((node, "make setup"), (modules / package, "make node-tools")):
        assert path.exists(), f"{path} is missing: run '{cure}'"
    command = [str(node), str(program), str(modules), str(argument)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            assert selector.select(_SECONDS), f"{what} did not start in time"
        line = child.stdout.readline()
        assert line, f"{what} ended with code {child.wait(_SECONDS)} instead of starting; its reason stands above"
        yield json.loads(line)
    finally:
        child.stdin.close()
        try:
            child.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()
