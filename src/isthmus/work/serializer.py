"""How the engine writes arguments, results and errors: JSON that reads back as it was, so that a replay sees what the first run saw."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from dbos import Serializer

from isthmus.arm.errors import ArmError

_ARM, _FOREIGN, _TIME = "$armError", "$error", "$time"


class RecordedError(Exception):
    """An error of another kind than ArmError, read back from the database: its type's name and its text."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


class JsonSerializer(Serializer):
    """JSON for every column. Errors and times with a zone are tagged objects; anything else unknown to JSON raises TypeError."""

    def name(self) -> str:
        """What the engine notes beside each row; rows of another name are refused."""
        return "isthmus_json"

    def serialize(self, data: Any) -> str:
        """Compact JSON; NaN and infinities raise ValueError."""
        return json.dumps(data, default=_encode, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    def deserialize(self, serialized_data: str) -> Any:
        """The value again; tuples have become lists."""
        return json.loads(serialized_data, object_hook=_decode)


def _encode(value: Any) -> dict[str, Any]:
    if isinstance(value, ArmError):
        return {_ARM: _fields(value)}
    if isinstance(value, RecordedError):
        return {_FOREIGN: {"type": value.kind, "text": value.text}}
    if isinstance(value, BaseException):
        return {_FOREIGN: {"type": type(value).__name__, "text": str(value)}}
    if isinstance(value, datetime) and value.tzinfo is not None:
        return {_TIME: value.isoformat()}
    raise TypeError(f"{type(value).__name__} cannot be stored with a job: use strings, numbers and booleans")


def _fields(error: ArmError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "status": error.status,
        "target": error.target,
        "details": [_fields(detail) for detail in error.details],
        "retryAfter": error.retry_after,
        "headers": error.headers,
    }


def _decode(document: dict[str, Any]) -> Any:
    if len(document) != 1:
        return document
    ((tag, value),) = document.items()
    if tag == _ARM:
        return _rebuild(value)
    if tag == _FOREIGN:
        return RecordedError(value["type"], value["text"])
    if tag == _TIME:
        return datetime.fromisoformat(value)
    return document


def _rebuild(fields: dict[str, Any]) -> ArmError:
    return ArmError(
        fields["code"],
        fields["message"],
        status=fields["status"],
        target=fields["target"],
        details=[_rebuild(detail) for detail in fields["details"]],
        retry_after=fields["retryAfter"],
        headers=fields["headers"],
    )
