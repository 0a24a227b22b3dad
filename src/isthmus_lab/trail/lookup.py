"""LookupEvents: the newest 90 days of an account's management events in a region, newest first, by at most one attribute.

Its limit of two requests per second is not modelled.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.hooks import Handler, Headers, Query
from isthmus_lab.trail.entry import Entry
from isthmus_lab.trail.store import Store
from isthmus_lab.world import Response

_JSON = {"Content-Type": "application/x-amz-json-1.1"}
_DAYS = 90 * 86_400
_PAGE = 50

ATTRIBUTES: Mapping[str, Callable[[Entry, str], bool]] = {
    "EventId": lambda entry, value: entry.event_id == value,
    "EventName": lambda entry, value: entry.event_name == value,
    "ReadOnly": lambda entry, value: entry.is_read_only is (value == "true"),
    "Username": lambda entry, value: entry.user_name == value,
    "ResourceType": lambda entry, value: entry.is_about(kind=value),
    "ResourceName": lambda entry, value: entry.is_about(name=value),
    "EventSource": lambda entry, value: entry.event_source == value,
    "AccessKeyId": lambda entry, value: entry.access_key == value,
}


class LookupRefusedError(Exception):
    """CloudTrail refuses; `code` is its error code, answered with HTTP 400."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Lookup:
    """The wrapper around ministack's CloudTrail, which keeps the trails."""

    def __init__(self, adapter: Adapter, store: Store) -> None:
        self._adapter, self._store = adapter, store

    async def __call__(self, method: str, path: str, headers: Headers, body: bytes, query: Query, inner: Handler) -> Response:
        if headers.get("x-amz-target", "").rpartition(".")[2] != "LookupEvents":
            return await inner(method, path, headers, body, query)
        try:
            request = json.loads(body or b"{}")
            return 200, dict(_JSON), json.dumps(self.look_up(request)).encode()
        except LookupRefusedError as error:
            return 400, dict(_JSON), json.dumps({"__type": error.code, "message": error.message}).encode()
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            return 400, dict(_JSON), json.dumps({"__type": "SerializationException", "message": str(error)}).encode()

    def look_up(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One page; LookupRefusedError where the request breaks a rule."""
        size = request.get("MaxResults", _PAGE)
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= _PAGE:
            raise LookupRefusedError(
                "InvalidMaxResultsException", f"A MaxResults value of {size} is invalid. Specify between 1 and 50 results."
            )
        start, end = request.get("StartTime"), request.get("EndTime")
        if start is not None and end is not None and start > end:
            raise LookupRefusedError("InvalidTimeRangeException", "The time range is not valid: the start time is after the end time.")
        is_wanted = _filter(request.get("LookupAttributes") or [])
        mark = _mark(request)
        below = _read_token(request["NextToken"], mark) if request.get("NextToken") else None
        oldest = max(start or 0, self._adapter.clock() - _DAYS)
        rows: list[Entry] = []
        if request.get("EventCategory") == "insight":
            return {"Events": []}
        for entry in self._store.newest_first(self._adapter.account(), self._adapter.region()):
            if entry.at < oldest:
                break
            if (below is not None and entry.number >= below) or (end is not None and entry.at > end) or not is_wanted(entry):
                continue
            if len(rows) == size:
                token = base64.urlsafe_b64encode(f"{mark}:{rows[-1].number}".encode()).decode()
                return {"Events": [_row(one) for one in rows], "NextToken": token}
            rows.append(entry)
        return {"Events": [_row(one) for one in rows]}


def _filter(attributes: list[Mapping[str, str]]) -> Callable[[Entry], bool]:
    if not attributes:
        return lambda entry: True
    if len(attributes) > 1:
        raise LookupRefusedError("InvalidLookupAttributesException", "You can specify only one lookup attribute.")
    key, value = attributes[0].get("AttributeKey", ""), attributes[0].get("AttributeValue", "")
    if key not in ATTRIBUTES or not 1 <= len(value) <= 2000:
        raise LookupRefusedError("InvalidLookupAttributesException", f"The lookup attribute {key} is not valid.")
    matches = ATTRIBUTES[key]
    return lambda entry: matches(entry, value)


def _mark(request: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in request.items() if name not in ("NextToken", "MaxResults")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


def _read_token(token: str, mark: str) -> int:
    try:
        found, number = base64.urlsafe_b64decode(token.encode()).decode().split(":")
        if found == mark:
            return int(number)
    except (ValueError, binascii.Error):
        pass
    raise LookupRefusedError("InvalidNextTokenException", "The token is invalid: use the parameters of the request that gave it.")


def _row(entry: Entry) -> dict[str, Any]:
    key = {"AccessKeyId": entry.access_key} if entry.access_key else {}
    return {
        "EventId": entry.event_id,
        "EventName": entry.event_name,
        "ReadOnly": "true" if entry.is_read_only else "false",
        **key,
        "EventTime": entry.at,
        "EventSource": entry.event_source,
        "Username": entry.user_name,
        "Resources": [{"ResourceType": kind, "ResourceName": name} for kind, name in entry.resources()],
        "CloudTrailEvent": json.dumps(entry.event()),
    }
