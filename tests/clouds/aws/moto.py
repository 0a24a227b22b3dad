"""The emulator moto over HTTP, empty at first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from moto.server import ThreadedMotoServer


@contextmanager
def moto() -> Iterator[str]:
    """The URL of a server. moto keeps its accounts in the process, so what an earlier test left there goes first."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        httpx.post(f"{url}/moto-api/reset", timeout=60, trust_env=False).raise_for_status()
        yield url
    finally:
        server.stop()
