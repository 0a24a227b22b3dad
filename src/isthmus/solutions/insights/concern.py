"""What needs a person: one record for every kind of it, each with a remedy and the thing that it is about."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "information"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "information")
KINDS = (
    "brokenGlass",
    "gap",
    "blockedMachines",
    "disconnectedMachines",
    "expiredMachines",
    "expiringMachines",
    "failedSync",
    "pendingAuthorization",
    "failedRemoval",
    "frozenDeletions",
    "expiringCertificate",
    "expiringSecret",
    "failedJob",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Concern:
    """`count` things of one `kind`. `target` is the id to look at, `since` (epoch milliseconds) when the first of them became so.

    `subject` tells apart concerns of one kind about one target: a missing action, a code, a region, a job.
    """

    kind: str
    severity: Severity
    count: int
    title: str
    detail: str
    remedy: str
    target: str
    subject: str = ""
    since: int | None = None

    @property
    def name(self) -> str:
        """A name that stays while the concern does."""
        return f"{self.kind}-{hashlib.sha256(f'{self.target}|{self.subject}'.lower().encode()).hexdigest()[:16]}"


def ordered(concerns: Iterable[Concern]) -> list[Concern]:
    """The gravest first, of these the most frequent."""
    return sorted(concerns, key=lambda one: (SEVERITIES.index(one.severity), -one.count, one.kind, one.target.lower(), one.subject))


def number_of(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"
