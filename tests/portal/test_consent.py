"""Deciding about the command line with a browser: by keyboard, without scripts, in light and dark."""

from __future__ import annotations

import ssl
from typing import Any

import httpx
from playwright.sync_api import expect

from isthmus.client.loopback import Loopback
from tests.api.line import CHALLENGE, DEVICE_GRANT, STATE
from tests.portal.conftest import Site, Window


def post(site: Site, path: str, **form: str) -> httpx.Response:
    """What the command line asks the server."""
    trust = ssl.create_default_context(cafile=site.server.ca)
    return httpx.post(f"{site.url}/common/oauth2/v2.0/{path}", data={"client_id": "isthmus-cli", **form}, verify=trust, trust_env=False)


def asked(loopback: Loopback) -> str:
    """The address that the command line shows."""
    query: dict[str, Any] = {
        "client_id": "isthmus-cli",
        "redirect_uri": loopback.redirect_uri,
        "response_type": "code",
        "state": STATE,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"/common/oauth2/v2.0/authorize?{httpx.QueryParams(query)}"


def test_a_person_allows_the_command_line_by_keyboard(site: Site, window: Window) -> None:
    with Loopback(STATE) as loopback, window() as look:
        page = look.open(asked(loopback))
        page.wait_for_url("**/portal/consent?*")
        look.check("consent")
        assert page.get_by_text(loopback.redirect_uri.removesuffix("/callback")).is_visible()
        for _ in range(10):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == "Allow":
                break
        page.keyboard.press("Enter")
        page.wait_for_url("http://127.0.0.1:*/callback?*")
        assert page.get_by_text("The command line has its answer").is_visible()
        assert "code" in loopback.wait(10)


def test_without_scripts_one_signs_in_first_and_may_refuse(site: Site, window: Window) -> None:
    with Loopback(STATE) as loopback, window(secret="", javascript=False) as look:
        page = look.open(asked(loopback))
        page.wait_for_url("**/portal/sign-in?*")
        page.get_by_label("Sign-in link or its code").fill(site.link())
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/portal/consent?*")
        page.get_by_role("button", name="Do not allow").click()
        page.wait_for_url("http://127.0.0.1:*/callback?*")
        answer = loopback.wait(10)
        assert (answer["error"], "code" in answer) == ("access_denied", False)


def test_a_code_is_compared_and_allowed(site: Site, window: Window) -> None:
    begun = post(site, "devicecode").json()
    with window() as look:
        look.refusals = 1
        page = look.open(begun["verification_uri_complete"].removeprefix(site.url))
        look.check("device")
        page.get_by_label("Code").fill("BBBB-BBBB")
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        look.check("device-refused")
        page.get_by_label("Code").fill(begun["user_code"].lower())
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="A command line elsewhere wants to act as you").wait_for()
        assert page.get_by_text(begun["user_code"], exact=True).is_visible()
        assert page.get_by_text("127.0.0.1", exact=True).is_visible()
        look.check("device-decide")
        page.get_by_role("button", name="Allow", exact=True).click()
        page.get_by_role("heading", name="The command line is signed in").wait_for()
        look.check("device-allowed")
    assert post(site, "token", grant_type=DEVICE_GRANT, device_code=begun["device_code"]).status_code == 200


def test_a_code_is_denied_without_scripts(site: Site, window: Window) -> None:
    begun = post(site, "devicecode").json()
    with window(javascript=False) as look:
        page = look.open("/portal/device")
        page.get_by_label("Code").fill(begun["user_code"])
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Do not allow").click()
        expect(page.get_by_role("heading", name="Nothing was allowed")).to_be_visible()
    assert post(site, "token", grant_type=DEVICE_GRANT, device_code=begun["device_code"]).json()["error"] == "access_denied"
