"""`isthmus login` against a running server and a third party's provider; a program plays the person at the browser."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.cli.conftest import NO_CLOUD, PATIENCE, Cli, Ran, await_note, start
from tests.support.openid import OpenIdProvider

CLAIMS = {"name": "Ann B.", "uti": "u-1", "sid": "s-1", "amr": ["pwd", "mfa"]}


class Person:
    """Somebody at a browser without scripts, who is sent to pages and presses buttons."""

    def __init__(self, url: str, ca: Path, provider: OpenIdProvider) -> None:
        self.url, self.provider = url, provider
        self.http = httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False, timeout=PATIENCE)

    def visit(self, address: str) -> httpx.Response:
        """Go to an address, sign in where one is asked to, and follow; the page at the end."""
        answer = self.http.get(address)
        for _ in range(8):
            if answer.is_redirect:
                there = str(answer.next_request.url) if answer.next_request else ""
                if there.startswith(self.provider.issuer):
                    there = f"{self.url}/sign-in/callback?{httpx.QueryParams(self.provider.sign_in(there, 'ann'))}"
                answer = self.http.get(there)
                continue
            way = re.search(r'href="(/portal/sign-in/provider[^"]+)"', answer.text)
            if way is None:
                return answer
            answer = self.http.get(self.url + way[1].replace("&amp;", "&"))
        raise AssertionError("the pages lead in circles")

    def press(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Send the form of a page."""
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))
        headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        return self.http.post(f"{self.url}{urlsplit(str(page.url)).path}", data={**hidden, **fields}, headers=headers)

    def bring(self, answer: httpx.Response) -> httpx.Response:
        """Take an answer to the loopback that it leads to."""
        assert answer.status_code == 303, answer.text
        return httpx.get(answer.headers["location"], trust_env=False)


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


@pytest.fixture(scope="module")
def served_with_provider(tmp_path_factory: pytest.TempPathFactory, openid_provider: OpenIdProvider) -> Iterator[tuple[Path, str]]:
    """Data folder and URL of a server whose people come from the provider."""
    data = tmp_path_factory.mktemp("provider") / "data"
    named = {"OIDC_ISSUER": openid_provider.issuer, "OIDC_CLIENT_ID": "isthmus", "OIDC_CA_FILE": str(openid_provider.ca)}
    settings = {f"ISTHMUS_{name}": value for name, value in named.items()}
    process = start(data, "--port", "0", "--log-file", str(data.parent / "log"), aws={**NO_CLOUD, **settings})
    try:
        yield data, await_note(process, data)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE)


@pytest.fixture
def place(served_with_provider: tuple[Path, str], openid_provider: OpenIdProvider, tmp_path: Path) -> Iterator[Place]:
    """Nobody is signed in there."""
    data, url = served_with_provider
    client = {
        "client_id": "isthmus",
        "redirect_uris": [f"{url}/sign-in/callback"],
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "none",
    }
    openid_provider.set(clients=[client], users={"ann": CLAIMS}, thin=False)
    ca = data / "keys" / "ca.pem"
    env = {"ISTHMUS_URL": url, "REQUESTS_CA_BUNDLE": str(ca), "ISTHMUS_DATA": str(tmp_path / "none")}
    cli = Cli(data=tmp_path / "none", home=tmp_path / "cache", runs=[])
    made = Place(cli=cli, url=url, env=env, person=Person(url, ca, openid_provider))
    yield made
    made.person.http.close()
    for ran in cli.runs:
        assert "eyJ" not in ran.out + ran.err
        assert "Traceback" not in ran.err


