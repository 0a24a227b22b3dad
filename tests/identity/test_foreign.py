"""Servers that are not ours get little of our memory and time."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from isthmus.arm.errors import ArmError
from isthmus.identity.federation import IssuerKeys
from isthmus.identity.foreign import LIMIT, fetch, send, trusting
from isthmus.keys import LocalAuthority
from tests.identity.parties import TestKey
from tests.identity.web import Web
from tests.support.clock import Clock
from tests.support.waiting import LOADED

ISSUER = "https://token.actions.test"


class Server(http.server.ThreadingHTTPServer):
    """`sent` counts the bytes of a body that has no end; `ended` ends every drip."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sent = 0
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        with contextlib.suppress(OSError):
            getattr(self, f"_{self.path[1:]}")()

    def do_POST(self) -> None:
        """Says back what it was sent; `moved` leads elsewhere, the others never end or are no answers."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with contextlib.suppress(OSError):
            if self.path == "/echo":
                self._begin(status=401)
                kept = {name: self.headers.get(name) for name in ("Authorization", "Content-Type", "Accept-Encoding")}
                self.wfile.write(json.dumps({**kept, "body": body.decode()}).encode())
            else:
                getattr(self, f"_{self.path[1:]}")()

    def _begin(self, *headers: tuple[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _good(self) -> None:
        self._begin()
        self.wfile.write(b"{}" + b" " * (LIMIT - 2))

    def _endless(self) -> None:
        self._begin()
        while not self.server.ended.is_set():
            self.server.sent += self.wfile.write(b" " * 65_536)

    def _moved(self) -> None:
        self._begin(("Location", "/good"), status=302)

    def _missing(self) -> None:
        self._begin(status=404)

    def _packed(self) -> None:
        self._begin(("Content-Encoding", "gzip"))

    def _body_in_drops(self) -> None:
        self._begin()
        self._drip(b" ")

    def _headers_in_drops(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\n")
        self._drip(b"X-More: x\r\n")

    def _drip(self, drop: bytes) -> None:
        while not self.server.ended.wait(0.05):
            self.wfile.write(drop)
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_document_of_the_largest_size_is_read(server: Server) -> None:
    assert len(fetch(f"{server.url}/good")) == LIMIT


@pytest.mark.parametrize("path", ["moved", "missing", "packed"])
def test_odd_answers_are_no_documents(server: Server, path: str) -> None:
    with pytest.raises(OSError, match="answered"):
        fetch(f"{server.url}/{path}")


def test_an_endless_document_is_left_early(server: Server) -> None:
    with pytest.raises(OSError, match="more than"):
        fetch(f"{server.url}/endless")
    assert server.sent < 64 * LIMIT, "what the sockets buffer, not what the server has"


@pytest.mark.parametrize("path", ["body_in_drops", "headers_in_drops"])
def test_a_server_that_never_ends_is_left_in_time(server: Server, path: str) -> None:
    started = time.monotonic()
    with pytest.raises(OSError) as caught:
        fetch(f"{server.url}/{path}", seconds=0.4)
    # The time for all of it ends first; when this machine stands still, that for the next drop has ended as well.
    assert isinstance(caught.value, TimeoutError) or isinstance(caught.value.__cause__, httpx.TimeoutException)
    assert time.monotonic() - started < 3 * LOADED


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[", "nonsense:"])
def test_addresses_that_lead_nowhere(url: str) -> None:
    with pytest.raises(OSError, match=r"\S"):
        fetch(url)


def test_a_form_is_sent_and_every_status_is_an_answer(server: Server) -> None:
    said = send("POST", f"{server.url}/echo", form={"a": "b c&d", "e": "ä"}, headers={"Authorization": "Basic eA=="})
    assert said.status == 401
    assert json.loads(said.body) == {
        "Authorization": "Basic eA==",
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept-Encoding": "identity",
        "body": "a=b+c%26d&e=%C3%A4",
    }
    assert "Basic" not in repr(said)


def test_a_form_is_carried_nowhere_else(server: Server) -> None:
    assert send("POST", f"{server.url}/moved", form={"code": "x"}).status == 302


@pytest.mark.parametrize(("path", "reason"), [("endless", "more than 4096"), ("packed", "gzip"), ("body_in_drops", "")])
def test_answers_to_a_form_are_bounded_too(server: Server, path: str, reason: str) -> None:
    with pytest.raises(OSError, match=reason or None):
        send("POST", f"{server.url}/{path}", form={"code": "x"}, limit=4096, seconds=0.4)


def test_a_ca_file_is_trusted_besides_the_systems(tmp_path: Path) -> None:
    assert trusting(None) is None
    ca = LocalAuthority(tmp_path / "keys", clock=time.time).ca_path
    context = trusting(ca)
    assert context is not None
    usual = ssl.create_default_context().cert_store_stats()["x509_ca"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509_ca"] == usual + 1
    for content in (b"no certificate", None):
        bad = tmp_path / "bad.pem"
        bad.unlink(missing_ok=True) if content is None else bad.write_bytes(content)
        with pytest.raises(ArmError, match=r"bad\.pem") as caught:
            trusting(bad)
        assert caught.value.code == "UnreadableCertificate"


def test_an_issuer_is_asked_by_one_caller_at_a_time(web: Web, clock: Clock, key_of: object) -> None:
    assert callable(key_of)
    key: TestKey = key_of("foreign")
    web.publish(f"{ISSUER}/.well-known/openid-configuration", {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"})
    web.publish(f"{ISSUER}/keys", {"keys": [key.jwk]})
    may_go, callers = threading.Event(), 8
    found: list[int] = []

    def slowly(address: str) -> bytes:
        assert may_go.wait(10)
        return web.fetch(address)

    keys = IssuerKeys(slowly, clock)
    threads = [threading.Thread(target=lambda: found.append(len(keys.keys(ISSUER, "foreign")))) for _ in range(callers)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    may_go.set()
    for thread in threads:
        thread.join()
    assert found == [1] * callers
    assert len(web.asked) == 2, "its configuration and its keys"


def test_a_fetch_that_breaks_leaves_nobody_waiting(web: Web, clock: Clock) -> None:
    def broken(address: str) -> bytes:
        raise RuntimeError(address)

    keys = IssuerKeys(broken, clock)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            keys.keys(ISSUER, "x")
