"""The frame around every request: size limits, correlation headers, one rendering of errors, one place that logs what broke."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from isthmus.api.spans import route_of
from isthmus.api.wire import MAX_BODY, Incoming, Reply, failure
from isthmus.arm.errors import ArmError
from isthmus.arm.types import ResourceType
from isthmus.tracing import Tracing

Handler = Callable[[Incoming], Reply]
Endpoint = Callable[[Request], Awaitable[Response]]
Observe = Callable[[str, int, float], None]
Fail = Callable[[ArmError], Reply]

_METHODS = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"})
_log = structlog.get_logger("isthmus.api")


class Frame:
    """Turns synchronous handlers into endpoints. `hosts` are the names this server answers to; links use the request's if it is one.

    `types` are the rows that name requests in traces.
    """

    def __init__(self, *, public_url: str, hosts: frozenset[str], observe: Observe, tracing: Tracing | None = None) -> None:
        self._public_url = public_url
        self._hosts = hosts
        self._observe = observe
        self._tracing = tracing
        self.types: Mapping[str, ResourceType] = {}

    def endpoint(self, handler: Handler, fail: Fail = failure) -> Endpoint:
        """An endpoint around `handler`; the handler runs in a thread, since it uses the database. `fail` renders its errors."""

        async def answer(request: Request) -> Response:
            started = perf_counter()
            correlation = _correlation(request)
            try:
                incoming = await self._incoming(request, correlation)
                reply = await run_in_threadpool(self.reply, handler, incoming, fail)
            except ArmError as error:
                reply = fail(error)
            except ClientDisconnect:
                reply = Reply(status=499)
            self._observe(request.method, reply.status, perf_counter() - started)
            return self._response(request, reply, correlation)

        return answer if self._tracing is None else self._traced(answer, self._tracing)

    def _traced(self, endpoint: Endpoint, tracing: Tracing) -> Endpoint:
        async def answer(request: Request) -> Response:
            route = route_of(request.url.path, self.types)
            method = request.method if request.method in _METHODS else "_OTHER"
            attributes = {"http.request.method": method, "http.route": route, "url.scheme": request.url.scheme}
            with tracing.span(f"{method} {route}", "SERVER", attributes, parent=request.headers.get("traceparent", "")[:64]) as note:
                response = await endpoint(request)
                note("http.response.status_code", response.status_code)
                note("isthmus.correlation", response.headers["x-ms-correlation-request-id"])
            return response

        return answer

    def reply(self, handler: Handler, incoming: Incoming, fail: Fail = failure) -> Reply:
        """What the handler answers; what it raises as an answer. Everything that goes wrong ends here and is logged once."""
        try:
            return handler(incoming)
        except ArmError as error:
            if error.status >= 500:
                _log.error("request_failed", code=error.code, status=error.status, correlation=incoming.correlation, path=incoming.path)
            return fail(error)
        except Exception:  # noqa: BLE001 - the border of a request
            _log.exception("request_broke", method=incoming.method, path=incoming.path, correlation=incoming.correlation)
            said = f"Something broke here. The log has it under correlation id {incoming.correlation}."
            return fail(ArmError("InternalServerError", said, status=500))

    async def refuse(self, request: Request, error: Exception) -> Response:
        """What no route takes: a method that nobody offers, a path with a line break. Errors have one shape here too."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        reply = failure(
            ArmError("MethodNotAllowed", f"{request.method[:32]} is not offered here.", status=405)
            if status == 405
            else ArmError("NotFound", "Nothing here has this path. It may hold a line break.", status=404)
        )
        self._observe(request.method, reply.status, 0.0)
        return self._response(request, reply, _correlation(request))

    async def _incoming(self, request: Request, correlation: str) -> Incoming:
        host = request.headers.get("host", "")
        base = f"{request.url.scheme}://{host}" if host in self._hosts else self._public_url
        raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
        return Incoming(
            method=request.method,
            path=raw.split(b"?", 1)[0].decode("latin-1"),
            query=dict(request.query_params),
            headers=dict(request.headers.items()),
            body=await _read(request),
            base_url=base,
            correlation=correlation,
            raw_query=request.url.query,
            address=request.client.host if request.client else "",
        )

    def _response(self, request: Request, reply: Reply, correlation: str) -> Response:
        content = b"" if request.method == "HEAD" or reply.status in (204, 304) else reply.content()
        headers = {
            "x-ms-request-id": str(uuid.uuid4()),
            "x-ms-correlation-request-id": correlation,
            "x-ms-routing-request-id": f"ISTHMUS:{correlation}",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Strict-Transport-Security": "max-age=31536000",
            **reply.headers,
        }
        client_id = request.headers.get("x-ms-client-request-id", "")
        is_wanted = request.headers.get("x-ms-return-client-request-id", "").lower() == "true"
        if is_wanted and client_id and client_id.isascii() and client_id.isprintable():
            headers["x-ms-client-request-id"] = client_id[:128]
        if content and "Content-Type" not in headers:
            headers["Content-Type"] = "application/json; charset=utf-8"
        return Response(content, status_code=reply.status, headers=headers)


def _correlation(request: Request) -> str:
    given = request.headers.get("x-ms-correlation-request-id", "")
    try:
        return str(uuid.UUID(given))
    except ValueError:
        return str(uuid.uuid4())


async def _read(request: Request) -> bytes:
    """The body, at most 4 MiB; raises ArmError 413 as soon as it is known to be larger."""
    if request.method in ("GET", "HEAD"):
        return b""
    declared = request.headers.get("content-length", "0")
    size, chunks = 0, []
    if declared.isdigit() and int(declared) > MAX_BODY:
        raise _too_large()
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large() -> ArmError:
    return ArmError("RequestEntityTooLarge", f"The request body is larger than {MAX_BODY} bytes.", status=413)
