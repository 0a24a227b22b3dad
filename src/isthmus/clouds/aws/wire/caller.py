"""The caller: one HTTP exchange with AWS per call, on connections that all accounts share."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from isthmus.clouds.aws.wire.answers import Answer, read_answer, refusal, true_time
from isthmus.clouds.aws.wire.credentials import Credentials
from isthmus.clouds.aws.wire.endpoints import Endpoints, addressed
from isthmus.clouds.aws.wire.errors import AwsError, AwsTransportError, TransportReason
from isthmus.clouds.aws.wire.models import Operation
from isthmus.clouds.aws.wire.models import operation as find_operation
from isthmus.clouds.aws.wire.paging import Cursor
from isthmus.clouds.aws.wire.sign import Signer, encoded_query

MAX_BODY = 10 * 1024 * 1024
PER_HOST = 64
_CONNECT = 10.0
_KEEP_ALIVE = 20.0
_KEEP_ALIVE_BUCKET = 2.0  # every bucket is a host of its own, and a thousand idle connections would use up our file descriptors
_BUFFER = 1024 * 1024
_CHUNK = 256 * 1024


Trace = Callable[[str, str, str], AbstractContextManager[Callable[[int], None]]]


class Wire:
    """Calls AWS. One per process and event loop; it owns the TLS context and the connections.

    `environ` gives the standard AWS settings `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` and
    `AWS_CA_BUNDLE`; nothing else of it is read. `clock` is epoch seconds, `timeout` seconds for one exchange, not counting the wait for
    a free connection. `calls` counts what was sent by (service, operation, region). Settings that cannot be right raise ValueError.
    `trace` is entered around each exchange, given the same three, and its result told the HTTP status.
    """

    def __init__(
        self, *, environ: Mapping[str, str], clock: Callable[[], float], timeout: float = 60.0, trace: Trace | None = None
    ) -> None:
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self._trace = trace
        self._endpoints = Endpoints(environ)
        self._bundle = environ.get("AWS_CA_BUNDLE") or None
        if self._bundle is not None and not Path(self._bundle).is_file():
            raise ValueError(f"AWS_CA_BUNDLE names no file: {self._bundle!r}")
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(_CONNECT, timeout))
        self._signer = Signer()
        self._ahead = 0.0
        self._context: ssl.SSLContext | None = None
        self._sessions: dict[float, aiohttp.ClientSession] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._fixed = {"user-agent": f"isthmus/{version('isthmus')}", "accept-encoding": "identity"}

    async def call(self, operation: str, params: Mapping[str, Any], *, region: str, credentials: Credentials | None) -> dict[str, Any]:
        """One HTTP exchange: no retry, no paging. `credentials=None` sends it unsigned. Timestamps stay text, blobs base64 text.

        Raises AwsError for what AWS refuses, AwsTransportError when no usable answer comes, ValueError for an unknown operation or
        parameters that its model does not allow. A signature refused because of our clock is always `RequestTimeTooSkewed`; the next
        call is signed with AWS' time.
        """
        found = find_operation(operation)
        answer = await self.send(found, params, region=region, credentials=credentials)
        return self.read(found, answer, region=region)

    async def pages(
        self, operation: str, params: Mapping[str, Any], *, region: str, credentials: Credentials
    ) -> AsyncIterator[dict[str, Any]]:
        """Every page of a list, asked for at the largest size the model allows. A page may be empty and still have a successor.

        Raises AwsError `RepeatedToken` when a token comes a second time, and what `call` raises.
        """
        found = find_operation(operation)
        cursor = Cursor(found, params, region=region)
        while cursor.params is not None:
            page = await self.call(operation, cursor.params, region=region, credentials=credentials)
            cursor.advance(page)
            yield page

    async def close(self) -> None:
        """Close all connections. A later call opens new ones."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def send(self, operation: Operation, params: Mapping[str, Any], *, region: str, credentials: Credentials | None) -> Answer:
        """The exchange alone: whatever HTTP answer came, unread, so that an unchanged page can be recognised before it is parsed."""
        draft = operation.write(params)
        service = operation.service
        place = self._endpoints.find(service, region)
        host, path = addressed(place, prefix=draft.prefix, bucket=draft.bucket, path=draft.path)
        query = f"?{encoded_query(draft.query)}" if draft.query else ""
        url = URL(f"{place.scheme}://{host}{path}{query}", encoded=True)
        slot = self._slots.get(place.host)
        if slot is None:
            slot = self._slots[place.host] = asyncio.Semaphore(PER_HOST)
        session = self._session(_KEEP_ALIVE if host == place.host else _KEEP_ALIVE_BUCKET)
        async with slot:  # signed only now, since a signature lives for minutes and the wait may be long
            now = 0.0 if credentials is None else self._clock() + self._ahead
            if credentials is None:
                headers = {**draft.headers, "host": host}
            else:
                headers = self._signer.sign(draft, service, host=host, path=path, region=place.region, credentials=credentials, now=now)
            headers.update(self._fixed)
            called = service.name, operation.name.partition(":")[2], region
            self.calls[called] += 1
            try:
                if self._trace is None:
                    return (await _exchange(session, draft.method, url, headers, draft.body))._replace(signed=now)
                with self._trace(*called) as tell:
                    answer = await _exchange(session, draft.method, url, headers, draft.body)
                    tell(answer.status)
                return answer._replace(signed=now)
            except _TooLarge:
                raise AwsTransportError(
                    operation=operation.name, region=region, reason="too-large", detail=f"more than {MAX_BODY} bytes"
                ) from None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise AwsTransportError(
                    operation=operation.name, region=region, reason=_reason(error), detail=f"{host}: {error}"
                ) from error

    def read(self, operation: Operation, answer: Answer, *, region: str) -> dict[str, Any]:
        """What an answer says; raises AwsError where it refuses."""
        if answer.status < 300:
            return read_answer(operation, answer, region=region)
        error = refusal(operation, answer, region=region)
        time = true_time(error, answer)
        if time is not None:
            self._ahead = time - self._clock()
            raise AwsError(
                code="RequestTimeTooSkewed", message=error.message, status=error.status, operation=error.operation, region=region
            )
        raise error

    def _session(self, keep_alive: float) -> aiohttp.ClientSession:
        session = self._sessions.get(keep_alive)
        if session is None:
            if self._context is None:
                self._context = ssl.create_default_context(cafile=self._bundle)
            session = self._sessions[keep_alive] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._context, limit=0, keepalive_timeout=keep_alive, ttl_dns_cache=300),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Content-Type",),
                read_bufsize=_BUFFER,
            )
        return session


async def _exchange(session: aiohttp.ClientSession, method: str, url: URL, headers: Mapping[str, str], body: bytes) -> Answer:
    async with session.request(method, url, headers=headers, data=body or None, allow_redirects=False) as response:
        length = response.content_length
        if length is not None and length > MAX_BODY:
            response.close()
            raise _TooLarge
        is_bounded = length is not None and "Content-Encoding" not in response.headers
        content = await (response.read() if is_bounded else _bounded(response))
        return Answer(response.status, {key.lower(): value for key, value in response.headers.items()}, content)


class _TooLarge(Exception):
    pass


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """A body whose length is not known beforehand, up to the cap."""
    parts, size = [], 0
    async for part in response.content.iter_chunked(_CHUNK):
        size += len(part)
        if size > MAX_BODY:
            response.close()
            raise _TooLarge
        parts.append(part)
    return b"".join(parts)


def _reason(error: BaseException) -> TransportReason:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "dns"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "truncated"
    return "connect"
