"""Every component in every state: accessible in both colour schemes, usable by keyboard, and hostile text stays text."""

from __future__ import annotations

from isthmus.portal.pages.kit import HOSTILE
from tests.portal.conftest import Window


def test_the_kit_is_accessible(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/kit")
        assert page.get_by_role("heading", name="Component kit").is_visible()
        look.check("kit")


def test_a_refused_form_says_so_in_place_and_keeps_what_was_typed(window: Window) -> None:
    with window() as look:
        look.refusals = 1
        page = look.open("/portal/kit")
        page.get_by_label("Name required").fill("a1")
        page.keyboard.press("Enter")
        summary = page.get_by_role("alert")
        summary.wait_for()
        page.wait_for_function("document.activeElement.id === 'errors'")
        assert page.get_by_label("Name required").input_value() == "a1"
        assert page.get_by_label("Name required").get_attribute("aria-invalid") == "true"
        assert page.url.endswith("/portal/kit")
        look.check("kit-refused")
        summary.get_by_role("link", name="The name has letters only").click()
        assert page.evaluate("document.activeElement.id") == "kit-name"
        page.keyboard.press("Control+A")
        page.keyboard.type("right")
        page.keyboard.press("Enter")
        page.wait_for_url("**/portal/kit?changed=1")
        assert page.get_by_text("The form was taken.").is_visible()


def test_the_drawer_opens_and_closes_by_keyboard(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/kit")
        page.get_by_role("button", name="Open the drawer").focus()
        page.keyboard.press("Enter")
        assert page.get_by_role("dialog", name="A drawer").is_visible()
        look.check("kit-drawer")
        page.keyboard.press("Escape")
        assert page.get_by_role("dialog").count() == 0


def test_hostile_text_stays_text(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/kit")
        page.on("dialog", lambda dialog: look.problems.append(f"a script ran: {dialog.message}"))
        shown = page.locator("#kit-hostile ~ ul li").all_inner_texts()
        assert shown[:6] == [text.strip() for text in HOSTILE[:6]]
        assert page.locator("#main b").count() == 0
        assert page.locator("hx-partial").count() == 0


def test_the_skip_link_is_first_and_nothing_traps_the_keyboard(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/kit")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        seen = set()
        for _ in range(90):
            page.keyboard.press("Tab")
            seen.add(page.evaluate("document.activeElement.outerHTML.slice(0, 120)"))
        assert len(seen) > 50


def test_narrow_and_large_views_lose_nothing(window: Window) -> None:
    with window(width=320, height=640) as look:
        page = look.open("/portal/kit")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 320
