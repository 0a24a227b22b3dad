"""What the page of a connector changes: scans, settings, solutions, tags, and its end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from isthmus.portal.words import connector_path
from isthmus.solutions import inventory
from isthmus.store.tables import scans, scopes
from tests.portal import connected, stock
from tests.portal.conftest import Site, Window
from tests.portal.connected import HOSTILE

SHOWN = HOSTILE.replace("\u202e", "")


@pytest.fixture(scope="module")
def busy(site: Site) -> str:
    """A connector in the middle of life."""
    return connected.busy(site)


@pytest.fixture(scope="module")
def home(busy: str) -> str:
    """Its page."""
    return connector_path(busy)


def test_a_scan_is_ordered_and_its_refusal_is_told_in_place(site: Site, window: Window, home: str) -> None:
    """The account of this site trusts nobody: the page follows to that end by itself."""
    with window() as look:
        page = look.open(f"{home}?tab=scan")
        page.get_by_label("Accept deletions").check()
        page.get_by_role("button", name="Scan now").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**operation=**")
        expect(page.locator("#scan-said")).to_contain_text("Did not begin")
        expect(page.get_by_role("button", name="Scan now")).to_be_visible()
    with window(javascript=False) as look:
        page = look.open(home)
        page.get_by_role("button", name="Scan now").click()
        page.wait_for_url("**operation=**")
        expect(page.locator("#scan-said")).to_be_visible()


def test_a_running_scan_is_live_to_its_end(site: Site, window: Window) -> None:
    id = connected.connector(site, "live-aws", "510987654321")
    solution = connected.solution(site, id, inventory.TYPE, "inv", status="InProgress")
    connected.scan(site, solution, "l:0", ago=9000, projections=1, outcomes={"complete": 3}, frozen={})
    for region in ("eu-west-1", "us-east-1"):
        connected.scope(site, solution, "l:0", region, "ec2Volumes", rows=5)
    connected.scan(site, solution, "l:1", status="InProgress", ago=3, took=None)
    with window() as look:
        page = look.open(f"{connector_path(id)}?tab=scan")
        expect(page.locator("#scan-said")).to_contain_text("Running")
        expect(page.locator("#scan-figures")).to_contain_text("0 of 2")
        page.evaluate("window.__same = true")
        _rescan(site, solution, "eu-west-1", "l:1")
        expect(page.locator("#scan-figures")).to_contain_text("1 of 2")
        row = page.locator("#scan-regions tr", has_text="eu-west-1")
        expect(row).to_contain_text("1 of 1")
        look.check("connector-scan-running")
        _rescan(site, solution, "us-east-1", "l:1", outcome="denied", action="ec2:DescribeVolumes", reason="no")
        summary = json.dumps({"projections": 5, "outcomes": {"complete": 1, "denied": 1}, "frozen": {}})
        with site.server.app.engine.store.begin() as connection:
            ended = {"status": "CompletedWithGaps", "ended_at": site.server.app.engine.now(), "summary": summary}
            connection.execute(update(scans).where(scans.c.id == "l:1").values(**ended))
        expect(page.locator("#scan-said")).to_contain_text("Completed with gaps")
        expect(page.get_by_text("Missing: ec2:DescribeVolumes")).to_be_visible()
        expect(page.get_by_role("button", name="Scan now")).to_be_visible()
        assert page.evaluate("window.__same") is True


def _rescan(site: Site, solution: str, region: str, scan: str, outcome: str = "complete", **more: Any) -> None:
    """A scope that the running scan has come to."""
    table = scopes
    with site.server.app.engine.store.begin() as connection:
        wanted = (table.c.solution == solution.lower(), table.c.region == region)
        connection.execute(update(table).where(*wanted).values(scan=scan, outcome=outcome, **more))


def test_settings_are_changed_and_refusals_stand_at_their_fields(site: Site, window: Window, busy: str, home: str) -> None:
    solution = f"{busy}/{connected.SOLUTIONS}/onboarding"
    with window() as look:
        look.refusals = 1
        page = look.open(f"{home}?tab=solutions")
        form = page.get_by_role("form", name="Settings of Arc onboarding")
        look.check("connector-solutions")
        form.get_by_label("Proxy").fill("ftp://nowhere")
        form.get_by_label("These only").check()
        form.get_by_label("Europe (Ireland)").check()
        form.get_by_label("Others").fill("eu-central-2")
        form.get_by_role("button", name="Save Arc onboarding").click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("proxyServer")
        expect(form.get_by_label("Proxy")).to_have_value("ftp://nowhere")
        expect(form.get_by_label("Europe (Ireland)")).to_be_checked()
        look.check("connector-solutions-refused")
        alert.get_by_role("link").click()
        page.keyboard.press("Control+A")
        page.keyboard.type("http://proxy.test:3128")
        page.keyboard.press("Enter")
        page.wait_for_url("**done=saved")
    settings = site.client.get(solution)["properties"]["solutionSettings"]
    assert settings["proxyServer"] == "http://proxy.test:3128"
    assert (settings["cloudProviderRegions"], settings["scanAllAWSRegions"]) == ("eu-west-1, eu-central-2", "false")


def test_a_stale_tab_overwrites_nothing(site: Site, window: Window, busy: str, home: str) -> None:
    solution = f"{busy}/{connected.SOLUTIONS}/inventory"
    with window() as look:
        look.refusals = 1
        page = look.open(f"{home}?tab=solutions")
        site.client.patch(solution, {"properties": {"solutionSettings": {"periodicSyncTime": "6"}}})
        form = page.get_by_role("form", name="Settings of Inventory")
        form.get_by_label("Periodic Sync Time").select_option("12")
        form.get_by_role("button", name="Save Inventory").click()
        expect(page.get_by_role("alert")).to_contain_text("Saved elsewhere in the meantime")
        expect(page.get_by_role("row", name="periodicSyncTime")).to_contain_text("6")
        look.check("connector-solutions-stale")
        assert site.client.get(solution)["properties"]["solutionSettings"]["periodicSyncTime"] == "6"
        form.get_by_role("button", name="Save Inventory").click()
        page.wait_for_url("**done=saved")
    assert site.client.get(solution)["properties"]["solutionSettings"]["periodicSyncTime"] == "12"


def test_a_solution_is_added_and_removed_without_scripts(site: Site, window: Window) -> None:
    id = connected.connector(site, "bare-aws", "710987654321")
    home = connector_path(id)
    with window(javascript=False) as look:
        look.refusals = 1
        page = look.open(home)
        expect(page.get_by_role("heading", name="No solution yet")).to_be_visible()
        for tab, heading in (
            ("scan", "This connector has no inventory"),
            ("permissions", "Nothing to test"),
            ("template", "No template is needed"),
            ("machines", "This connector does not onboard machines"),
            ("resources", "This connector has no inventory"),
        ):
            expect(look.open(f"{home}?tab={tab}").get_by_role("heading", name=heading)).to_be_visible()
        page = look.open(f"{home}?tab=solutions")
        form = page.get_by_role("form", name="Add Inventory")
        form.get_by_label("Name of the solution").fill("a")
        form.get_by_role("button", name="Add Inventory").click()
        expect(page.get_by_role("alert")).to_be_visible()
        form.get_by_label("Name of the solution").fill("inv")
        form.get_by_role("button", name="Add Inventory").click()
        page.wait_for_url("**done=added")
        page.get_by_role("link", name="Remove Inventory").click()
        expect(page.get_by_text("What stays:")).to_be_visible()
        page.get_by_role("button", name="Remove Inventory").click()
        page.wait_for_url("**done=removed")
    assert list(site.client.list(f"{id}/{connected.SOLUTIONS}")) == []


def test_what_is_not_there_is_said_as_well_as_what_is(site: Site, window: Window) -> None:
    empty, one = connected.connector(site, "empty-aws", "720987654321"), connected.connector(site, "single-aws", "730987654321")
    connected.solution(site, one, inventory.TYPE, "inv")
    with window() as look:
        for tab in ("overview", "solutions", "scan", "permissions", "template", "machines", "resources", "tags", "delete"):
            page = look.open(f"{connector_path(empty)}?tab={tab}")
            expect(page.get_by_role("heading", level=1)).to_contain_text("empty-aws")
            look.check(f"connector-empty-{tab}")
        page = look.open(f"{connector_path(one)}?tab=solutions")
        page.get_by_role("link", name="Remove Inventory").click()
        expect(page.get_by_text("What stays:")).to_be_visible()
        look.check("connector-solution-remove")
        page = look.open(f"{connector_path(one)}?tab=delete")
        expect(page.get_by_label("Type the name")).to_be_visible()
        look.check("connector-delete")


def test_tags_are_edited_by_keyboard_and_never_over_others(site: Site, window: Window, busy: str, home: str) -> None:
    with window() as look:
        look.refusals = 2
        page = look.open(f"{home}?tab=tags")
        page.get_by_label("Name 3").fill("bad<name>")
        page.get_by_label("Value 3").fill(HOSTILE)
        page.get_by_role("button", name="Save").last.click()
        expect(page.get_by_role("alert")).to_contain_text("bad<name>")
        look.check("connector-tags-refused")
        page.get_by_role("alert").get_by_role("link").click()
        page.keyboard.press("Control+A")
        page.keyboard.type("note")
        page.keyboard.press("Enter")
        page.wait_for_url("**done=tags")
        assert site.client.get(busy)["tags"]["note"] == HOSTILE
        site.client.patch(busy, {"tags": {"team": "green"}})
        page.get_by_role("button", name="Remove row 2").click()
        expect(page.get_by_role("button", name="Remove row 4")).to_have_count(0)
        page.get_by_role("button", name="Save").last.click()
        expect(page.get_by_role("alert")).to_contain_text("Saved elsewhere in the meantime")
        assert site.client.get(busy)["tags"] == {"team": "green"}
        look.check("connector-tags-stale")
        page.get_by_role("button", name="Save").last.click()
        expect(page.get_by_role("alert")).to_have_count(0)
        assert site.client.get(busy)["tags"] == {"team": "blue", "note": HOSTILE}
    with window(javascript=False) as look:
        page = look.open(f"{home}?tab=tags")
        page.get_by_label("Name 3").fill("third")
        page.get_by_role("button", name="Add a row").click()
        expect(page.get_by_label("Name 4")).to_be_visible()


def test_a_connector_is_removed_with_a_choice_and_its_end_is_shown(site: Site, window: Window) -> None:
    id = connected.busy(site, "going-aws", "810987654321")
    home = connector_path(id)
    with window() as look:
        look.refusals = 1
        page = look.open(home)
        page.get_by_role("link", name="Remove", exact=True).click()
        expect(page.get_by_text("What stays in any case:")).to_be_visible()
        page.get_by_label("Type the name").fill("going")
        page.keyboard.press("Enter")
        alert = page.get_by_role("alert")
        for text in ("Choose whether the resources", "Choose whether the machines", "Type going-aws, exactly so"):
            expect(alert).to_contain_text(text)
        look.check("connector-delete-refused")
        page.get_by_role("radio", name="Keep them").first.check()
        page.get_by_role("radio", name="Delete them").last.check()
        page.get_by_label("Type the name").fill("going-aws")
        page.keyboard.press("Enter")
        page.wait_for_url("**operation=**")
        expect(page.get_by_role("heading", name="going-aws is removed")).to_be_visible()
        expect(page.locator("#leaving-said")).to_contain_text("Solutions deleted")
        look.check("connector-removed")
        page.get_by_role("link", name="Connectors").last.click()
        expect(page.get_by_role("row", name="going-aws")).to_have_count(0)


def test_a_connector_that_leaves_or_could_not_leave_says_so(site: Site, window: Window) -> None:
    leaving = connected.connector(site, "leaving-aws", "820987654321", state="Deleting")
    stuck = connected.connector(site, "stuck-aws", "830987654321", state="Failed")
    running = stock.operation(site, leaving, kind="remove", result=json.dumps({"solutions": 1, "resources": 400, "isComplete": False}))
    with window() as look:
        page = look.open(connector_path(leaving))
        expect(page.get_by_text("This connector is being removed.")).to_be_visible()
        page.get_by_role("link", name="See how it goes").click()
        expect(page.locator("#leaving-said")).to_contain_text("400")
        look.check("connector-leaving")
        page.goto(f"{site.url}{connector_path(leaving)}?tab=delete&operation={running}")
        expect(page.locator("#leaving-said")).to_contain_text("Running")
        wrong = stock.error("Conflict", f"It could not {HOSTILE}")
        stock.change_operation(site, running, status="Failed", ended_at=site.server.app.engine.now(), error=wrong)
        expect(page.get_by_role("heading", name="leaving-aws could not be removed")).to_be_visible()
        assert SHOWN in page.locator("#leaving-said").inner_text().replace("\u202e", "")
        look.check("connector-not-removed")
        expect(look.open(connector_path(stuck)).get_by_text("Its removal stopped in the middle.")).to_be_visible()
        look.check("connector-stuck")
