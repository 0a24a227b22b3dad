"""Lengths of time as people write them: seconds, or `30m`, `2h`, `7d`."""

from __future__ import annotations

import re
from typing import Final

import typer

_LENGTH: Final = re.compile(r"([0-9]{1,9})([smhd]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds_of(given: str, option: str, *, least: int) -> int:
    """Whole seconds; wrong usage for what is no length of time, or a shorter one than `least`."""
    found = _LENGTH.fullmatch(given.strip().lower())
    if found is None:
        raise typer.BadParameter(f"'{given}' is no length of time. Write seconds, or 30m, 2h.", param_hint=option)
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds < least:
        raise typer.BadParameter(f"{seconds} seconds are too few: the least is {least}.", param_hint=option)
    return seconds
