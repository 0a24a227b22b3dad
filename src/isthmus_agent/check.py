"""`azcmagent check`: can the control plane be reached, is its certificate trusted, is the clock right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from isthmus_agent.exits import AgentError
from isthmus_agent.plane import Plane

SKEW = 120.0
"""Seconds by which the clock may differ from the control plane's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the check."""

    name: str
    passed: bool
    detail: str


def check(endpoint: str, ca: str, *, clock: Callable[[], float]) -> list[Finding]:
    """Reach the control plane once; every finding in the order in which it was made."""
    plane = Plane(ca)
    try:
        answer = plane.get(f"{endpoint}/healthz")
    except AgentError as error:
        return [Finding(name="Reachable", passed=False, detail=error.message)]
    finally:
        plane.close()
    findings = [Finding(name="Reachable", passed=True, detail=f"{endpoint} answered over trusted TLS")]
    try:
        skew = clock() - parsedate_to_datetime(answer.date).timestamp()
    except (TypeError, ValueError):
        return findings
    right = abs(skew) <= SKEW
    detail = "within two minutes" if right else f"off by {skew:.0f} s; fix chrony"
    return [*findings, Finding(name="Clock", passed=right, detail=detail)]
