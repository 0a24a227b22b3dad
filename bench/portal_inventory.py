"""A hundred thousand resources in the portal: the jump to a row in the browser, and what the server spends on a page of them."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page

from bench.rows import row
from bench.serving import Running, isthmus
from bench.visitor import Visitor, browser, fill, sign_in, window

ROWS = 100_000
WANTED = 90_000
JUMPS = 7
_JUMP = """([row, height]) => new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error(`row ${row} did not come within 10 s`)), 10_000);
  const rows = document.querySelector('v-rows'), scroller = rows.querySelector('.scroll'), began = performance.now();
  const look = () => {
    const found = rows.querySelector(`tr[aria-rowindex="${row + 2}"]`);
    if (found && found.textContent.trim()) resolve(performance.now() - began); else requestAnimationFrame(look);
  };
  scroller.scrollTop = row * height;
  look();
})"""


def measure() -> list[dict[str, Any]]:
    """Rows for the list of all resources."""
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as name, isthmus(Path(name)) as server:
        with server.client() as client:
            subscription = next(iter(client.list("/subscriptions")))["subscriptionId"]
        fill(server, subscription, ROWS)
        visitor = sign_in(server)
        with browser() as opened:
            jumps = [_jump(window(opened, visitor), visitor, WANTED + 100 * number) for number in range(JUMPS)]
        first, ping = _page(server, visitor, "/portal/inventory"), _page(server, visitor, "/portal/kit")
        deep = _page(server, visitor, f"/portal/inventory?skip={WANTED}")
    return [
        row("portal", f"jump to row {WANTED:,} of {ROWS:,}", statistics.median(jumps), "ms", budget=300, against="scroll to row in sight"),
        row("portal", f"list page at {ROWS:,} resources", first, "ms", budget=50, against=f"the component kit {ping:.1f} ms"),
        row("portal", f"list page from row {WANTED:,}", deep, "ms", budget=50, against=f"its first page {first:.1f} ms"),
    ]


def _jump(page: Page, visitor: Visitor, to: int) -> float:
    page.goto(f"{visitor.url}/portal/inventory")
    page.locator(f"v-rows table[aria-rowcount='{ROWS + 1}']").wait_for()
    spent = float(page.evaluate(_JUMP, [to, 36]))
    page.context.close()
    return spent


def _page(server: Running, visitor: Visitor, path: str) -> float:
    """Median milliseconds of a whole request, after one to warm up."""
    spent = []
    with httpx.Client(verify=server.context(), trust_env=False, headers={"Cookie": visitor.cookie, "Accept": "text/html"}) as http:
        for _ in range(12):
            began = time.perf_counter()
            answer = http.get(visitor.url + path)
            spent.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
            if answer.status_code != 200:
                raise RuntimeError(f"{path} answered {answer.status_code}")
    return statistics.median(spent[1:])
