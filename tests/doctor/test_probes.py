"""The real probes, on this machine: an HTTPS server, ports, locks, processes and programs."""

from __future__ import annotations

import errno
import fcntl
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.doctor import probes
from isthmus.doctor.probes import Reply, Silence
from isthmus.keys import LocalAuthority


class _Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("Location", "https://127.0.0.1:9/")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    """An authority that nobody trusts by himself."""
    return LocalAuthority(tmp_path_factory.mktemp("ca") / "keys", clock=time.time)


@pytest.fixture(scope="module")
def url(ca: LocalAuthority) -> Iterator[str]:
    """An HTTPS server with a certificate of that authority."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    server.socket = ca.server_context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_an_answer_is_read_with_its_time_and_redirects_are_not_followed(url: str, ca: LocalAuthority) -> None:
    for trust in ({"also": [ca.ca_path]}, {"only": ca.ca_path}):
        found = probes.fetch(f"{url}/moved", **trust)  # type: ignore[arg-type]
        assert isinstance(found, Reply)
        assert (found.status, found.body, "date" in found.headers, found.asked <= found.came) == (302, b"{}", True, True)


def test_silence_has_a_reason(url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"https://127.0.0.1:{listener.getsockname()[1]}"
    cases = {
        "certificate": probes.fetch(url),
        "connection": probes.fetch(closed),
    }
    for why, found in cases.items():
        assert isinstance(found, Silence)
        assert (found.why, bool(found.detail)) == (why, True)
    for odd in ("https://[", f"https://{'x' * 70}.com", "nonsense"):
        assert isinstance(probes.fetch(odd), Silence)
    assert isinstance(probes.fetch(url, only=tmp_path / "missing.pem"), Silence)


def test_ports_are_tried_and_given_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert probes.bind("127.0.0.1", port) == errno.EADDRINUSE
    assert [probes.bind("127.0.0.1", port) for _ in range(2)] == [0, 0]
    assert probes.bind("192.0.2.1", 0) == errno.EADDRNOTAVAIL


def test_the_file_system_is_named_has_room_and_locks(tmp_path: Path) -> None:
    assert probes.file_system(tmp_path)
    assert probes.file_system(Path("/proc/self")) == "proc"
    assert probes.free_bytes(tmp_path) > 0
    assert probes.can_lock(tmp_path)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert probes.can_lock(tmp_path)
    finally:
        os.close(descriptor)


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not probes.can_lock(tmp_path)


def test_processes_and_programs() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert (probes.is_running(os.getpid()), probes.is_running(ended.pid)) == (True, False)
    assert probes.run((sys.executable, "-c", "import os; print(os.environ['X'])"), {"X": "y"}) == "y\n"
    assert probes.run((sys.executable, "-c", "raise SystemExit(3)"), {}) == ""
    assert probes.run(("/nowhere/program",), {}) == ""


def test_names_have_addresses_or_none() -> None:
    assert set(probes.resolve("localhost")) & {"127.0.0.1", "::1"}
    assert probes.resolve("x" * 70) == ()
