"""A page on loopback that leads one visitor to an address that is a secret.

A browser's arguments can be read by others on a computer, so they name this page, which is good for one visit and some seconds.
"""

from __future__ import annotations

import hmac
import http.server
import secrets
import threading
from http import HTTPStatus


class Redirect:
    """Leads to `address`, once. A context: it listens as long as it is entered."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._path = f"/{secrets.token_urlsafe(32)}"
        self._turn = threading.Lock()
        self._visited = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _answers(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="isthmus-redirect", daemon=True
        )

    def __enter__(self) -> Redirect:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where the browser is to go."""
        return f"http://127.0.0.1:{self._server.server_port}{self._path}"

    def wait(self, seconds: float) -> bool:
        """Wait for the visitor; whether one came."""
        return self._visited.wait(seconds)

    def lead(self, path: str, host: str) -> str:
        """The address for a first visitor of the right page; empty for everybody else."""
        if host != f"127.0.0.1:{self._server.server_port}" or not hmac.compare_digest(path.encode(), self._path.encode()):
            return ""
        with self._turn:
            address, self._address = self._address, ""
        return address

    def end(self) -> None:
        """The visitor has been answered."""
        self._visited.set()


def _answers(redirect: Redirect) -> type[http.server.BaseHTTPRequestHandler]:
    class Answers(http.server.BaseHTTPRequestHandler):
        """GET; everything else is 501 by the base class."""

        server_version, sys_version = "isthmus", ""

        def do_GET(self) -> None:
            """Answer."""
            address = redirect.lead(self.path, self.headers.get("Host", ""))
            self.send_response(HTTPStatus.FOUND if address else HTTPStatus.NOT_FOUND)
            if address:
                self.send_header("Location", address)
            for name, value in (("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"), ("Content-Length", "0")):
                self.send_header(name, value)
            self.end_headers()
            if address:
                self.wfile.flush()
                redirect.end()

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    return Answers
