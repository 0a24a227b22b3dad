"""Calls to an ARM API: one request, lists over all pages, and long-running operations until their end.

Everything that goes wrong is an `ArmError`: the server's own, rebuilt with code, target and details, or one that says what to do.
"""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import parse

VERSIONS: Mapping[str, str] = {
    "microsoft.resources": "2024-11-01",
    "microsoft.authorization": "2022-04-01",
    "microsoft.hybridconnectivity": "2027-01-01",
    "microsoft.hybridcompute": "2026-07-15",
    "microsoft.awsconnector": "2024-12-01",
    "microsoft.kubernetes": "2024-12-01-preview",
}
"""api-version that is asked for when a call names none, by provider namespace; everything else is ours."""
OURS = "2026-11-01"

_ATTEMPTS = 4
_LONGEST_WAIT = 30.0
_BUSY = (429, 503)
_TERMINAL = ("succeeded", "failed", "canceled")

Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a call answered. `poll` is the URL of the operation it started (empty: it is done), `is_status` tells how that URL answers."""

    status: int
    body: Any = None
    poll: str = ""
    is_status: bool = False
    retry_after: float = 1.0
    etag: str = ""


class Client:
    """Calls a server as the owner of a token.

    `token` is asked before each request and keeps its own cache. `transport` replaces the network (in-process use); `verify` are
    files with CA certificates to trust besides the system's. Paths are ARM ids or absolute URLs of the same server; a call without an
    `api-version` uses the newest one this program knows. Reads and repeatable writes are repeated when the server is busy (429, 503).
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        *,
        transport: httpx.BaseTransport | None = None,
        verify: Sequence[Path] = (),
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.correlation = str(uuid.uuid4())
        self._token = token
        self._sleep = sleep
        self._http = http_client(self.base_url, transport=transport, verify=verify, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, *, version: str = "", query: Mapping[str, str] | None = None) -> Any:
        """The body of one resource."""
        return self._call("GET", path, version, query=query).body

    def fetch(self, path: str, *, version: str = "") -> Answer:
        """One resource with the ETag under which it can be changed."""
        return self._call("GET", path, version)

    def document(self, path: str) -> Any:
        """A public document that needs no token and has no api-version (discovery, keys, metadata)."""
        try:
            response = self._http.get(path)
        except httpx.TransportError as error:
            raise unreachable(self.base_url, error) from error
        if response.status_code != 200:
            raise error_of(response)
        return _parsed(response)

    def put(self, path: str, body: Mapping[str, Any], *, version: str = "", etag: str = "", is_new: bool = False) -> Answer:
        """Create or replace. With `etag` only if it is still that one; `*` only if it exists. `is_new`: only if it does not exist."""
        return self._call("PUT", path, version, body=body, headers={"If-None-Match": "*"} if is_new else _match(etag))

    def patch(self, path: str, body: Mapping[str, Any], *, version: str = "", etag: str = "") -> Answer:
        """Change what exists."""
        return self._call("PATCH", path, version, body=body, headers=_match(etag))

    def delete(self, path: str, *, version: str = "") -> Answer:
        """Delete; status 204 says that there was nothing."""
        return self._call("DELETE", path, version)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, version: str = "", etag: str = "") -> Answer:
        """Run an action: `{id}/{action}`. It is sent once only. `etag`: what it is about must still be that, where the action looks."""
        return self._call("POST", path, version, body=body, headers=_match(etag))

    def list(self, path: str, *, version: str = "", query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Every entry of a collection, page after page as they are read."""
        page = self._call("GET", path, version, query=query).body
        while True:
            yield from page.get("value") or ()
            following = page.get("nextLink")
            if not following:
                return
            page = self._call("GET", self._own(following), "").body

    def status(self, answer: Answer) -> Mapping[str, Any]:
        """The status document of the operation that an answer started, asked once; empty when it started none."""
        found = self.get(self._own(answer.poll)) if answer.is_status else None
        return found if isinstance(found, dict) else {}

    def wait(self, answer: Answer, tell: Tell | None = None, *, pause: float | None = None) -> Any:
        """Follow an operation to its end and answer what it made; at once when the answer started none.

        `tell` is given each status document. Between polls it waits as the server says, at most `pause` seconds where that is given.
        A server that is away for a while (a restart) is waited for. Raises the operation's ArmError when it failed or was cancelled.
        """
        if not answer.poll:
            return answer.body
        delay = answer.retry_after
        while True:
            self._sleep(delay if pause is None else min(delay, pause))
            polled = self._call("GET", self._own(answer.poll), "", patient=True)
            body = polled.body if isinstance(polled.body, dict) else {}
            if answer.is_status:
                if tell is not None:
                    tell(body)
                state = str(body.get("status", "")).lower()
                if state in _TERMINAL:
                    return _outcome(state, body)
            elif polled.status != 202:
                return polled.body
            delay = polled.retry_after

    def _call(
        self,
        method: str,
        path: str,
        version: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patient: bool = False,
    ) -> Answer:
        parameters = dict(query or {})
        if "api-version" not in parse_qs(urlsplit(path).query):
            parameters["api-version"] = version or version_for(path)
        content = None if body is None else orjson.dumps(body)
        sent = {"x-ms-correlation-request-id": self.correlation, **(headers or {})}
        if content is not None:
            sent["Content-Type"] = "application/json"
        for attempt in range(1, _ATTEMPTS + 1):
            response = self._send(method, path, parameters, content, sent, patient=patient)
            if response.status_code not in _BUSY or method in ("POST", "PATCH") or attempt == _ATTEMPTS:
                break
            self._sleep(_retry_after(response))
        if response.status_code >= 400:
            raise error_of(response)
        operation, location = response.headers.get("Azure-AsyncOperation", ""), response.headers.get("Location", "")
        return Answer(
            status=response.status_code,
            body=_parsed(response),
            poll=operation or (location if response.status_code == 202 else ""),
            is_status=bool(operation),
            retry_after=_retry_after(response),
            etag=response.headers.get("ETag", "").strip('"'),
        )

    def _send(
        self, method: str, path: str, parameters: Mapping[str, str], content: bytes | None, headers: Mapping[str, str], *, patient: bool
    ) -> httpx.Response:
        """One request. With `patient`, a server that is not there is asked again for a minute."""
        for remaining in range(60 if patient else 0, -1, -1):
            try:
                bearer = {"Authorization": f"Bearer {self._token()}"}
                return self._http.request(method, path, params=parameters or None, content=content, headers={**headers, **bearer})
            except httpx.TransportError as error:
                if not remaining:
                    raise unreachable(self.base_url, error) from error
            except ArmError as error:
                if not remaining or error.code != "ServerNotReachable":
                    raise
            self._sleep(1.0)
        raise AssertionError("the last attempt answers or raises")

    def _own(self, url: str) -> str:
        """A link of the server as a path of this client: the token goes to nobody else."""
        found = urlsplit(url)
        own = urlsplit(self.base_url)
        if found.netloc and (found.scheme, found.netloc) != (own.scheme, own.netloc):
            raise ArmError("ForeignLink", f"The server at {self.base_url} answered with a link to '{found.netloc}', which is not followed.")
        return f"{found.path}?{found.query}" if found.query else found.path


def http_client(base_url: str, *, transport: httpx.BaseTransport | None, verify: Sequence[Path], timeout: float = 60.0) -> httpx.Client:
    """An HTTP client for a server: no redirects, no proxy for loopback, the system's CAs and those of `verify`."""
    host = urlsplit(base_url).hostname or ""
    local = host == "localhost" or host.startswith("127.") or host == "::1"
    if transport is None and urlsplit(base_url).scheme != "https":
        raise ArmError("InsecureUrl", f"'{base_url}' is not an https URL; tokens travel encrypted only. Use https.", target="url")
    if transport is not None:
        return httpx.Client(base_url=base_url, transport=transport, follow_redirects=False, trust_env=False)
    return httpx.Client(
        base_url=base_url,
        verify=_trust(tuple((file, _stamp(file)) for file in verify)),
        timeout=httpx.Timeout(timeout, connect=10.0),
        follow_redirects=False,
        trust_env=not local,
    )


@cache
def _trust(files: tuple[tuple[Path, int], ...]) -> ssl.SSLContext:
    """The system's CAs and those of some files. Kept while the files stay as they are: reading hundreds of certificates takes a while."""
    context = ssl.create_default_context()
    for file, _ in files:
        try:
            context.load_verify_locations(file)
        except (OSError, ssl.SSLError) as error:
            raise ArmError(
                "UnreadableCertificate",
                f"The CA file '{file}' cannot be read: {error}. Name another with --ca or ISTHMUS_CA_FILE.",
                target="ca",
            ) from error
    return context


def _stamp(file: Path) -> int:
    """Changes when the file is replaced; 0 when there is none."""
    with suppress(OSError):
        return file.stat().st_mtime_ns
    return 0


def version_for(path: str) -> str:
    """The api-version for a path, by the namespace of its last provider."""
    namespace = parse(urlsplit(path).path).namespace.lower()
    return VERSIONS.get(namespace, OURS)


def error_of(response: httpx.Response) -> ArmError:
    """The server's error, rebuilt; something readable when the answer is none of ARM's."""
    body = _parsed(response)
    found = body.get("error") if isinstance(body, dict) else None
    if isinstance(found, dict):
        return _rebuilt(found, response.status_code)
    if isinstance(found, str):
        return ArmError(_oauth_code(found), str(body.get("error_description") or found), status=response.status_code)
    return ArmError(
        "UnexpectedAnswer", f"The server answered {response.status_code} {response.reason_phrase}.", status=response.status_code
    )


def unreachable(base_url: str, error: Exception) -> ArmError:
    """What a failed connection means for a person."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        reason = "its certificate is not trusted. Name its CA file with --ca or ISTHMUS_CA_FILE, or the server's data folder with --data"
    else:
        reason = "no connection. Is the server running? Start it with 'isthmus serve', or name another with --url"
    return ArmError("ServerNotReachable", f"{base_url}: {reason}. ({type(error).__name__}: {error})", status=503, target=base_url)


def _rebuilt(found: Mapping[str, Any], status: int) -> ArmError:
    details = found.get("details")
    return ArmError(
        str(found.get("code") or "UnexpectedAnswer"),
        str(found.get("message") or "The server gave no message."),
        status=status,
        target=found.get("target"),
        details=[_rebuilt(detail, status) for detail in details if isinstance(detail, dict)] if isinstance(details, list) else (),
    )


def _outcome(state: str, body: Mapping[str, Any]) -> Any:
    if state == "succeeded":
        return body.get("properties")
    error = body.get("error")
    if isinstance(error, dict):
        raise _rebuilt(error, 409)
    raise ArmError("OperationFailed", f"The operation ended as {body.get('status')} and gave no reason.", status=409)


def _oauth_code(name: str) -> str:
    """`invalid_client` as the code `InvalidClient`."""
    return "".join(part.capitalize() for part in name.split("_"))


def _parsed(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None


def _retry_after(response: httpx.Response) -> float:
    given = response.headers.get("Retry-After", "")
    return min(float(given), _LONGEST_WAIT) if given.isascii() and given.isdigit() else 1.0


def _match(etag: str) -> dict[str, str] | None:
    return {"If-Match": _quoted(etag)} if etag else None


def _quoted(etag: str) -> str:
    return etag if etag == "*" or etag.startswith('"') else f'"{etag}"'
