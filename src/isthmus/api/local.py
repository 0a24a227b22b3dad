"""The API without a network, for faces in this process: an httpx transport that calls the ARM endpoint in the caller's thread."""

from __future__ import annotations

import uuid

import httpx

from isthmus.api.frame import Frame, Handler
from isthmus.api.wire import Incoming


class LocalTransport(httpx.BaseTransport):
    """Answers as the endpoint would over HTTPS: the same checks, errors and headers of errors. Give it to `isthmus.client.Client`."""

    def __init__(self, frame: Frame, handler: Handler, public_url: str) -> None:
        self._frame = frame
        self._handler = handler
        self._public_url = public_url

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request."""
        correlation = request.headers.get("x-ms-correlation-request-id", "") or str(uuid.uuid4())
        incoming = Incoming(
            method=request.method,
            path=request.url.raw_path.split(b"?", 1)[0].decode("latin-1"),
            query=dict(request.url.params.items()),
            headers=dict(request.headers.items()),
            body=request.read(),
            base_url=self._public_url,
            correlation=correlation,
        )
        reply = self._frame.reply(self._handler, incoming)
        return httpx.Response(reply.status, headers=dict(reply.headers), content=reply.content(), request=request)
