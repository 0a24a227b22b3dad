"""Where a browser brings the answer to a sign-in of the command line: a page on loopback that takes one answer (RFC 8252 7.3)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from isthmus.arm.errors import ArmError

_PAGE = "<!doctype html><html lang=en><meta charset=utf-8><title>Isthmus</title><p>{}</p></html>"
_DONE = "The command line has its answer. You can close this page and go back to the terminal."
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Content-Type": "text/html; charset=utf-8",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Loopback:
    """Listens on a free port of 127.0.0.1 while inside. What does not carry `state` is turned away and waited past."""

    def __init__(self, state: str) -> None:
        self._answers: queue.Queue[Mapping[str, str]] = queue.Queue(maxsize=1)
        answers = self._answers

        class Listener(BaseHTTPRequestHandler):
            """Takes the answer."""

            timeout = 10.0

            def do_GET(self) -> None:
                """The browser's visit. Nothing that it brought is shown."""
                parts = urlsplit(self.path)
                if self.headers.get("Host") != here or parts.path != "/callback":
                    return self._say(404, "Nothing is here.")
                pairs = parse_qsl(parts.query, keep_blank_values=True)
                answer = dict(pairs)
                if len(answer) != len(pairs) or not compare_digest(answer.get("state", "").encode(errors="replace"), state.encode()):
                    return self._say(400, "This is not the answer that the command line waits for.")
                try:
                    answers.put_nowait(answer)
                except queue.Full:
                    return self._say(400, "The command line has had its answer.")
                return self._say(200, _DONE)

            def _say(self, status: int, text: str) -> None:
                content = _PAGE.format(text).encode()
                self.send_response(status)
                for name, value in {**_HEADERS, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Be quiet: a request names the code."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
        here = f"127.0.0.1:{self._server.server_port}"
        self.redirect_uri = f"http://{here}/callback"
        """Where the browser is to come."""
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float) -> Mapping[str, str]:
        """The answer's parameters; ArmError `SignInExpired` when none comes in time."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            raise ArmError("SignInExpired", "Nobody signed in within five minutes. Run 'isthmus login' again.", status=401) from None
