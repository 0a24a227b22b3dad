"""Add AWS in a browser: from start to end by mouse, by keyboard alone and without JavaScript; live arrival; lost sessions; hostile text."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from isthmus.arm.change import Change
from isthmus.arm.ids import parse_resource
from isthmus.portal.pages.kit import HOSTILE
from tests.contract.server import ACTOR
from tests.portal.browser import Look
from tests.portal.conftest import Site, Window

START = "/portal/connectors/add"
INVENTORY, ONBOARDING = "Microsoft.AssetManagement", "Microsoft.HybridCompute.Onboard"


@pytest.fixture
def account(site: Site) -> str:
    """An account of the test's own."""
    return site.server.account()


def fill_basics(page: Page, name: str, account: str) -> None:
    page.get_by_label("Resource group").fill("clouds")
    page.get_by_label("Connector name").fill(name)
    page.get_by_label("Region").select_option("eastus")
    page.get_by_label("AWS account id").fill(account)


def press(page: Page, button: str, step: str) -> None:
    """Press a button and arrive at a step."""
    page.get_by_role("button", name=button).click()
    page.wait_for_url(f"**/{step}")


def current(page: Page) -> str:
    return str(page.locator("nav[aria-label=Steps] [aria-current=step]").inner_text())


def create(look: Look) -> str:
    """Press Create; the id of the connector whose page comes next."""
    look.page.get_by_role("button", name="Create", exact=True).click()
    look.page.wait_for_url("**done=created")
    found = re.fullmatch(r".*/portal/connector(/.*)\?done=created", look.page.url)
    assert found is not None
    return found[1]


def settings_of(site: Site, connector: str) -> dict[str, dict[str, str]]:
    solutions = site.client.list(f"{connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations")
    return {one["name"]: one["properties"]["solutionSettings"] for one in solutions}


def draft_of(site: Site, page: Page) -> str:
    found = re.search(r"/add/([^/]+)/", page.url)
    assert found is not None
    return f"{site.root}/providers/Isthmus.Connect/drafts/{found[1]}"


def arrive(site: Site, draft: str, *kinds: str) -> None:
    """What the timetable writes when roles are there."""

    def decide(old: Any) -> Change:
        seen = {kind: {"status": "Arrived", "details": "It trusts us.", "checkedAt": "2026-01-01T00:00:00Z"} for kind in kinds}
        return Change(puts=(replace(old, properties={**old.properties, "arrivals": seen}),))

    site.server.app.engine.write(parse_resource(draft), decide, ACTOR, "test/arrivals")


def test_by_mouse(site: Site, window: Window, account: str) -> None:
    with window() as look:
        look.refusals = 2
        page = look.open(START)
        look.check("add-start")
        page.get_by_role("button", name="Next: Solutions").click()
        summary = page.get_by_role("alert")
        summary.get_by_role("link", name="Resource group is empty. Fill it in.").click()
        assert page.evaluate("document.activeElement.id") == "resource-group"
        look.check("add-basics-refused")
        fill_basics(page, "by-mouse", account)
        press(page, "Next: Solutions", "solutions")
        look.check("add-solutions")
        page.get_by_label("Add Arc onboarding").check()
        page.get_by_role("group", name="AWS services").get_by_label("These services only").check()
        page.get_by_label("Proxy server", exact=True).check()
        page.get_by_role("button", name="Next: Authentication template").click()
        expect(summary.get_by_role("link")).to_have_count(2)
        look.check("add-solutions-refused")
        page.get_by_label("EC2 and VPC").check()
        page.get_by_label("Proxy server URL").fill("http://proxy.test:3128")
        press(page, "Next: Authentication template", "template")
        assert page.get_by_role("heading", name="What the template allows, and why").is_visible()
        look.check("add-template")
        press(page, "Next: Tags", "tags")
        page.get_by_label("Name 1").fill("team")
        page.get_by_label("Value 1").fill("red")
        page.get_by_role("button", name="Add a row").click()
        expect(page.get_by_label("Name 2")).to_be_focused()
        page.keyboard.type("cost")
        page.get_by_role("button", name="Remove row 1").click()
        expect(page.get_by_label("Name 1")).to_have_value("cost")
        look.check("add-tags")
        press(page, "Next: Review + create", "review")
        look.check("add-review")
        page.get_by_role("link", name="Change AWS account id").click()
        page.wait_for_url("**/basics#account-id")
        press(page, "Review + create", "review")
        # The page of the connector may answer 404 until it is there.
        look.refusals = 1
        connector = create(look)
    settings = settings_of(site, connector)
    assert settings["inventory"]["cloudProviderServiceTypes"] == "ec2"
    assert settings["onboarding"]["proxyServer"] == "http://proxy.test:3128"
    assert site.client.get(connector)["tags"] == {"cost": ""}


