"""The page of a connector, tab by tab: what it shows, what it does, live and without scripts, and for whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import expect

from isthmus.client import Client
from isthmus.identity.roles import READER
from isthmus.portal.words import connector_path
from isthmus.solutions import inventory, onboarding
from tests.contract.server import give
from tests.portal import connected, stock
from tests.portal.conftest import Site, Window
from tests.portal.connected import HOSTILE

LOOKER = "5a0f7a3e-0000-4000-8000-000000000002"
STRANGER = "5a0f7a3e-0000-4000-8000-000000000001"
SHOWN = HOSTILE.replace("\u202e", "")


@pytest.fixture(scope="module")
def busy(site: Site) -> str:
    """A connector in the middle of life."""
    return connected.busy(site)


@pytest.fixture(scope="module")
def home(busy: str) -> str:
    """Its page."""
    return connector_path(busy)


@pytest.fixture(scope="module")
def looker(site: Site, busy: str) -> str:
    """The session of somebody who may read the subscription."""
    give(site.server.app, LOOKER, READER.id, site.root)
    return site.sign_in(LOOKER)


def verdicts(site: Site, connector: str) -> str:
    """A test of permissions that has ended: one action refused, one not tested."""
    action = {"action": "ec2:DescribeVolumes", "allowed": True, "message": ""}
    refused = {"action": "sqs:ListQueues", "allowed": False, "message": f"no {HOSTILE}"}
    unknown = {"action": "kms:ListKeys", "allowed": None, "message": "The simulator may not be asked."}
    result = {
        "solutionTypes": [
            {
                "solutionType": inventory.TYPE,
                "status": "Connected",
                "statusDetails": "1 of 3 actions are not allowed: sqs:ListQueues.",
                "remedy": "Create or update the stack.",
                "actions": [action, refused, unknown],
            },
            {"solutionType": onboarding.TYPE, "status": "Disconnected", "statusDetails": HOSTILE, "remedy": "Deploy it.", "actions": []},
        ]
    }
    return stock.operation(site, connector, "Succeeded", kind="test-permissions", result=json.dumps(result))


def comparison(site: Site, connector: str) -> str:
    """A comparison that has ended: one role drifted, one in step."""
    differences = [
        {"what": f"policy {HOSTILE}", "kind": "missing", "detail": "The statement ReadQueues is not there."},
        {"what": "trust", "kind": "changed", "detail": "The audience differs."},
    ]
    result = {
        "solutionTypes": [
            {
                "solutionType": inventory.TYPE,
                "role": "IsthmusInventory-1",
                "status": "Drifted",
                "details": "2 differences.",
                "differences": differences,
            },
            {"solutionType": onboarding.TYPE, "role": "IsthmusOnboarding-1", "status": "InStep", "details": "The same.", "differences": []},
        ]
    }
    return stock.operation(site, connector, "Succeeded", kind="compare-template", result=json.dumps(result))


def test_the_overview_says_what_needs_a_person_and_where(window: Window, home: str) -> None:
    with window() as look:
        page = look.open(home)
        expect(page.get_by_role("heading", name="demo-aws")).to_be_visible()
        needs = page.locator(".needs li")
        expect(needs).to_have_count(4)
        expect(needs.filter(has_text="sqs:ListQueues is not allowed")).to_contain_text("Update the CloudFormation stack")
        assert SHOWN in page.locator(".needs").inner_text().replace("\u202e", "")
        expect(page.get_by_role("link", name="See these machines")).to_have_attribute(
            "href",
            "/portal/machines?connector="
            + page.url.partition("/portal/connector")[2].replace("/", "%2F")
            + "&status=blocked&code=NO_PROFILE",
        )
        tiles = page.locator(".tiles")
        expect(tiles).to_contain_text("of 3 found")
        look.check("connector-overview")
        page.get_by_role("link", name="See the gaps").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**tab=scan#gaps-title")


def test_gaps_are_filtered_and_say_what_is_missing(window: Window, home: str) -> None:
    with window() as look:
        page = look.open(f"{home}?tab=scan")
        expect(page.get_by_text("Deletions are frozen.")).to_be_visible()
        gaps = page.locator("table", has_text="What became of it").locator("tbody tr")
        expect(gaps).to_have_count(2)
        row = page.get_by_role("row", name="sqsQueues").filter(has_text="Missing: sqs:ListQueues")
        expect(row).to_contain_text("Update the CloudFormation stack in account 123456789012")
        expect(row).to_contain_text("3 resources kept as before")
        assert SHOWN in row.inner_text().replace("\u202e", "")
        expect(page.get_by_role("row", name="No way")).to_contain_text("Failed")
        expect(page.get_by_role("row", name="231 resources, 6 scopes listed, 2 gaps, deletions frozen in eu-west-1")).to_be_visible()
        look.check("connector-scan")
        page.get_by_label("Service", exact=True).select_option("sqs")
        page.get_by_role("button", name="Filter").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**service=sqs**")
        expect(gaps).to_have_count(1)
        page.get_by_label("Service", exact=True).select_option("")
        page.get_by_label("What became of it").select_option("not-selected")
        page.get_by_role("button", name="Filter").click()
        expect(gaps).to_contain_text("eu-north-1")
        expect(gaps).to_contain_text("Scan and accept deletions")
        page.goto(page.url.replace("not-selected", "throttled"))
        expect(page.get_by_role("heading", name="No such gaps")).to_be_visible()


def test_permissions_are_tested_and_filtered_to_what_is_refused(site: Site, window: Window, busy: str, home: str) -> None:
    with window() as look:
        page = look.open(f"{home}?tab=permissions")
        expect(page.get_by_text("Not tested yet")).to_be_visible()
        page.get_by_role("button", name="Test permissions").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**operation=**")
        expect(page.locator("#test-said")).to_contain_text("Done")
        expect(page.locator("#test")).to_contain_text("Not connected")
        operation = verdicts(site, busy)
        page.goto(f"{site.url}{home}?tab=permissions&operation={operation}")
        row = page.get_by_role("row", name="sqs:ListQueues")
        expect(row).to_contain_text("Refused")
        assert SHOWN in row.inner_text().replace("\u202e", "")
        look.check("connector-permissions")
        page.get_by_role("link", name="Refused (1)").click()
        page.wait_for_url("**show=refused**")
        expect(page.locator("#test tbody tr")).to_have_count(1)
        expect(page.get_by_role("link", name="Refused (1)")).to_have_attribute("aria-current", "page")
    with window(javascript=False) as look:
        page = look.open(f"{home}?tab=permissions&operation={operation}")
        expect(page.get_by_role("row", name="kms:ListKeys")).to_contain_text("Not tested")
        page.get_by_role("button", name="Test permissions").click()
        page.wait_for_url("**operation=**")
        expect(page.locator("#test-said")).to_be_visible()


def test_an_operation_of_another_connector_is_not_shown_here(site: Site, window: Window, home: str) -> None:
    other = connected.connector(site, "other-aws", "610987654321")
    foreign = verdicts(site, other)
    with window() as look:
        page = look.open(f"{home}?tab=template&operation={foreign}")
        expect(page.get_by_role("heading", name="Does the account have it?")).to_be_visible()
        assert "sqs:ListQueues is" not in page.locator("#compare").inner_text()


def test_the_template_is_explained_downloaded_and_compared(site: Site, window: Window, busy: str, home: str) -> None:
    with window() as look:
        page = look.open(f"{home}?tab=template")
        expect(page.get_by_role("heading", name="What the template allows, and why")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download template.json").click()
        assert json.loads(download.value.path().read_text())["Resources"]
        operation = comparison(site, busy)
        page.goto(f"{site.url}{home}?tab=template&operation={operation}")
        assert SHOWN in page.locator("#compare").inner_text().replace("\u202e", "")
        expect(page.locator("#compare")).to_contain_text("Missing in the account")
        expect(page.locator("#compare")).to_contain_text("In step")
        look.check("connector-template")
        page.get_by_role("button", name="Compare with what is deployed").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "operation=" in url and operation not in url)
        expect(page.locator("#compare")).to_contain_text("Not deployed")


def test_machines_and_resources_are_counted_and_lead_on(window: Window, home: str) -> None:
    with window() as look:
        page = look.open(f"{home}?tab=machines")
        expect(page.locator(".tiles")).to_contain_text("Blocked")
        expect(page.get_by_role("row", name="NO_PROFILE")).to_contain_text("instance profile")
        look.check("connector-machines")
        page.get_by_role("button", name="Look for instances now").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**done=sync")
        page = look.open(f"{home}?tab=resources")
        expect(page.get_by_role("row", name="ec2Volumes")).to_contain_text("2")
        expect(page.get_by_role("link", name="eu-west-1")).to_have_attribute(
            "href", "/portal/inventory?account=123456789012&region=eu-west-1"
        )
        look.check("connector-resources")


def test_readers_see_everything_and_no_buttons(site: Site, window: Window, home: str, looker: str) -> None:
    with window(secret=looker) as look:
        for tab in ("", "scan", "solutions", "permissions", "template", "machines", "resources", "tags", "delete"):
            page = look.open(f"{home}?tab={tab}")
            expect(page.get_by_text("You may look at this connector.")).to_be_visible()
            assert page.locator("main form[method=post]").count() == 0
        page = look.open(f"{home}?tab=solutions")
        look.check("connector-solutions-reader")


def test_a_form_of_a_reader_is_refused_in_place(site: Site, home: str, looker: str, window: Window) -> None:
    with window(secret=looker) as look:
        look.refusals = 1
        page = look.open(f"{home}?tab=permissions")
        page.evaluate(
            """() => { const form = document.createElement('form'); form.method = 'post'; form.id = 'forged';
            form.append(document.querySelector('input[name=_token]').cloneNode()); document.querySelector('#test').append(form); }"""
        )
        with page.expect_navigation():
            page.evaluate("document.querySelector('#forged').submit()")
        expect(page.get_by_role("alert")).to_contain_text("authorization")


def test_strangers_see_nothing_and_addresses_that_name_nothing_say_so(site: Site, window: Window, home: str) -> None:
    with window(secret=site.sign_in(STRANGER)) as look:
        look.refusals = 1
        expect(look.open(home).get_by_role("heading", name="Not allowed")).to_be_visible()
    with window() as look:
        look.refusals = 3
        for path in ("/portal/connector/nothing", f"{home}x", f"/portal/connector{site.root}/resourceGroups/clouds"):
            expect(look.open(path).get_by_role("heading", name="Not found")).to_be_visible()


def test_every_tab_fits_a_narrow_window(window: Window, home: str) -> None:
    with window(width=320, height=640) as look:
        for tab in ("", "scan", "solutions", "permissions", "template", "machines", "resources", "tags", "delete"):
            page = look.open(f"{home}?tab={tab}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, tab


def test_programs_get_every_tab(site: Site, home: str) -> None:
    for tab in ("overview", "scan", "solutions", "permissions", "template", "machines", "resources", "tags", "delete"):
        found = stock.fetch(site, f"{home}?tab={tab}")
        assert found["head"]["name"] == "demo-aws", tab


def test_no_tab_costs_more_than_six_calls(site: Site, home: str, busy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Besides the list of subscriptions, which every page has."""
    calls: list[str] = []
    plain = Client._call

    def counting(client: Client, method: str, path: str, *rest: Any, **more: Any) -> Any:
        calls.append(path)
        return plain(client, method, path, *rest, **more)

    operation = verdicts(site, busy)
    monkeypatch.setattr(Client, "_call", counting)
    for tab in ("overview", "scan", "solutions", "permissions", "template", "machines", "resources", "tags", "delete"):
        for query in ("", f"&operation={operation}"):
            calls.clear()
            stock.fetch(site, f"{home}?tab={tab}{query}")
            own = [path for path in calls if path != "/subscriptions"]
            assert 0 < len(own) <= 6, (tab, query, own)
