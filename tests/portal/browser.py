"""A person at a browser: opens pages, and notes everything that a page must not do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from tests.house.tree import ROOT

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = ROOT / "build" / "screenshots"
# On a busy machine a browser may take its time; what never comes fails all the same.
PATIENCE = 45_000
expect.set_options(timeout=PATIENCE)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_AXE = ROOT / "build" / "node" / "tests" / "node_modules" / "axe-core" / "axe.min.js"
_WATCH = """
window.__reports = [];
document.addEventListener('securitypolicyviolation', (event) =>
  window.__reports.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium; a clear failure where it is missing."""
    if not os.access(CHROMIUM, os.X_OK):
        pytest.fail("Chromium is missing. Run 'make chromium' (as root) or install the package chromium.")
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))


@cache
def _axe() -> str:
    if not _AXE.is_file():
        pytest.fail(f"{_AXE} is missing. Run 'make node-tools'.")
    return _AXE.read_text()


@dataclass
class Look:
    """One browser window, signed in or not, with `scripts` or without. `problems` are console errors, broken scripts and CSP reports."""

    context: BrowserContext
    page: Page
    url: str
    scripts: bool = True
    problems: list[str] = field(default_factory=list)
    refusals: int = 0

    def open(self, path: str) -> Page:
        """Go to a page of the portal."""
        self.page.goto(self.url + path)
        return self.page

    def check(self, name: str) -> None:
        """What the page shows now is accessible in light and dark; a screenshot of both is kept. Not for windows without scripts."""
        assert self.scripts, "axe waits for timers, which never ring in a window without scripts: open the page in another one"
        self.note_reports()
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme="light" if scheme == "light" else "dark", reduced_motion="reduce")
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=True, caret="initial")
            found = self._axe()
            assert not found, f"{name} in {scheme}:\n" + "\n".join(found)
        self.page.emulate_media(color_scheme="light")

    def _axe(self) -> list[str]:
        before = len(self.problems)
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_axe())
        # Every rule that a page keeps names all its elements too; they are many, and nobody reads them.
        violations: Any = self.page.evaluate(
            "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(found => found.violations)", RULES
        )
        # What the tool itself does to the page is not the page's doing.
        del self.problems[before:]
        self.page.evaluate("window.__reports = []")
        return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in violations for node in rule["nodes"]]

    def note_reports(self) -> None:
        """Take over what the page's policy has reported so far."""
        found: list[str] = self.page.evaluate("(() => { const found = window.__reports || []; window.__reports = []; return found; })()")
        self.problems += [f"CSP: {line}" for line in found]


@contextmanager
def looking(
    browser: Browser, url: str, secret: str, *, javascript: bool = True, width: int = 1280, height: int = 900, scheme: str = "light"
) -> Iterator[Look]:
    """A window on a server; at the end nothing may have gone wrong in it. `refusals` are answers of 4xx that the test meant to cause."""
    context = browser.new_context(
        ignore_https_errors=True,
        java_script_enabled=javascript,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    context.set_default_timeout(PATIENCE)
    if secret:
        context.add_cookies([{"name": "__Host-isthmus", "value": secret, "url": url, "secure": True, "httpOnly": True, "sameSite": "Lax"}])
    context.add_init_script(_WATCH)
    page = context.new_page()
    look = Look(context=context, page=page, url=url, scripts=javascript)

    def heard(message: Any) -> None:
        elsewhere = str((message.location or {}).get("url", ""))
        if message.type != "error" or (elsewhere and not elsewhere.startswith(url)):
            return
        # Chromium logs an answer of 4xx to a form as a network error; a test says how many it causes.
        if re.search(r"status of 4\d\d", message.text) and look.refusals > 0:
            look.refusals -= 1
            return
        look.problems.append(f"console: {message.text} {message.location}")

    page.on("console", heard)
    page.on("pageerror", lambda error: look.problems.append(f"script: {error}"))
    try:
        yield look
        if javascript:
            look.note_reports()
    finally:
        context.close()
    assert not look.problems, "\n".join(look.problems)
