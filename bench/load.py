"""Load on an HTTPS server: prepared bytes on keep-alive connections, so that the client costs little and the same for everybody."""

from __future__ import annotations

import asyncio
import ssl
import statistics
import time
from dataclasses import dataclass

import uvloop

from bench.serving import Running

_WARM = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What was measured: milliseconds of single requests one after another, and requests per second and CPU with several at once."""

    p50: float
    p99: float
    per_second: float
    cpu_ms: float


def request(path: str, host: str, token: str) -> bytes:
    """A GET as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\r\n".encode()


def measure(server: Running, sent: bytes, *, single: int, together: int, connections: int) -> Figures:
    """Send `single` requests one by one, then `together` requests on `connections` connections."""
    return uvloop.run(_measure(server, sent, single, together, connections))


async def _measure(server: Running, sent: bytes, single: int, together: int, connections: int) -> Figures:
    context = server.context()
    lone = await _Connection.to(server.port, context)
    for _ in range(_WARM):
        await lone.exchange(sent)
    taken = []
    for _ in range(single):
        start = time.perf_counter()
        await lone.exchange(sent)
        taken.append((time.perf_counter() - start) * 1000)
    lone.close()

    several = [await _Connection.to(server.port, context) for _ in range(connections)]
    share = together // connections

    async def some(connection: _Connection, count: int) -> None:
        for _ in range(count):
            await connection.exchange(sent)

    await asyncio.gather(*(some(connection, 5) for connection in several))
    cpu, start = server.cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(some(connection, share) for connection in several))
    seconds, spent = time.perf_counter() - start, server.cpu_seconds() - cpu
    for connection in several:
        connection.close()
    sliced = statistics.quantiles(taken, n=100)
    return Figures(p50=sliced[49], p99=sliced[98], per_second=share * connections / seconds, cpu_ms=spent / (share * connections) * 1000)


@dataclass(frozen=True, slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, port: int, context: ssl.SSLContext) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost", limit=1 << 20))

    async def exchange(self, sent: bytes) -> bytes:
        """The body of the answer; RuntimeError unless it is 200."""
        self.writer.write(sent)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await self.reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head!r}{body[:500]!r}")
        return body

    def close(self) -> None:
        self.writer.close()
