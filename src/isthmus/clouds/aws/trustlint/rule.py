"""A rule of the lint: one declarative entry with the reason why it exists, and a pure look at an estate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from isthmus.clouds.aws.trustlint.estate import Estate
from isthmus.clouds.contract import Severity


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """Where a rule is not kept: the ARN, and one sentence about what was seen there."""

    resource: str
    told: str


Look = Callable[[Estate, float], Iterable[Spot]]
"""From an estate and the present (seconds since 1970) to where a rule is not kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """`asks` is what should be so, `because` what goes wrong otherwise, `remedy` what to change."""

    id: str
    severity: Severity
    asks: str
    because: str
    remedy: str
    look: Look
