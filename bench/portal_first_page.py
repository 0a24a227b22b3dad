"""What the first page costs a browser: bytes, requests, script, paint, and what Lighthouse makes of it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from bench.rows import row, times
from bench.serving import Running, isthmus, peer
from bench.visitor import CHROMIUM, FLAGS, Visitor, browser, sign_in, window

ROOT = Path(__file__).parent.parent
LIGHTHOUSE = ROOT / "build/node/bench/node_modules/lighthouse/cli/index.js"
VISITS = 9
_PAINTS = """() => new Promise((resolve) => new PerformanceObserver((list) => {
  const found = list.getEntries().find((entry) => entry.name === 'first-contentful-paint');
  if (found) resolve(found.startTime);
}).observe({type: 'paint', buffered: true}))"""

_SCRIPT_BYTES = """() => performance.getEntriesByType('resource')
  .filter((one) => one.initiatorType === 'script').reduce((sum, one) => sum + one.encodedBodySize, 0)"""


def measure() -> list[dict[str, Any]]:
    """Rows for the home page of an installation with nothing in it, visited with an empty cache."""
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as name, isthmus(Path(name)) as server:
        visitor = sign_in(server)
        plain = {"/": "<!doctype html><html lang=en><title>Plain</title><h1>Plain</h1>"}
        with browser() as opened, peer(Path(name), server, plain) as bare:
            addresses = (f"{visitor.url}/portal/", f"https://localhost:{bare.port}/")
            pairs = [[_visit(window(opened, visitor), address) for address in addresses] for _ in range(VISITS)]
            visits, least = zip(*pairs, strict=True)
        scores = _lighthouse(server, visitor, Path(name))
    paint, bare_paint = _middle(visits, "paint"), _middle(least, "paint")
    size, requests = visits[0]["bytes"] / 1000, f"{visits[0]['requests']:.0f} requests"
    bare_page = f"a bare heading {bare_paint:.0f} ms ({times(paint, bare_paint)})"
    return [
        row("portal", "first page, bytes over the wire", size, "KB", budget=60, against=requests),
        row(
            "portal",
            "first page, JavaScript",
            visits[0]["script_bytes"] / 1000,
            "KB",
            budget=20,
            against="content of all files, compressed",
        ),
        row("portal", "first page, first paint", paint, "ms", budget=300, against=bare_page),
        row("portal", "first page, script", _middle(visits, "script_ms"), "ms", budget=60, against="in the first 2.5 s"),
        row("portal", "Lighthouse, accessibility", scores["accessibility"], "of 100", budget=100, against="desktop", better="higher"),
        row("portal", "Lighthouse, performance", scores["performance"], "of 100", budget=98, against="desktop", better="higher"),
    ]


def _middle(visits: Sequence[dict[str, float]], what: str) -> float:
    return statistics.median(visit[what] for visit in visits)


def _visit(page: Page, url: str) -> dict[str, float]:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Performance.enable")
    sizes: dict[str, float] = {}
    session.on("Network.loadingFinished", lambda event: sizes.__setitem__(event["requestId"], event["encodedDataLength"]))
    page.goto(url)
    paint = float(page.evaluate(_PAINTS))
    page.wait_for_timeout(2_500)
    script = float(page.evaluate(_SCRIPT_BYTES))
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    page.context.close()
    return {
        "bytes": sum(sizes.values()),
        "requests": len(sizes),
        "script_bytes": script,
        "paint": paint,
        "script_ms": metrics["ScriptDuration"] * 1000,
    }


def _lighthouse(server: Running, visitor: Visitor, folder: Path) -> dict[str, float]:
    """Scores of Lighthouse's desktop run, the median of three for performance."""
    found = [_run_lighthouse(visitor, folder / f"lighthouse{number}.json") for number in range(3)]
    return {name: statistics.median(scores[name] for scores in found) for name in ("accessibility", "performance")}


def _run_lighthouse(visitor: Visitor, result: Path) -> dict[str, float]:
    if not LIGHTHOUSE.is_file():
        raise FileNotFoundError(f"{LIGHTHOUSE} is missing: run 'make bench', which installs it")
    command = [
        str(Path(sys.executable).with_name("node")),
        str(LIGHTHOUSE),
        f"{visitor.url}/portal/",
        "--quiet",
        "--preset=desktop",
        "--only-categories=accessibility,performance",
        "--output=json",
        f"--output-path={result}",
        f"--chrome-flags=--headless --ignore-certificate-errors {' '.join(FLAGS)}",
        f"--extra-headers={json.dumps({'Cookie': visitor.cookie})}",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=180, env={**os.environ, "CHROME_PATH": CHROMIUM})
    categories = json.loads(result.read_text())["categories"]
    return {name: categories[name]["score"] * 100 for name in ("accessibility", "performance")}
