"""A loopback AWS for the caller's tests: answers what a test tells it to, remembers what it was asked."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

Responder = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Seen:
    """A running server and what it was asked."""

    url: str
    requests: list[Asked] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)
    most_at_once: int = 0


@asynccontextmanager
async def serving(respond: Responder, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Seen]:
    """Serve on a free loopback port."""
    now = 0
    seen = Seen("")

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal now
        now += 1
        seen.most_at_once = max(seen.most_at_once, now)
        try:
            body = await request.read()
            headers = {key.lower(): value for key, value in request.headers.items()}
            seen.requests.append(Asked(request.method, request.path, dict(request.query), headers, body))
            seen.connections.add(request.transport)
            return await respond(request, body)
        finally:
            now -= 1

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    server = TestServer(app, scheme="https" if tls else "http")
    await server.start_server(ssl=tls)
    seen.url = f"{server.scheme}://127.0.0.1:{server.port}"
    try:
        yield seen
    finally:
        await server.close()
