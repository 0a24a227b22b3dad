"""HTTP requests and answers as the lab's own parts take and give them, over ASGI."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from isthmus_lab.adapter.requests import Receive, Scope, Send
from isthmus_lab.hooks import Headers, Query
from isthmus_lab.world import Response


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One HTTP request, read whole. Header names are lower case."""

    method: str
    path: str
    headers: Headers
    query: Query
    body: bytes


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Read a request to its end."""
    headers: Headers = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return Request(method=scope["method"], path=scope["path"], headers=headers, query=query, body=b"".join(parts))


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which was read already."""
    pending: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return pending.pop() if pending else await receive()

    return again


async def send_answer(send: Send, response: Response) -> None:
    """Send a whole answer."""
    status, headers, body = response
    names = {name.lower(): value for name, value in headers.items()} | {"content-length": str(len(body))}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in names.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def break_off(send: Send) -> None:
    """Promise more than is sent: the server closes the connection, the client sees a truncated answer."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
    await send({"type": "http.response.body", "body": b"<", "more_body": True})


def json_answer(status: int, value: object) -> Response:
    """An answer in JSON."""
    return status, {"content-type": "application/json"}, json.dumps(value).encode()
