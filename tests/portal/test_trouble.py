"""A server that is away, an answer that takes long, a stream that breaks off: it is said, nothing typed is lost, and it mends itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.portal import stock
from tests.portal.browser import Look
from tests.portal.conftest import Site, Window

FORM = "**/portal/kit"


def fill(page: Page) -> None:
    """Send the form of the kit with a name that it takes."""
    page.get_by_label("Name required").fill("right")
    page.keyboard.press("Enter")


def forget_failures(look: Look) -> None:
    """The browser logs each connection that the test cut."""
    look.problems[:] = [one for one in look.problems if "ERR_FAILED" not in one and "Failed to fetch" not in one and "503" not in one]


def test_a_form_for_which_the_server_is_away_keeps_what_was_typed(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/kit")
        page.route(FORM, lambda route: route.abort())
        fill(page)
        expect(page.locator("#notice")).to_contain_text("The server does not answer. What you typed is still here")
        expect(page.get_by_label("Name required")).to_have_value("right")
        page.unroute(FORM)
        forget_failures(look)
        look.check("server-away")
        page.get_by_label("Name required").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/portal/kit?changed=1")
        expect(page.locator("#notice")).to_be_empty()


def test_an_answer_that_takes_long_shows_that_it_is_awaited(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/kit")
        page.evaluate(
            "() => { const soon = window.fetch; window.fetch = (...asked) =>"
            " new Promise((answer) => setTimeout(answer, 1500)).then(() => soon(...asked)); }"
        )
        fill(page)
        expect(page.locator("body")).to_have_class("is-slow")
        page.wait_for_url("**/portal/kit?changed=1")
        expect(page.locator("body")).not_to_have_class("is-slow")
        expect(page.get_by_text("The form was taken.")).to_be_visible()


@pytest.mark.parametrize("is_reached", [False, True])
def test_a_live_page_whose_stream_cannot_begin_says_so_and_goes_on_when_it_can(site: Site, window: Window, is_reached: bool) -> None:
    name = f"cut-off-{is_reached}".lower()
    operation = stock.operation(site, stock.connector(site, name, f"42109876543{int(is_reached)}"))
    away = '<div id="problem">The database does not answer.</div>'
    placed = {"HX-Retarget": "#notice", "HX-Reswap": "innerHTML", "HX-Reselect": "#problem"}

    def refuse(route: Route) -> None:
        if is_reached:
            route.fulfill(status=503, content_type="text/html", body=away, headers=placed)
        else:
            route.abort()

    with window() as look:
        page = look.page
        stream = "**/portal/live/operations*"
        page.route(stream, refuse)
        look.open("/portal/operations")
        expect(page.locator("#notice")).to_contain_text("The database does not answer." if is_reached else "it is tried again by itself.")
        page.unroute(stream)
        forget_failures(look)
        expect(page.locator("#notice")).to_be_empty(timeout=30_000)
        row = page.locator("tr", has_text=name)
        expect(row).to_contain_text("Running")
        stock.change_operation(site, operation, status="Succeeded", ended_at=site.server.app.engine.now())
        expect(row).to_contain_text("Succeeded")
        forget_failures(look)
