"""Access of people before there is any: each step says what the next one is."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.portal import stock
from tests.portal.conftest import Site, Window
from tests.portal.holders import Holders


def test_an_empty_overview_says_what_to_do_next(site: Site, window: Window) -> None:
    with window() as look:
        page = look.open("/portal/")
        page.get_by_role("navigation", name="Portal").get_by_role("link", name="Access").click()
        expect(page.get_by_role("heading", name="No account is connected yet")).to_be_visible()
        expect(page.get_by_role("heading", name="Nobody holds credentials now")).to_be_visible()
        look.check("access-empty")
        stock.connector(site, "bare", "111111111111")
        page = look.open("/portal/access")
        expect(page.get_by_role("heading", name="No account gives people roles yet")).to_be_visible()
        holders = Holders(site)
        connector = holders.connector("people", "222222222222")
        page = look.open("/portal/access")
        expect(page.get_by_role("heading", name="Nobody may take a role yet")).to_be_visible()
        expect(page.get_by_role("link", name="Map a group")).to_have_count(2)

        page.get_by_role("link", name="Map a group").first.click()
        page.get_by_label("Connector required").select_option(connector)
