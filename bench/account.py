"""A whole program to measure: lab and server as children, an account that trusts us, and what both of them spend."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.e2e.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Seconds on the clock, CPU seconds of server and lab, and calls that the lab answered by service, action and region."""

    wall: float
    serve: float
    lab: float
    calls: dict[tuple[str, str, str], int]

    @property
    def total(self) -> int:
        """All calls."""
        return sum(self.calls.values())


@contextmanager
def account(machines: int) -> Iterator[Stack]:
    """A seeded account with so many machines, connected and trusted; no solution is configured yet."""
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as name, Stack(Path(name), machines=machines) as stack:
        stack.connect()
        stack.deploy()
        yield stack


class Meter:
    """Measures from its making to `stop`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        stack.lab.admin("DELETE", "/_lab/calls")
        self._serve, self._lab = server_cpu(stack), cpu_seconds(stack.lab.pid)
        self._start = time.monotonic()

    def stop(self) -> Spent:
        """What was spent since."""
        wall = time.monotonic() - self._start
        serve, lab = server_cpu(self._stack) - self._serve, cpu_seconds(self._stack.lab.pid) - self._lab
        answered = self._stack.lab.admin("GET", "/_lab/calls")["calls"]
        calls = {(row["service"], row["action"], row["region"]): row["count"] for row in answered}
        return Spent(wall=wall, serve=serve, lab=lab, calls=calls)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    spent = psutil.Process(pid).cpu_times()
    return float(spent.user + spent.system)


def server_pid(stack: Stack) -> int:
    """The process of `isthmus serve`."""
    assert stack.server.child is not None
    return stack.server.child.pid


def server_cpu(stack: Stack) -> float:
    """CPU seconds of `isthmus serve` so far."""
    return cpu_seconds(server_pid(stack))


def peak_memory(stack: Stack) -> float:
    """The most memory that `isthmus serve` ever held, in MB (2**20 bytes), as Linux keeps it."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{server_pid(stack)}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
