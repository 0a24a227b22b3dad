"""The list of connectors: its figures, filters and order, drafts, the empty state, and who sees it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from isthmus.identity.roles import READER
from isthmus.solutions import inventory
from tests.contract.server import give
from tests.portal import connected
from tests.portal.conftest import Site, Window
from tests.portal.stock import fetch

STRANGER = "5a0f7a3e-0000-4000-8000-000000000001"
LOOKER = "5a0f7a3e-0000-4000-8000-000000000002"


@pytest.fixture(scope="module")
def stocked(site: Site) -> str:
    """A busy connector, one that waits for its account, one that leaves, one without anything; and a draft."""
    id = connected.busy(site)
    waiting = connected.connector(site, "waiting-aws", "210987654321")
    connected.solution(
        site, waiting, inventory.TYPE, "inv", status="AuthorizationPending", statusDetails=connected.HOSTILE, lastSyncTime=None
    )
    connected.connector(site, "leaving-aws", "310987654321", state="Deleting")
    connected.connector(site, "bare-aws", "410987654321")
    draft = {"step": "solutions", "basics": {"connectorName": connected.HOSTILE, "accountId": "999999999999"}}
    site.client.put(f"{site.root}/providers/Isthmus.Connect/drafts/d1", {"properties": draft})
    return id


def test_before_the_first_connector_the_page_says_what_will_happen(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/connectors")
        expect(page.get_by_role("heading", name="Connect your first AWS account")).to_be_visible()
        expect(page.locator("ol.way li")).to_have_count(3)
        look.check("connectors-empty")
        page.locator("main").get_by_role("link", name="Add AWS").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/portal/connectors/add")


def test_connectors_are_shown_with_their_figures_and_lead_on(window: Window, stocked: str) -> None:
    with window() as look:
        page = look.open("/portal/connectors?done=kept")
        expect(page.locator(".toast")).to_have_text("What you typed is kept as a draft.")
        row = page.get_by_role("row", name="demo-aws")
        for text in ("AWS 123456789012", "Single account", "Completed with gaps", "2 of 3"):
            expect(row).to_contain_text(text)
        expect(row.get_by_role("link", name="2 gaps of demo-aws")).to_have_text("2")
        expect(row.get_by_role("link", name="3 resources of demo-aws")).to_have_text("3")
        expect(page.get_by_role("row", name="waiting-aws")).to_contain_text("Waits for authorization")
        expect(page.get_by_role("row", name="leaving-aws")).to_contain_text("Being removed")
        draft = page.get_by_role("row", name="999999999999")
        expect(draft.get_by_role("link", name="Continue")).to_be_visible()
        assert "{{ 7 * 7 }}" in draft.inner_text()
        look.check("connectors")
        draft.get_by_role("link", name="Discard").click()
        page.wait_for_url("**/discard")
        page.go_back()
        row.get_by_role("link", name="2 gaps of demo-aws").click()
        page.wait_for_url("**/demo-aws?tab=scan#gaps-title")


def test_the_list_is_filtered_and_sorted_by_keyboard_and_its_view_is_a_link(window: Window, stocked: str) -> None:
    with window() as look:
        page = look.open("/portal/connectors")
        page.get_by_label("Name or account").focus()
        page.keyboard.type("-AWS")
        page.keyboard.press("Tab")
        page.get_by_label("Status").select_option("AuthorizationPending")
        page.get_by_role("button", name="Filter").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/portal/connectors?name=-AWS&status=AuthorizationPending")
        expect(page.locator("tbody tr").first).to_contain_text("waiting-aws")
        page.get_by_role("link", name="Show all").click()
        page.wait_for_url("**/portal/connectors")
        names = page.locator("tbody th a bdi")
        assert names.all_inner_texts()[:4] == ["bare-aws", "demo-aws", "leaving-aws", "waiting-aws"]
        page.get_by_role("link", name="Resources", exact=True).focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**order=resources+desc")
        assert names.first.inner_text() == "demo-aws"
        expect(page.locator("th[aria-sort=descending]")).to_have_text("Resources")
        look.open("/portal/connectors?name=nothing")
        expect(page.get_by_role("heading", name="No connector matches")).to_be_visible()
        look.check("connectors-no-match")


def test_the_list_works_without_scripts_and_in_a_narrow_window(window: Window, stocked: str) -> None:
    with window(javascript=False, width=320, height=640) as look:
        page = look.open("/portal/connectors")
        page.get_by_label("Name or account").fill("demo")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody th a bdi").first).to_have_text("demo-aws")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_readers_look_and_strangers_do_not(site: Site, window: Window, stocked: str) -> None:
    give(site.server.app, LOOKER, READER.id, site.root)
    with window(secret=site.sign_in(LOOKER)) as look:
        expect(look.open("/portal/connectors").get_by_role("row", name="demo-aws")).to_be_visible()
    with window(secret=site.sign_in(STRANGER)) as look:
        look.refusals = 1
        expect(look.open("/portal/connectors").get_by_role("heading", name="Not allowed")).to_be_visible()


def test_programs_get_the_list_as_it_is(site: Site, stocked: str) -> None:
    found = fetch(site, "/portal/connectors?order=name")
    assert [one["name"] for one in found["lines"]] == ["bare-aws", "demo-aws", "leaving-aws", "waiting-aws"]
    assert found["drafts"][0]["account"] == "999999999999"
