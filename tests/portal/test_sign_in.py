"""Signing in with a browser: a link whose code no server sees in the address, and an end that is an end."""

from __future__ import annotations

from tests.portal.conftest import Site, Window


def test_a_link_is_followed_with_one_press(site: Site, window: Window) -> None:
    with window(secret="") as look:
        asked: list[str] = []
        look.page.on("request", lambda request: asked.append(request.url))
        code = site.link().partition("#")[2]
        look.page.goto(f"{site.url}/sign-in#{code}")
        look.page.wait_for_url("**/portal/sign-in")
        look.check("sign-in")
        title, button = look.page.locator("h1").bounding_box(), look.page.locator(".narrow label").first.bounding_box()
        assert title
        assert button
        assert button["y"] - (title["y"] + title["height"]) >= 8
        look.page.set_viewport_size({"width": 375, "height": 800})
        assert len(look.page.locator(".hint code").evaluate("code => [...code.getClientRects()].map(box => box.top)")) == 1
        assert code not in look.page.url
        look.page.keyboard.press("Enter")
        look.page.wait_for_url("**/portal/")
        assert look.page.get_by_text("administrator").is_visible()
        assert not [url for url in asked if code in url]
        cookies = {cookie["name"]: cookie for cookie in look.context.cookies()}
        assert cookies["__Host-isthmus"]["httpOnly"]
        look.page.get_by_role("button", name="Sign out").click()
        look.page.wait_for_url("**/portal/sign-in")
        look.page.go_back()
        assert look.page.get_by_role("button", name="Sign out").count() == 0


def test_without_scripts_the_code_is_pasted_and_one_returns_to_the_page(site: Site, window: Window) -> None:
    with window(secret="", javascript=False) as look:
        look.refusals = 1
        page = look.open("/portal/kit")
        page.get_by_label("Sign-in link or its code").fill("0" * 64)
        page.get_by_role("button", name="Sign in").click()
        assert "was used before, has expired" in page.get_by_role("alert").inner_text()
        page.get_by_label("Sign-in link or its code").fill(site.link())
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/portal/kit")


def test_a_refused_code_says_how_to_get_another(window: Window) -> None:
    with window(secret="") as look:
        look.refusals = 1
        page = look.open("/portal/sign-in")
        page.get_by_label("Sign-in link or its code").fill("nonsense")
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        look.check("sign-in-refused")
