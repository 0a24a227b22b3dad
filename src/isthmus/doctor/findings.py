"""What a look at one thing says: it is well, it may hurt, it is broken, or why nobody looked; and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

# Whatever stands between `://` and the last `@` of a word may be a password.
_CREDENTIALS = re.compile(r"(?<=://)[^\s'\"]+(?=@)")


class Result(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "notChecked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One check: its name, how it ended, what was seen (no secret is in it), and what to do where there is something."""

    check: str
    result: Result
    detail: str
    remedy: str = ""


def ok(check: str, detail: str) -> Finding:
    """It is well."""
    return Finding(check=check, result=Result.OK, detail=hidden(detail))


def warning(check: str, detail: str, remedy: str) -> Finding:
    """It works, and will hurt some day."""
    return Finding(check=check, result=Result.WARNING, detail=hidden(detail), remedy=hidden(remedy))


def failed(check: str, detail: str, remedy: str) -> Finding:
    """It is broken."""
    return Finding(check=check, result=Result.FAILED, detail=hidden(detail), remedy=hidden(remedy))


def unchecked(check: str, reason: str, remedy: str = "") -> Finding:
    """Nobody looked, and why."""
    return Finding(check=check, result=Result.NOT_CHECKED, detail=hidden(reason), remedy=hidden(remedy))


def hidden(text: str) -> str:
    """A text without the user and password of URLs in it."""
    return _CREDENTIALS.sub("***", text)
