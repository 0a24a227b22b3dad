"""200 machines through the running server: seconds until the last one is Connected, and what AWS and the server were asked meanwhile."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import httpx

from bench.account import Meter, Spent, account, peak_memory
from bench.rows import row
from tests.e2e.stack import FILTER, ONBOARDING, Stack, until

MACHINES = 200
SECONDS = 60.0
CALLS_PER_MACHINE = 1.0
ORIGINAL_CALLS = 2 + 20 + 1
"""Calls per machine of a loop over instances: two commands, their results asked every 5 s, one list (Azure documents no batching)."""
_POSTS = re.compile(r'^isthmus_http_requests_total\{method="POST",status="\d+"\} (\S+)$', re.MULTILINE)


def measure() -> list[dict[str, Any]]:
    """Rows about one fleet."""
    with account(MACHINES) as stack:
        posts = _posts(stack)
        meter = Meter(stack)
        stack.configure("onboarding", ONBOARDING, FILTER)
        until(lambda: _connected(stack) >= MACHINES, 300, pause=1.0, what=f"{MACHINES} machines are Connected")
        spent = meter.stop()
        posts = _posts(stack) - posts
        peak = peak_memory(stack)
    by_action: Counter[str] = Counter()
    for (service, action, _), count in spent.calls.items():
        if service in ("ssm", "ec2"):
            by_action[action] += count
    return _rows(spent, by_action, posts, peak)


def _rows(spent: Spent, by_action: Counter[str], posts: float, peak: float) -> list[dict[str, Any]]:
    calls = sum(by_action.values())
    said = ", ".join(f"{count} {action}" for action, count in by_action.most_common(6))
    return [
        row(
            "onboarding",
            f"{MACHINES} machines, from the solution to Connected",
            spent.wall,
            "s",
            budget=SECONDS,
            against=f"the original documents 1 to 2.5 min for one machine; the lab spent {spent.lab:.1f} CPU s besides its machines",
        ),
        row(
            "onboarding",
            "calls to SSM and EC2 per machine",
            calls / MACHINES,
            "calls",
            budget=CALLS_PER_MACHINE,
            against=f"one machine at a time needs {ORIGINAL_CALLS} ({ORIGINAL_CALLS * MACHINES / calls:.0f}x); here {said}",
        ),
        row(
            "onboarding",
            "requests of a machine to the server",
            posts / MACHINES,
            "requests",
            budget=5,
            against="limit 4: challenge, enrolment, token, heartbeat; the rest are later heartbeats",
        ),
        row(
            "onboarding",
            "CPU time of serve per machine",
            spent.serve / MACHINES * 1000,
            "ms",
            budget=None,
            against=f"{MACHINES} machines: {spent.serve:.1f} s, of which polling by this benchmark is part",
        ),
        row("onboarding", "peak memory of serve", peak, "MB", budget=None, against="150 MB allowed at rest"),
    ]


def _connected(stack: Stack) -> int:
    return sum(1 for machine in stack.machines() if machine["properties"].get("status") == "Connected")


def _posts(stack: Stack) -> float:
    """How many POST requests the server has answered: machines post, this benchmark reads."""
    text = httpx.get(f"{stack.url}/metrics", verify=str(stack.ca), trust_env=False).text
    return sum(float(count) for count in _POSTS.findall(text))
