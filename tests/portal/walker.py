"""Somebody who fills the wizard's forms without a browser: what a page holds is sent back, with what is typed over it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import lxml.html

from tests.api.conftest import Api
from tests.portal.test_frame import Browser

START = "/portal/connectors/add"
BASICS = {"resource-group": "clouds", "connector-name": "shop", "location": "eastus", "account-id": "123456789012"}


@dataclass
class Walker:
    """One person at the wizard. `page` is the last answer as a tree, `answer` the answer itself."""

    browser: Browser
    answer: httpx.Response
    page: Any

    @classmethod
    def of(cls, browser: Browser) -> Walker:
        """Somebody at the start."""
        walker = cls(browser=browser, answer=httpx.Response(200), page=None)
        return walker.open(START)

    def open(self, path: str) -> Walker:
        """Go to a page."""
        self._take(self.browser.send("GET", path))
        return self

    def held(self) -> dict[str, list[str]]:
        """What the form of the page would send, button aside."""
        form = self.page.get_element_by_id("wizard")
        held: dict[str, list[str]] = {}
        for name, value in form.form_values():
            held.setdefault(name, []).append(value)
        return held

    def press(self, go: str = "next", **typed: Any) -> Walker:
        """Type (names with _ for -; None takes a field out) and press a button; redirects are followed."""
        action = self.page.get_element_by_id("wizard").get("action")
        sent: Mapping[str, Any] = {**self.held(), **{name.replace("_", "-"): value for name, value in typed.items()}, "go": go}
        sent = {"_token" if name == "-token" else name: value for name, value in sent.items() if value is not None}
        self._take(self.browser.send("POST", action, data=sent))
        if self.answer.status_code == 303:
            self.open(self.answer.headers["location"].partition("#")[0])
        return self

    def begin(self) -> Walker:
        """A draft with right basics, at the step of solutions."""
        self.open(START).press(**BASICS)
        assert self.step == "solutions", self.wrong
        return self

    def _take(self, answer: httpx.Response) -> None:
        self.answer = answer
        is_page = answer.headers.get("content-type", "").startswith("text/html") and answer.content
        self.page = lxml.html.fromstring(answer.text) if is_page else None

    @property
    def draft(self) -> str:
        """The name of the draft, from the address that the form goes to."""
        found = re.search(r"/add/([^/]+)/", self.page.get_element_by_id("wizard").get("action"))
        assert found is not None
        return found[1]

    @property
    def step(self) -> str:
        """The step that is shown; empty on another page."""
        found = self.page.xpath("//nav[@aria-label='Steps']//button[@aria-current='step']/@value")
        return str(found[0]) if found else ""

    @property
    def states(self) -> dict[str, str]:
        """Steps that are done or wrong."""
        found = {str(li.xpath("./button/@value")[0]): str(li.get("class")) for li in self.page.xpath("//nav[@aria-label='Steps']//li")}
        return {name: state for name, state in found.items() if state}

    @property
    def wrong(self) -> dict[str, str]:
        """The summary of errors: the id of the field (or the address) and the sentence."""
        links = self.page.xpath("//div[@id='errors' or @id='faults']//li")
        return {str((li.xpath("./a/@href") or [""])[0]).removeprefix("#"): str(li.text_content()).strip() for li in links}

    @property
    def text(self) -> str:
        """Everything that the page says, with single blanks."""
        return " ".join(self.page.get_element_by_id("main").text_content().split())

    def value(self, field: str) -> str:
        """What stands in a field."""
        return (self.held().get(field) or [""])[0]


def call(api: Api, method: str, path: str, body: Any = None) -> Any:
    """Ask the API as the operator."""
    return api.call(method, path, body, version="2026-11-01" if "Isthmus." in path else "2024-12-01")


def draft_path(walker: Walker, name: str = "") -> str:
    """The id of the draft that is shown, or of another one."""
    return f"/subscriptions/{walker.browser.api.subscription}/providers/Isthmus.Connect/drafts/{name or walker.draft}"


def stored(walker: Walker, name: str = "") -> dict[str, Any]:
    """What is kept of it."""
    found: dict[str, Any] = call(walker.browser.api, "GET", draft_path(walker, name)).json()["properties"]
    return found
