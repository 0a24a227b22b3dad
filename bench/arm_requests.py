"""What a read over the API costs: GET of one resource and a page of 50, against a bare Starlette application with the same bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import httpx

from bench import load
from bench.rows import row, times
from bench.serving import Running, isthmus, peer

PAGE = 50
CONNECTIONS = 8
SINGLE = 1000
TOGETHER = 4000
CONNECTORS = "providers/Microsoft.HybridConnectivity/publicCloudConnectors"
VERSION = "api-version=2024-12-01"
# Budgets hold for two shared cores; the ratios are what to trust elsewhere.
P99_BUDGET = {"GET": 10.0, "LIST": 15.0}
CPU_BUDGET = {"GET": 2.0, "LIST": 3.0}


def measure() -> list[dict[str, Any]]:
    """Rows for both requests: latency alone, throughput and CPU with several connections at once."""
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as name, isthmus(Path(name)) as server:
        group = _fill(server)
        token = server.token()()
        host = f"localhost:{server.port}"
        wanted = {
            "GET": f"{group}/{CONNECTORS}/account-00?{VERSION}",
            "LIST": f"{group}/{CONNECTORS}?{VERSION}&$top={PAGE}",
        }
        answers = {httpx.URL(path).path: _body(server, path, token) for path in wanted.values()}
        rows: list[dict[str, Any]] = []
        with peer(Path(name), server, answers) as bare:
            for verb, path in wanted.items():
                sent = load.request(path, host, token)
                ours = load.measure(server, sent, single=SINGLE, together=TOGETHER, connections=CONNECTIONS)
                theirs = load.measure(bare, sent, single=SINGLE, together=TOGETHER, connections=CONNECTIONS)
                rows += _rows(verb, ours, theirs)
    return rows


def _rows(verb: str, ours: load.Figures, theirs: load.Figures) -> list[dict[str, Any]]:
    what = "GET one resource" if verb == "GET" else f"LIST a page of {PAGE}"

    def against(mine: float, other: float, unit: str) -> str:
        return f"bare Starlette {other:.2f} {unit} ({times(mine, other)})"

    return [
        row("arm", f"{what}, p50", ours.p50, "ms", budget=None, against=against(ours.p50, theirs.p50, "ms")),
        row("arm", f"{what}, p99", ours.p99, "ms", budget=P99_BUDGET[verb], against=against(ours.p99, theirs.p99, "ms")),
        row("arm", f"{what}, CPU", ours.cpu_ms, "ms", budget=CPU_BUDGET[verb], against=against(ours.cpu_ms, theirs.cpu_ms, "ms")),
        row(
            "arm",
            f"{what}, {CONNECTIONS} connections",
            ours.per_second,
            "requests/s",
            budget=None,
            better="higher",
            against=against(ours.per_second, theirs.per_second, "requests/s"),
        ),
    ]


def _fill(server: Running) -> str:
    """A group with more connectors than a page holds; answers the group's id."""
    with server.client() as client:
        subscription = next(iter(client.list("/subscriptions")))["subscriptionId"]
        group = f"/subscriptions/{subscription}/resourceGroups/bench"
        client.put(group, {"location": "eastus"})
        for number in range(PAGE + 10):
            profile = {"hostType": "AWS", "awsCloudProfile": {"accountId": f"{100_000_000_000 + number}"}}
            body = {"location": "eastus", "tags": {"number": str(number)}, "properties": profile}
            client.put(f"{group}/{CONNECTORS}/account-{number:02d}", body)
    return group


def _body(server: Running, path: str, token: str) -> str:
    answer = httpx.get(
        f"https://localhost:{server.port}{path}", headers={"Authorization": f"Bearer {token}"}, verify=server.context(), trust_env=False
    )
    answer.raise_for_status()
    return answer.text
