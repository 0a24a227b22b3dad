"""The agent: answers AWS' SDKs on this computer with credentials of its person, by the protocol of container credentials.

It listens on 127.0.0.1 alone, under a token that only files of its person hold; a web page that reaches the port has neither the token nor
the right Host. Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
"""

from __future__ import annotations

import hmac
import http.server
import json
import os
import secrets
import socket
import stat
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from isthmus.arm.errors import ArmError
from isthmus.cli.aws.cache import Cache
from isthmus.client.private import write_private

IDLE_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Whereabouts:
    """Where an agent listens and the token that it answers to, as its file in the cache folder says (mode 0600)."""

    port: int
    pid: int
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def write(self, path: Path) -> None:
        """Leave the file, and one with the token alone, which SDKs read."""
        write_private(path, json.dumps(asdict(self)))
        write_private(token_file(path), self.token)


def token_file(path: Path) -> Path:
    """The file with the token alone."""
    return path.with_suffix(".token")


def find_agent(path: Path) -> Whereabouts | None:
    """The agent that the file names and that listens; None when there is none. Files that others could have written say nothing."""
    try:
        seen = path.lstat()
        if stat.S_IMODE(seen.st_mode) & 0o077 or seen.st_uid != os.geteuid() or not stat.S_ISREG(seen.st_mode):
            return None
        found = json.loads(path.read_text())
        there = Whereabouts(port=int(found["port"]), pid=int(found["pid"]), token=str(found["token"]))
        with socket.create_connection(("127.0.0.1", there.port), timeout=1):
            return there
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Agent:
    """One agent. `serve` blocks until nobody has asked for an hour, or `close` is called from another thread."""

    def __init__(self, cache: Cache, clock: Callable[[], float], *, token: str = "", idle_seconds: float = IDLE_SECONDS) -> None:
        self.token = token or secrets.token_urlsafe(32)
        self._cache = cache
        self._clock = clock
        self._idle = idle_seconds
        self._asked_at = clock()
        self._ended = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _answers(self))
        self._server.daemon_threads = True
        self.port = int(self._server.server_port)

    @property
    def whereabouts(self) -> Whereabouts:
        """Where it is."""
        return Whereabouts(port=self.port, pid=os.getpid(), token=self.token)

    def serve(self) -> None:
        """Answer until it is idle or closed."""
        thread = threading.Thread(target=self._server.serve_forever, name="isthmus-agent", daemon=True)
        thread.start()
        while not self._ended.wait(min(30.0, self._idle)):
            if self._clock() - self._asked_at > self._idle:
                break
        self._server.shutdown()
        self._server.server_close()
        thread.join()

    def close(self) -> None:
        """End it."""
        self._ended.set()

    def answer(self, path: str, host: str, authorization: str) -> tuple[int, dict[str, Any]]:
        """Status and body for one request; nothing is said to who has not the token."""
        if host not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return HTTPStatus.FORBIDDEN, {"code": "Forbidden", "message": "This agent answers to 127.0.0.1 alone."}
        if not hmac.compare_digest(authorization.encode(errors="replace"), self.token.encode()):
            return HTTPStatus.UNAUTHORIZED, {"code": "Unauthorized", "message": "The authorization token is not this agent's."}
        self._asked_at = self._clock()
        role = unquote(urlsplit(path).path.strip("/"))
        try:
            made = self._cache.get(role)
        except ArmError as error:
            return error.status, {"code": error.code, "message": error.message}
        body = {
            "AccessKeyId": made.access_key,
            "SecretAccessKey": made.secret_key,
            "Token": made.session_token,
            "Expiration": made.expiration,
        }
        return HTTPStatus.OK, body


def _answers(agent: Agent) -> type[http.server.BaseHTTPRequestHandler]:
    class Answers(http.server.BaseHTTPRequestHandler):
        """GET /<role>; everything else is 501 by the base class."""

        protocol_version = "HTTP/1.1"
        server_version, sys_version = "isthmus", ""

        def do_GET(self) -> None:
            """Answer."""
            status, body = agent.answer(self.path, self.headers.get("Host", ""), self.headers.get("Authorization", ""))
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(text))), ("Cache-Control", "no-store")):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing is logged: paths name roles."""

    return Answers
