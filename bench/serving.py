"""Servers to measure: `isthmus serve` as it is shipped, and a peer that answers recorded bytes in the same set-up. Both are children."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from isthmus.client import Client, choose_token, find_server, read_note

START_SECONDS = 60.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers: its process, its port on loopback, the CA of its certificate, and when it was started (monotonic seconds)."""

    process: psutil.Process
    port: int
    ca: Path
    data: Path
    started: float

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        spent = self.process.cpu_times()
        return spent.user + spent.system

    def context(self) -> ssl.SSLContext:
        """A TLS context that trusts this server alone."""
        return ssl.create_default_context(cafile=str(self.ca))

    def token(self) -> Callable[[], str]:
        """A source of the operator's tokens."""
        return choose_token(find_server(self.data, "", {}), {}, time.time)

    def client(self) -> Client:
        """A signed-in client."""
        place = find_server(self.data, "", {})
        return Client(place.url, choose_token(place, {}, time.time), verify=place.ca)


@contextmanager
def isthmus(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Running]:
    """`isthmus serve` on a fresh data folder and a free port, ready; ended at the end."""
    data = folder / "data"
    environ = {name: value for name, value in os.environ.items() if name in _KEPT}
    environ |= {
        "ISTHMUS_DATA": str(data),
        "ISTHMUS_PORT": "0",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "NO_PROXY": "*",
        **(settings or {}),
    }
    started = time.monotonic()
    with (folder / "serve.log").open("wb") as log:
        child = subprocess.Popen([sys.executable, "-m", "isthmus", "serve"], env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        ca = data / "keys" / "ca.pem"
        while not _is_ready(data, ca):
            if child.poll() is not None or time.monotonic() - started > START_SECONDS:
                raise RuntimeError(f"isthmus serve did not start:\n{(folder / 'serve.log').read_text()[-4000:]}")
            time.sleep(0.05)
        note = read_note(data)
        assert note is not None
        port = httpx.URL(note.url).port or 443
        yield Running(process=psutil.Process(child.pid), port=port, ca=ca, data=data, started=started)
    finally:
        child.terminate()
        child.wait(30)


def _is_ready(data: Path, ca: Path) -> bool:
    note = read_note(data)
    if note is None or not ca.is_file():
        return False
    try:
        return httpx.get(f"{note.url}/readyz", verify=ssl.create_default_context(cafile=str(ca)), timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextmanager
def peer(folder: Path, like: Running, answers: Mapping[str, str]) -> Iterator[Running]:
    """A bare Starlette application under the same server, loop, parser and certificate, that answers each path with given bytes."""
    recorded = folder / "answers.json"
    recorded.write_text(json.dumps(dict(answers)))
    certificate = like.data / "keys" / "server.pem"
    started = time.monotonic()
    command = [sys.executable, "-m", "bench.peer_server", str(certificate), str(recorded)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as child:
        try:
            assert child.stdout is not None
            port = int(child.stdout.readline())
            yield Running(process=psutil.Process(child.pid), port=port, ca=like.ca, data=like.data, started=started)
        finally:
            child.terminate()