def tab_to(page: Page, id: str) -> None:
    """Press Tab until an element has the focus, which must be seen."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id || document.activeElement.value || document.activeElement.innerText") == id:
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    raise AssertionError(f"Tab does not reach {id}")


def test_by_keyboard_alone(site: Site, window: Window, account: str) -> None:
    with window() as look:
        page = look.open(START)
        for field, text in (("resource-group", "clouds"), ("connector-name", "by-keyboard")):
            tab_to(page, field)
            page.keyboard.type(text)
        tab_to(page, "location")
        page.keyboard.type("East US")
        tab_to(page, "account-id")
        page.keyboard.type(account)
        page.keyboard.press("Enter")
        page.wait_for_url("**/solutions")
        tab_to(page, "inventory-period")
        page.keyboard.press("ArrowDown")
        tab_to(page, "inventory-regions-all")
        page.keyboard.press("ArrowDown")
        tab_to(page, "inventory-region-2")
        page.keyboard.press("Space")
        tab_to(page, "onboarding")
        page.keyboard.press("Space")
        tab_to(page, "onboarding-tag")
        page.keyboard.type("arc:yes")
        page.keyboard.press("Enter")
        page.wait_for_url("**/template")
        tab_to(page, "next")
        page.keyboard.press("Enter")
        page.wait_for_url("**/tags")
        tab_to(page, "tag-name-1")
        page.keyboard.type("team")
        tab_to(page, "add")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Name 2")).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url("**/review")
        tab_to(page, "create")
        look.refusals = 1
        page.keyboard.press("Enter")
        page.wait_for_url("**done=created")
        connector = page.url.partition("/portal/connector")[2].partition("?")[0]
    settings = settings_of(site, connector)
    assert (settings["inventory"]["periodicSyncTime"], settings["inventory"]["cloudProviderRegions"]) == ("2", "us-east-2")
    assert settings["onboarding"]["arcOnboardEc2FilterTag"] == "arc:yes"


def test_without_javascript(site: Site, window: Window, account: str) -> None:
    with window(javascript=False) as look:
        page = look.open(START)
        look.refusals = 1
        page.get_by_role("button", name="Next: Solutions").click()
        expect(page.get_by_text("4 things need your attention")).to_be_visible()
        fill_basics(page, "without-script", account)
        press(page, "Next: Solutions", "solutions")
        page.get_by_label("Add Arc onboarding").check()
        press(page, "Next: Authentication template", "template")
        page.get_by_role("button", name="Check now").click()
        page.wait_for_url("**/template?check=*")
        for _ in range(20):
            # The server looks for itself meanwhile, in an AWS that trusts nobody, and may say otherwise.
            arrive(site, draft_of(site, page), INVENTORY)
            page.get_by_role("link", name="load this page again").click()
            page.wait_for_load_state()
            if page.get_by_role("row", name="Inventory Arrived").count():
                break
            page.wait_for_timeout(250)
        assert page.get_by_role("row", name="Inventory Arrived").is_visible()
        press(page, "Next: Tags", "tags")
        page.get_by_label("Name 1").fill("team")
        page.get_by_label("Value 1").fill("red")
        page.get_by_role("button", name="Add a row").click()
        page.get_by_label("Name 2").fill("cost")
        page.get_by_role("button", name="Add a row").click()
        page.get_by_role("button", name="Remove row 2").click()
        expect(page.get_by_label("Name 1")).to_have_value("team")
        expect(page.get_by_label("Name 2")).to_have_value("")
        press(page, "Next: Review + create", "review")
        look.refusals = 1
        connector = create(look)
    assert site.client.get(connector)["tags"] == {"team": "red"}


def test_the_stack_is_seen_to_arrive_live(site: Site, window: Window, account: str) -> None:
    with window() as look:
        page = look.open(START)
        fill_basics(page, "live", account)
        press(page, "Next: Solutions", "solutions")
        press(page, "Next: Authentication template", "template")
        page.get_by_role("button", name="Check now").click()
        # The account denies; the answer comes without a reload.
        page.get_by_text("does not let us assume the role").wait_for()
        page.get_by_text("The account was asked").wait_for()
        page.evaluate("window.untouched = true")
        arrive(site, draft_of(site, page), INVENTORY)
        expect(page.locator("#arrivals-said")).to_have_text("The stack has arrived: every role trusts this connector.")
        assert page.get_by_role("row", name="Inventory Arrived").is_visible()
        assert page.evaluate("window.untouched") is True
        look.check("add-template-arrived")
        page.get_by_role("button", name="Copy").first.wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download template.json").click()
        told = site.client.post(f"{draft_of(site, page)}/template").body
        assert download.value.suggested_filename == "template.json"
        assert download.value.path().read_text() == told["text"]


def test_a_lost_session_costs_nothing_that_was_typed(site: Site, window: Window, account: str) -> None:
    secret = site.sign_in(site.server.app.installation.admin, "Administrator")
    with window(secret=secret) as look:
        page = look.open(START)
        fill_basics(page, "lost-session", account)
        site.server.app.sign_in.sessions.close(secret)
        look.refusals = 1
        page.get_by_role("button", name="Next: Solutions").click()
        page.get_by_text("Your session has ended.").wait_for()
        assert page.get_by_text("lost-session").is_visible()
        again = site.sign_in(site.server.app.installation.admin, "Administrator")
        cookie = {"name": "__Host-isthmus", "value": again, "url": site.url, "secure": True, "httpOnly": True, "sameSite": "Lax"}
        look.context.add_cookies([cookie])  # type: ignore[list-item]
        look.refusals = 1
        page.get_by_role("button", name="Send again").click()
        page.get_by_text("This page was opened under an earlier sign-in.").wait_for()
        page.get_by_role("button", name="Send again").click()
        page.wait_for_url("**/solutions")
        press(page, "Previous: Basics", "basics")
        expect(page.get_by_label("Connector name")).to_have_value("lost-session")


def test_two_tabs_do_not_overwrite_each_other(site: Site, window: Window, account: str) -> None:
    with window() as look:
        page = look.open(START)
        fill_basics(page, "two-tabs", account)
        press(page, "Next: Solutions", "solutions")
        press(page, "Previous: Basics", "basics")
        other = look.context.new_page()
        other.goto(page.url)
        other.get_by_label("Connector name").fill("other-tab")
        press(other, "Next: Solutions", "solutions")
        page.get_by_label("Connector name").fill("this-tab")
        look.refusals = 1
        page.get_by_role("button", name="Next: Solutions").click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("Saved elsewhere in the meantime")
        expect(page.get_by_label("Connector name")).to_have_value("this-tab")
        look.check("add-stale")
        alert.get_by_role("link", name="take what is saved").click()
        expect(page.get_by_label("Connector name")).to_have_value("other-tab")


def test_drafts_are_offered_and_discarded(site: Site, window: Window, account: str) -> None:
    with window() as look:
        page = look.open(START)
        fill_basics(page, "to-discard", account)
        press(page, "Next: Solutions", "solutions")
        page.get_by_role("button", name="Save and close").click()
        page.wait_for_url("**/add?done=kept")
        look.check("add-start-drafts")
        page.get_by_role("link", name="Continue to-discard").click()
        page.wait_for_url("**/solutions")
        address = page.url
        page.get_by_role("link", name="Discard the draft").click()
        look.check("add-discard")
        page.get_by_role("link", name="Keep it").click()
        page.get_by_role("link", name="Discard the draft").click()
        page.get_by_role("button", name="Discard", exact=True).click()
        page.wait_for_url("**/add?done=discarded")
        assert page.get_by_text("to-discard").count() == 0
        look.refusals = 1
        page.goto(address)
        assert page.get_by_role("heading", name="This draft is not there any more").is_visible()
        look.check("add-gone")


def hostile_draft(site: Site) -> str:
    """A draft full of what nobody should type."""
    text = dict(enumerate(HOSTILE))
    properties = {
        "step": "review",
        "basics": {"resourceGroup": text[0], "connectorName": text[1], "location": text[2], "accountId": text[3]},
        "solutions": {
            "inventory": {"enabled": True, "settings": {"cloudProviderRegions": text[5], "cloudProviderServiceTypes": text[0]}},
            "onboarding": {"enabled": True, "settings": {"proxyServer": text[4], "arcOnboardEc2FilterTag": text[5]}},
        },
        "tags": {one: one for one in HOSTILE},
        "repeatedTags": [{"name": HOSTILE[0], "value": HOSTILE[1]}],
    }
    site.client.put(f"{site.root}/providers/Isthmus.Connect/drafts/hostile", {"properties": properties})
    return f"{START}/hostile"


def test_hostile_text_stays_text(site: Site, window: Window) -> None:
    base = hostile_draft(site)
    with window() as look:
        look.page.on("dialog", lambda dialog: look.problems.append(f"a script ran: {dialog.message}"))
        for step in ("basics", "solutions", "template", "tags", "review"):
            page = look.open(f"{base}/{step}")
            assert page.locator("#main b").count() == 0
            assert page.locator("hx-partial").count() == 0
            if step in ("tags", "review"):
                look.check(f"add-hostile-{step}")
        assert page.get_by_text(HOSTILE[0]).count() >= 3
        look.open(START)
        assert look.page.get_by_role("link", name=f"Continue {HOSTILE[1]}").is_visible()
        look.open(f"{base}/discard")
        look.refusals = 1
        look.open(f"{base}/basics").get_by_role("button", name="Next: Solutions").click()
        look.page.get_by_role("alert").wait_for()
        assert look.page.locator("#main img").count() == 0
    site.client.delete(f"{site.root}/providers/Isthmus.Connect/drafts/hostile")


@pytest.mark.parametrize("kind", ["plain", "hostile"])
def test_a_narrow_window_loses_nothing(site: Site, window: Window, kind: str) -> None:
    base = hostile_draft(site)
    if kind == "plain":
        basics = {"resourceGroup": "clouds", "connectorName": "narrow", "location": "eastus", "accountId": site.server.account()}
        both = {"inventory": {"enabled": True}, "onboarding": {"enabled": True}}
        body = {"properties": {"step": "review", "basics": basics, "solutions": both, "tags": {"team": "red"}}}
        site.client.put(f"{site.root}/providers/Isthmus.Connect/drafts/hostile", body)
    with window(width=320, height=640) as look:
        for step in ("basics", "solutions", "template", "tags", "review", "discard"):
            page = look.open(f"{base}/{step}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, step
        if kind == "plain":
            look.open(f"{base}/template")
            look.check("add-template-narrow")
        look.open(START)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    site.client.delete(f"{site.root}/providers/Isthmus.Connect/drafts/hostile")
