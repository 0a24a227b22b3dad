"""`isthmus login` against a running server and a third party's provider; a program plays the person at the browser."""

from __future__ import annotations

import json
import signal
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import NO_CLOUD, PATIENCE, Cli, await_note, start
from tests.cli.people import Person, Place
from tests.support.openid import OpenIdProvider

CLAIMS = {"name": "Ann B.", "uti": "u-1", "sid": "s-1", "amr": ["pwd", "mfa"]}


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


def test_the_ca_of_a_sign_in_is_remembered(place: Place) -> None:
    named = place.env.pop("REQUESTS_CA_BUNDLE")
    unknown = place.run("login", "--device-code")
    assert (unknown.code, "ISTHMUS_CA_FILE" in unknown.err) == (1, True), unknown.err
    place.env["ISTHMUS_CA_FILE"] = named
    assert place.login().code == 0
    del place.env["ISTHMUS_CA_FILE"]
    assert place.me()["name"] == "Ann B.", "nothing names it any more"
    assert place.run("logout").err == "Signed out.\n"
    assert "NotSignedIn" in place.run("whoami").err


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
