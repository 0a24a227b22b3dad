"""Calls to the control plane: JSON or forms over TLS, verified against one pinned CA or the system's."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from isthmus_agent import VERSION
from isthmus_agent.exits import AgentError, Exit

TIMEOUT = 30.0
"""Seconds for one connection, read or write."""
LARGEST = 1_000_000
"""Bytes of an answer that the agent is willing to read."""


class NetworkError(AgentError):
    """The control plane could not be reached, or broke off: the call may or may not have had its effect."""

    def __init__(self, message: str) -> None:
        super().__init__(Exit.NETWORK, message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An HTTP answer. `code` and `message` are set from an ARM or OAuth error body; `date` is the server's Date header."""

    status: int
    body: Mapping[str, Any]
    code: str = ""
    message: str = ""
    date: str = ""

    @property
    def ok(self) -> bool:
        """Whether the call did what it should."""
        return self.status == 200

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed later without anybody doing anything."""
        return self.status in (408, 425, 429) or self.status >= 500


class Caller(Protocol):
    """What the verbs and the service need of the network."""

    def post(self, url: str, body: Mapping[str, Any], *, bearer: str = "", form: bool = False) -> Answer:
        """POST and read the answer; raises NetworkError when none came."""
        ...

    def close(self) -> None:
        """Drop open connections."""
        ...


class Plane:
    """One caller with a kept connection per host. Not for use by several threads."""

    def __init__(self, ca: str, *, timeout: float = TIMEOUT) -> None:
        """`ca`: PEM of the only CA to trust, empty for the system's."""
        try:
            self._tls = ssl.create_default_context(cadata=ca or None)
        except ssl.SSLError as error:
            raise AgentError(Exit.CLOUD_CONFIG, "The CA in ISTHMUS_CA is not a PEM certificate.") from error
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._timeout = timeout
        self._open: dict[tuple[str, int], http.client.HTTPSConnection] = {}

    def post(self, url: str, body: Mapping[str, Any], *, bearer: str = "", form: bool = False) -> Answer:
        """POST JSON, or a form, and read the JSON answer.

        Nothing is ever sent twice: nonces and `jti` are good for one use, so whoever repeats a call makes a new statement.
        """
        headers = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        payload = urlencode(body) if form else json.dumps(body)
        return self._send("POST", url, payload.encode(), headers)

    def get(self, url: str) -> Answer:
        """GET without authentication; used to see whether the control plane is there."""
        return self._send("GET", url, b"", {})

    def _send(self, method: str, url: str, payload: bytes, headers: dict[str, str]) -> Answer:
        host, port, path = split_url(url)
        connection = self._open.pop((host, port), None)
        if connection is None:
            connection = http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)
        try:
            return self._exchange(connection, (host, port), method, path, payload, headers)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise NetworkError(f"{host}:{port} {reason(error)}") from error

    def _exchange(
        self,
        connection: http.client.HTTPSConnection,
        key: tuple[str, int],
        method: str,
        path: str,
        payload: bytes,
        headers: dict[str, str],
    ) -> Answer:
        agent = {"User-Agent": f"isthmus-agent/{VERSION}", "Accept": "application/json"}
        connection.request(method, path, body=payload if method == "POST" else None, headers=agent | headers)
        response = connection.getresponse()
        raw = response.read(LARGEST + 1)
        if response.will_close or len(raw) > LARGEST:
            connection.close()
        else:
            self._open[key] = connection
        return _answer(response.status, raw, response.getheader("Date", ""))

    def close(self) -> None:
        """Close kept connections; the next call opens new ones."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()


def split_url(url: str) -> tuple[str, int, str]:
    """Host, port and path with query of an https URL; AgentError 75 on anything else, so that nothing is ever sent in the clear."""
    parts = urlsplit(url)
    try:
        port = parts.port or 443
    except ValueError:
        port = 0
    if parts.scheme != "https" or not parts.hostname or not port or parts.username or parts.fragment:
        raise AgentError(Exit.CLOUD_CONFIG, f"{url!r} is not an https URL.")
    return parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _answer(status: int, raw: bytes, date: str) -> Answer:
    try:
        body = json.loads(raw) if raw and len(raw) <= LARGEST else {}
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    error = body.get("error") if status >= 400 else None
    if isinstance(error, dict):  # ARM: {"error": {"code", "message"}}
        return Answer(status=status, body=body, code=str(error.get("code", "")), message=str(error.get("message", "")), date=date)
    if isinstance(error, str):  # OAuth: {"error": code, "error_description": text} (RFC 6749 section 5.2)
        return Answer(status=status, body=body, code=error, message=str(body.get("error_description", "")), date=date)
    return Answer(status=status, body=body, date=date)


def reason(error: BaseException) -> str:
    """Why a connection failed, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"showed a certificate that is not trusted: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        return f"did not speak TLS: {error.reason}."
    if isinstance(error, socket.gaierror):
        return "is not a known host name."
    if isinstance(error, TimeoutError):
        return "did not answer in time."
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection."
    return f"broke off: {type(error).__name__}."
