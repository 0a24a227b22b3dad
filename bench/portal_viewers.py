"""Two hundred people look at machines that change every second: what one process spends on them."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update

from bench.rows import row
from bench.serving import Running, isthmus
from bench.visitor import Visitor, sign_in
from isthmus.store import Store
from isthmus.store.tables import instances

VIEWERS = 200
MACHINES = 200
SECONDS = 65.0
"""Longer than a minute, after which every viewer's rights are looked at again."""
PAGE = "/portal/live/machines"
_LONGEST = 4 * 1024 * 1024


def measure() -> list[dict[str, Any]]:
    """One row: the share of a core, with the messages that every viewer got."""
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as name, isthmus(Path(name)) as server:
        store = Store(f"sqlite:///{server.data / 'isthmus.db'}")
        solution = _connect(server)
        _fill(store, solution)
        visitor = sign_in(server)
        share, messages, idle = asyncio.run(_watch(server, visitor, store))
        store.close()
    against = f"{messages / VIEWERS:.0f} messages each in {SECONDS:.0f} s; without viewers {idle:.1f} %"
    return [row("portal", f"{VIEWERS} live viewers, share of a core", share, "%", budget=50, against=against)]


def _connect(server: Running) -> str:
    """A connector with onboarding; the key of the solution."""
    with server.client() as client:
        root = f"/subscriptions/{next(iter(client.list('/subscriptions')))['subscriptionId']}"
        client.put(f"{root}/resourceGroups/bench", {"location": "eastus"})
        connector = f"{root}/resourceGroups/bench/providers/Microsoft.HybridConnectivity/publicCloudConnectors/bench"
        properties = {"hostType": "AWS", "awsCloudProfile": {"accountId": "123456789012"}}
        client.put(connector, {"location": "eastus", "properties": properties})
        solution = f"{connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations/onboarding"
        client.put(solution, {"properties": {"solutionType": "Microsoft.HybridCompute.Onboard"}})
    return solution.lower()


def _fill(store: Store, solution: str) -> None:
    rows = [
        {
            "key": f"123456789012/us-east-1/i-{number:017x}",
            "account": "123456789012",
            "region": "us-east-1",
            "instance_id": f"i-{number:017x}",
            "solution": solution,
            "state": "KEYGEN",
            "code": "",
            "evidence": "{}",
            "generation": 1,
            "attempts": 1,
            "launch_time": "",
            "batch": "",
            "command_id": "",
            "sends": 1,
            "machine": "",
            "since": int(time.time() * 1000),
            "next_at": 9_999_999_999_999,
            "seen_at": 0,
            "observed": '{"state": "running"}',
        }
        for number in range(MACHINES)
    ]
    with store.begin() as connection:
        connection.execute(insert(instances), rows)


async def _watch(server: Running, visitor: Visitor, store: Store) -> tuple[float, int, float]:
    """Per cent of a core, messages received, per cent without viewers."""
    before = server.cpu_seconds()
    await asyncio.sleep(3)
    idle = (server.cpu_seconds() - before) / 3 * 100
    counts = [0] * VIEWERS
    everybody = asyncio.Event()
    viewers = [asyncio.create_task(_view(server, visitor, counts, number, everybody)) for number in range(VIEWERS)]
    await asyncio.wait_for(everybody.wait(), 120)
    changing = asyncio.create_task(_change(store))
    started, spent = time.monotonic(), server.cpu_seconds()
    seen = sum(counts)
    await asyncio.sleep(SECONDS)
    share = (server.cpu_seconds() - spent) / (time.monotonic() - started) * 100
    received = sum(counts) - seen
    for task in (changing, *viewers):
        task.cancel()
    await asyncio.gather(changing, *viewers, return_exceptions=True)
    return share, received, idle


async def _view(server: Running, visitor: Visitor, counts: list[int], number: int, everybody: asyncio.Event) -> None:
    """A stream as a browser reads it, over HTTP/1.1 and TLS; sets the event when every viewer has got something."""
    context = ssl.create_default_context(cafile=str(server.ca))
    reader, writer = await asyncio.open_connection("localhost", server.port, ssl=context, limit=_LONGEST)
    request = f"GET {PAGE} HTTP/1.1\r\nHost: localhost:{server.port}\r\nAccept: text/event-stream\r\nCookie: {visitor.cookie}\r\n\r\n"
    writer.write(request.encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"the stream answered {status!r}")
    try:
        async for line in reader:
            if line.startswith(b"data:"):
                counts[number] += 1
                if not everybody.is_set() and all(counts):
                    everybody.set()
    finally:
        writer.close()


async def _change(store: Store) -> None:
    """Every second another tenth of the machines takes a step."""
    states = ("KEYGEN", "CONNECTING", "VERIFYING", "CONNECTED")
    for step in range(1_000):
        await asyncio.sleep(1)
        chosen = [f"123456789012/us-east-1/i-{number:017x}" for number in range(step % 10, MACHINES, 10)]
        changed = {"state": states[step // 10 % 4], "since": int(time.time() * 1000)}
        await asyncio.to_thread(_write, store, chosen, changed)


def _write(store: Store, keys: list[str], values: dict[str, object]) -> None:
    with store.begin() as connection:
        connection.execute(update(instances).where(instances.c.key.in_(keys)).values(**values))
