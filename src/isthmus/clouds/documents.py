"""JSON as clouds write it, read strictly. Pure, so that whoever keeps what a cloud wrote reads it as the cloud's own code does."""

from __future__ import annotations

import json
import math
from typing import Any


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def _finite(number: str) -> float:
    found = float(number)
    if math.isinf(found):
        raise ValueError("no number is that large")
    return found


_DECODE = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode


def read_json(content: bytes | str) -> Any:
    """The value of a text (bytes: UTF-8 without a mark). Raises ValueError, also for NaN, infinite numbers and too many levels."""
    try:
        return _DECODE(content if isinstance(content, str) else content.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
