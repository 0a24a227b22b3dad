"""The walk through docs/tour.md, as its text says it: commands are taken from the page, the portal is visited in Chromium."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.stack import clean_environ
from tests.house.tree import ROOT
from tests.portal.browser import SCREENSHOTS, launch, looking
from tests.support.waiting import LOADED

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MACHINES = 24
TOUR = (ROOT / "docs" / "tour.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)\n```", TOUR, re.DOTALL)


@contextmanager
def demo_that_stays(folder: Path) -> Iterator[Path]:
    """`make demo`, as a person runs it in a terminal; where it has put its figures."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "isthmus", "demo", "--machines", str(MACHINES), "--folder", str(folder)]
    child = subprocess.Popen(
        command, env={**clean_environ(folder.parent), "TERM": "xterm"}, stdin=end, stdout=end, stderr=end, close_fds=True
    )
    os.close(end)
    said: list[bytes] = []
    listening = threading.Thread(target=_listen, args=(terminal, said), daemon=True)
    listening.start()
    try:
        until = time.monotonic() + 240 * LOADED
        while b"Ctrl-C stops everything" not in b"".join(said):
            alive = child.poll() is None and time.monotonic() < until
            assert alive, f"The demo ended, or does not come:\n{b''.join(said).decode(errors='replace')}"
            listening.join(0.2)
        yield folder.with_name("demo.json")
    finally:
        child.terminate()
        child.wait(60)
        listening.join(10)
        os.close(terminal)


def _listen(terminal: int, said: list[bytes]) -> None:
    """Whatever the program says: one that nobody listens to stands still. A terminal whose program has ended fails with EIO."""
    with suppress(OSError):
        while text := os.read(terminal, 65_536):
            said.append(text)


def shell(number: int, folder: Path, **words: str) -> str:
    """Run a command of the page; what it printed. `build/demo` is where the demo of this test lies."""
    command = COMMANDS[number].replace("build/demo", str(folder)).replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    for word, value in words.items():
        command = command.replace(word.upper(), value)
    if "isthmus_lab.tour" in command:
        command = command.replace("isthmus_lab.tour", f"isthmus_lab.tour --figures {folder.with_name('demo.json')}")
    done = subprocess.run(
        command, shell=True, env=clean_environ(folder.parent), capture_output=True, text=True, timeout=60 * LOADED, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


def picture(page: Page, name: str) -> None:
    """Kept for the page and the front page of the project."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"tour-{name}.png")


def test_the_tour_ends_as_its_text_says(tmp_path: Path, browser: Browser) -> None:
    folder = tmp_path / "demo"
    assert COMMANDS[0] == "make demo"
    with demo_that_stays(folder) as figures:
        url = json.loads(figures.read_text())["urls"]["api"]
        link = shell(1, folder)
        with looking(browser, url, "") as look:
            page = look.page
            page.goto(link)
            page.wait_for_url("**/portal/sign-in")
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/portal/")
            tiles = page.locator(".tiles")
            expect(tiles).to_contain_text(f"{MACHINES}of {MACHINES + 8} instances found")
            expect(page.get_by_text("Nothing waits for you")).to_be_visible()
            picture(page, "home")
            look_around(page)
            instance = shell(2, folder)
            look_again(page, url)
            understand(page, url, instance)
            assert instance in shell(3, folder, instance=instance)
            page.get_by_role("button", name="Look again now").click()
            expect(page.locator("#machine-now")).to_contain_text("Connected", timeout=90_000)
            page.goto(f"{url}/portal/")
            expect(page.locator(".tiles")).to_contain_text(f"{MACHINES + 1}of {MACHINES + 9} instances found")


def look_around(page: Page) -> None:
    """Connectors and the connector, the inventory, the machines."""
    page.get_by_role("link", name="Connectors", exact=True).click()
    page.get_by_role("link", name="demo-aws").first.click()
    expect(page.get_by_role("heading", name="demo-aws")).to_be_visible()
    page.get_by_role("link", name="Scan", exact=True).click()
    picture(page, "scan")
    page.get_by_role("link", name="Inventory", exact=True).click()
    expect(page.locator("v-rows tr[aria-rowindex='2']")).to_be_visible()
    picture(page, "inventory")
    page.get_by_role("link", name="Machines", exact=True).click()
    expect(page.locator("v-rows tr[aria-rowindex='2']")).to_be_visible()
    picture(page, "machines")


def look_again(page: Page, url: str) -> None:
    """Open any machine and let Isthmus look for new instances."""
    page.locator("v-rows tbody a").first.click()
    page.get_by_role("button", name="Look again now").click()
    page.wait_for_url("**/portal/machine/**done=looking")
    page.goto(f"{url}/portal/machines")


def understand(page: Page, url: str, instance: str) -> None:
    """The new instance is blocked, and its page says why."""
    for _ in range(60):
        if page.get_by_role("link", name=instance).count():
            break
        page.wait_for_timeout(1_000)
        page.goto(f"{url}/portal/machines?status=blocked")
    page.get_by_role("link", name=instance).first.click()
    expect(page.locator("#machine-now")).to_contain_text("NO_PROFILE")
    expect(page.locator("#machine-now")).to_contain_text("Attach the profile of the authentication template")
    picture(page, "blocked")