def test_a_person_signs_in_with_a_browser_and_out_again(place: Place) -> None:
    assert place.run("whoami").code == 1
    signed = place.login()
    assert (signed.code, "Signed in to" in signed.err) == (0, True), signed.err
    file = place.file()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = json.loads(file.read_text())
    assert kept["token"] not in signed.out + signed.err
    assert kept["refresh"] not in signed.out + signed.err
    me = place.me()
    assert (me["name"], me["signedInBy"], me["signIn"]["provider"]) == ("Ann B.", "provider", place.person.provider.issuer)
    assert (me["signIn"]["tokenId"], me["signIn"]["methods"], me["signIn"]["groups"]) == ("u-1", ["pwd", "mfa"], None)
    shown = place.run("whoami").out
    assert all(word in shown for word in ("Ann B.", me["objectId"], "pwd mfa", "not told", str(me["until"]))), shown
    assert place.run("logout").err == "Signed out.\n"
    assert not file.exists()
    assert place.run("logout").err == "There was no sign-in to forget.\n"
    again = httpx.post(
        f"{place.url}/common/oauth2/v2.0/token",
        data={"grant_type": "refresh_token", "client_id": "isthmus-cli", "refresh_token": kept["refresh"]},
        verify=ssl.create_default_context(cafile=place.env["REQUESTS_CA_BUNDLE"]),
        trust_env=False,
    )
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant"), "the server knows that it has ended"


def test_groups_of_the_token_are_shown(place: Place) -> None:
    place.person.provider.set(users={"ann": {**CLAIMS, "groups": ["g-dev", "g-ops"]}})
    assert place.login().code == 0
    assert "g-dev g-ops" in place.run("whoami").out


def test_a_person_signs_in_with_a_code(place: Place) -> None:
    running = place.begin("login", "--device-code")
    found = running.awaited(r"Open (https://\S+) in a browser and enter the code (\S+)")
    entered = place.person.press(place.person.visit(found[1]), code=found[2])
    assert found[2] in entered.text
    done = place.person.press(entered, decision="allow")
    assert "signed in" in done.text
    ran = running.ended()
    assert ran.code == 0, ran.err
    assert place.me()["name"] == "Ann B."


def test_a_person_who_does_not_allow_it_is_not_signed_in(place: Place) -> None:
    running = place.begin("login")
    page = place.person.visit(running.awaited(r"(https://\S+/authorize\?\S+)")[1])
    place.person.bring(place.person.press(page, decision="deny"))
    ran = running.ended()
    assert (ran.code, "SignInDenied" in ran.err) == (1, True), ran.err
    assert place.run("whoami").code == 1


def test_a_sign_in_is_refreshed_once_by_many_commands_at_once(place: Place) -> None:
    assert place.login().code == 0
    file = place.file()
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "until": 0}))
    together = [place.begin("whoami", "--output", "json") for _ in range(3)]
    ran = [one.ended() for one in together]
    assert [one.code for one in ran] == [0] * 3, [one.err for one in ran]
    now = json.loads(file.read_text())
    assert now["refresh"] != kept["refresh"]
    assert place.me()["name"] == "Ann B.", "had two of them used one refresh token, the sign-in would have ended"


def test_a_sign_in_that_was_ended_says_what_to_do(place: Place) -> None:
    assert place.login().code == 0
    kept = json.loads(place.file().read_text())
    place.file().write_text(json.dumps({**kept, "until": 0, "refresh": "0" * 64}))
    ran = place.run("whoami")
    assert (ran.code, "SignInEnded" in ran.err, "isthmus login" in ran.err) == (1, True, True), ran.err


@pytest.mark.parametrize("arguments", [("--device-code", "--link"), ("https://x/sign-in#c", "--device-code"), ("-", "--link")])
def test_one_way_at_a_time(cli: Cli, arguments: tuple[str, ...]) -> None:
    ran = cli("login", *arguments)
    assert (ran.code, "exclude each other" in ran.err) == (1, True)


def test_the_owner_of_the_data_folder_is_told_so(cli: Cli) -> None:
    me = cli.json("whoami")
    assert (me["signedInBy"], me["signIn"], me["until"]) == ("the data folder's key", None, None)
