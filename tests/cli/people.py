"""People at a computer elsewhere: a browser without scripts, and the command line."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.cli.conftest import PATIENCE, Cli, Ran
from tests.support.openid import OpenIdProvider


class Person:
    """Somebody at a browser without scripts, who is sent to pages and presses buttons."""

    def __init__(self, url: str, ca: Path, provider: OpenIdProvider, name: str = "ann") -> None:
        self.url, self.provider, self.name = url, provider, name
        self.http = httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False, timeout=PATIENCE)

    def visit(self, address: str) -> httpx.Response:
        """Go to an address, sign in where one is asked to, and follow; the page at the end."""
        answer = self.http.get(address)
        seen = [address]
        for _ in range(8):
            seen.append(f"{answer.status_code} {answer.url} {_told(answer)}")
            if answer.is_redirect:
                there = str(answer.next_request.url) if answer.next_request else ""
                if there.startswith(self.provider.issuer):
                    there = f"{self.url}/sign-in/callback?{httpx.QueryParams(self.provider.sign_in(there, self.name))}"
                answer = self.http.get(there)
                continue
            way = re.search(r'href="(/portal/sign-in/provider[^"]+)"', answer.text)
            if way is None:
                return answer
            answer = self.http.get(self.url + way[1].replace("&amp;", "&"))
        raise AssertionError("the pages lead in circles: " + "\n".join(seen))

    def press(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Send the form of a page."""
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))
        headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        return self.http.post(f"{self.url}{urlsplit(str(page.url)).path}", data={**hidden, **fields}, headers=headers)

    def bring(self, answer: httpx.Response) -> httpx.Response:
        """Take an answer to the loopback that it leads to."""
        assert answer.status_code == 303, answer.text
        return httpx.get(answer.headers["location"], trust_env=False)


def _told(page: httpx.Response) -> str:
    """What a page says, without its markup."""
    main = page.text.partition("<main")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", "<main" + main))[:300] if main else ""


@dataclass
class Running:
    """A command that runs and has said something."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def awaited(self, pattern: str) -> re.Match[str]:
        """The first match in what it says on standard error."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            match = re.search(pattern, line)
            if match:
                return match
        raise AssertionError(f"it ended with {self.process.wait()}: {''.join(self.said)}")

    def ended(self) -> Ran:
        """What it did."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return Ran(code=self.process.returncode, out=out, err="".join(self.said) + err)


@dataclass
class Place:
    """A server with a provider, and a computer elsewhere: neither key nor note of the server is there."""

    cli: Cli
    url: str
    env: dict[str, str]
    person: Person

    def begin(self, *arguments: str) -> Running:
        """Start a command and go on."""
        command = [sys.executable, "-m", "isthmus", *arguments]
        inherited = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}
        variables = {**inherited, **self.env, "XDG_CACHE_HOME": str(self.cli.home)}
        return Running(subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))

    def run(self, *arguments: str) -> Ran:
        """Run a command to its end."""
        return self.cli(*arguments, env=self.env)

    def login(self) -> Ran:
        """A whole sign-in with the browser of this computer."""
        running = self.begin("login")
        page = self.person.visit(running.awaited(r"(https://\S+/authorize\?\S+)")[1])
        assert "wants to act as you" in page.text, page.text
        assert self.person.bring(self.person.press(page, decision="allow")).status_code == 200
        return running.ended()

    def me(self) -> Mapping[str, Any]:
        """What whoami tells a program."""
        ran = self.run("whoami", "--output", "json")
        assert ran.code == 0, ran.err
        found: Mapping[str, Any] = ran.json()
        return found

    def file(self) -> Path:
        """Where the tokens are kept."""
        (file,) = (self.cli.home / "isthmus").glob("*.json")
        return file
