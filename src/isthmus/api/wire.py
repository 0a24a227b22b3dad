"""Requests and replies, free of the web framework: what came in, what goes out, and how a body is read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from isthmus.arm.errors import ArmError, invalid

MAX_BODY = 4 * 1024 * 1024
MAX_DEPTH = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Incoming:
    """One request. `path` is raw (percent-escapes intact), header names are lower case, `base_url` has no trailing slash.

    `raw_query` is the query as it came, with what is given twice; `address` is from where, empty when that is this process.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    base_url: str
    correlation: str
    raw_query: str = ""
    address: str = ""

    def json(self) -> Any:
        """The body as JSON, None when empty; raises ArmError 400 for what is not JSON or is nested deeper than 64 levels."""
        if not self.body.strip():
            return None
        try:
            parsed = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise invalid(f"The request body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
        if _is_deep(parsed):
            raise invalid(f"The request body is nested deeper than {MAX_DEPTH} levels.")
        return parsed

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; raises ArmError 400 when it is missing or something else."""
        parsed = self.json()
        if not isinstance(parsed, dict):
            raise invalid("The request needs a body that is a JSON object.")
        return parsed


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One answer. `body` is JSON-shaped; None with `null` set sends the four characters `null`, else nothing. `text` is sent as it is."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    null: bool = False
    text: str = ""

    def content(self) -> bytes:
        """The bytes of the body."""
        if self.text:
            return self.text.encode()
        if self.body is None:
            return b"null" if self.null else b""
        return orjson.dumps(self.body)


def failure(error: ArmError) -> Reply:
    """The one rendering of an error."""
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return Reply(status=error.status, body={"error": error.body()}, headers=headers)


def link(base_url: str, path: str, query: Mapping[str, str]) -> str:
    """An absolute URL on the host of the request."""
    pairs = "&".join(f"{quote(name, safe='$-')}={quote(value, safe='')}" for name, value in query.items())
    return f"{base_url}{quote(path, safe='/*:@!$()+,;=~-._')}" + (f"?{pairs}" if pairs else "")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True
