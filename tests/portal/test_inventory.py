"""The list of resources at 100,000 rows: walked through by mouse, by keyboard and without scripts, filtered, ordered, saved."""

from __future__ import annotations

import csv
import io
import uuid
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from isthmus.identity.roles import READER
from isthmus.portal.pages.inventory import download
from isthmus.portal.pages.inventory.download import Batch, as_csv, as_json
from tests.contract.server import give
from tests.portal.conftest import Site, Window
from tests.portal.estate import ACCOUNT, HOSTILE, fill, projection

MANY = 100_000
SHOWN = "[...document.querySelectorAll('v-rows tbody tr[aria-rowindex]')]"
IN_VIEW = f"""(() => {{ const box = document.querySelector('v-rows .scroll').getBoundingClientRect(); const found = {SHOWN}
  .filter((row) => row.getBoundingClientRect().top >= box.top + 30 && row.getBoundingClientRect().bottom <= box.bottom);
  return found.length ? Number(found[0].ariaRowIndex) - 1 : 0; }})()"""


@pytest.fixture(scope="module", autouse=True)
def _many(site: Site) -> None:
    fill(site.server, MANY)
    site.client.put(f"{site.root}/resourceGroups/aws_{ACCOUNT}", {"location": "westeurope"})
    site.server.store(*(projection(site.server, f"vpc-{number}", called=text) for number, text in enumerate(HOSTILE)))


def scroll_to(page: Page, row: int) -> None:
    """Scroll as a mouse would, and wait until that row is there."""
    page.evaluate("row => { document.querySelector('v-rows .scroll').scrollTop = (row - 1) * 36; }", row)
    page.locator(f'v-rows tr[aria-rowindex="{row + 1}"]').wait_for()


def asked(site: Site, path: str, secret: str = "", accept: str = "text/html") -> httpx.Response:
    """A page as a program gets it."""
    cookies = {"__Host-isthmus": secret or site.secret}
    return httpx.get(site.url + path, verify=str(site.server.ca), cookies=cookies, headers={"Accept": accept}, timeout=60)


def test_a_hundred_thousand_rows_are_walked_through_with_few_in_the_page(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/inventory")
        page.get_by_role("status").get_by_text("100\u202f007 resources").wait_for()
        table = page.get_by_role("table", name="Resources")
        assert table.get_attribute("aria-rowcount") == "100008"
        for row in (90_000, 1, 50_050, 100_007):
            scroll_to(page, row)
            assert page.locator("v-rows tbody tr").count() <= 305
        assert page.evaluate(f"{SHOWN}.every((row, place, all) => !place || row.offsetTop - all[place - 1].offsetTop === 36)")
        scroll_to(page, 90_000)
        page.wait_for_url("**/portal/inventory?skip=89999")
        page.reload()
        page.wait_for_function(f"() => {IN_VIEW} === 90000")
        assert page.get_by_role("region", name="Resources").get_attribute("tabindex") == "0"


def test_the_keyboard_alone_goes_everywhere(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/inventory?order=name&account=200000000001")
        page.get_by_role("status").get_by_text("15\u202f000 resources").wait_for()
        page.get_by_role("region", name="Resources").focus()
        page.keyboard.press("End")
        page.locator('tr[aria-rowindex="15001"]').wait_for()
        page.keyboard.press("Home")
        page.locator('tr[aria-rowindex="2"]').wait_for()
        page.keyboard.press("PageDown")
        page.wait_for_function(f"() => {IN_VIEW} > 5")
        page.get_by_label("Go to row").focus()
        page.keyboard.type("7000")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.activeElement.closest('tr')?.ariaRowIndex === '7001'")
        assert page.evaluate("document.activeElement.textContent") == "res-021999"
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "res-021999"
        page.evaluate("document.querySelector('v-rows .scroll').scrollTop = 0")
        page.locator('tr[aria-rowindex="2"]').wait_for()
        assert page.evaluate("document.activeElement.className") == "scroll", "the focus is not lost with its row"


def test_rows_that_cannot_be_read_are_said_and_tried_again(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/inventory")
        page.get_by_role("status").get_by_text("resources").wait_for()
        page.wait_for_load_state("networkidle")
        page.route("**/portal/inventory/rows*", lambda route: route.abort())
        page.evaluate("document.querySelector('v-rows .scroll').scrollTop = 36 * 60000")
        page.get_by_text("Rows could not be read. The server does not answer.").wait_for()
        page.unroute("**/portal/inventory/rows*")
        look.problems[:] = [one for one in look.problems if "ERR_FAILED" not in one]
        scroll_to(page, 60_010)
        page.wait_for_function("() => !document.getElementById('notice').textContent")
        look.context.clear_cookies()
        page.evaluate("document.querySelector('v-rows .scroll').scrollTop = 36 * 20000")
        page.get_by_text("You are signed out: sign in again in another tab.").wait_for()
        # What was refused just before `unroute` may be told a moment after it.
        look.problems[:] = [one for one in look.problems if "401" not in one and "ERR_FAILED" not in one]


def test_it_is_filtered_ordered_and_widened_by_links_and_a_form(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/inventory")
        page.get_by_label("Tag").fill("team:red")
        page.get_by_label("Region").fill("us-east-1")
        page.keyboard.press("Enter")
        page.wait_for_url("**/portal/inventory?*tag=team%3Ared*")
        page.get_by_role("link", name="ec2VPCs").click()
        page.wait_for_url("**type=ec2VPCs*")
        current = page.get_by_role("complementary").get_by_role("link", name="ec2VPCs")
        current.wait_for()
        assert current.get_attribute("aria-current") == "true"
        page.get_by_role("columnheader", name="Name").get_by_role("link").click()
        page.wait_for_url("**order=name")
        page.get_by_role("columnheader", name="Name").get_by_role("link").click()
        page.wait_for_url("**order=name+desc")
        assert page.get_by_role("columnheader", name="Name").get_attribute("aria-sort") == "descending"
        names = page.locator("v-rows tbody th").all_inner_texts()
        assert names == sorted(names, reverse=True)
        assert len(names) >= 100
        page.get_by_role("link", name="Remove the filter Tag: team:red").click()
        page.wait_for_url(lambda url: "tag" not in url and "type=ec2VPCs" in url)
        page.goto(look.url + "/portal/inventory?name=no-such-thing")
        assert page.get_by_role("heading", name="Nothing matches").is_visible()
        look.check("inventory-nothing")


def test_a_filter_that_cannot_be_is_said_at_its_field(window: Window) -> None:
    with window() as look:
        look.refusals = 1
        page = look.open("/portal/inventory?account=12&name=kept")
        field = page.get_by_label("AWS account")
        assert field.get_attribute("aria-invalid") == "true"
        assert page.get_by_label("Name, id or ARN").input_value() == "kept"
        page.get_by_role("alert").get_by_role("link", name="12 digits").click()
        assert page.evaluate("document.activeElement.id") == "account"
        look.check("inventory-refused")


def test_without_scripts_pages_follow_each_other(window: Window) -> None:
    with window(javascript=False, width=320) as look:
        page = look.open("/portal/inventory?order=name&account=200000000001")
        assert page.locator("v-rows tbody tr").count() == 100
        page.get_by_role("link", name="Next").click()
        expect(page.locator("v-rows tbody th").first).to_have_text("res-015100")
        page.get_by_label("Go to row").fill("15000")
        page.get_by_role("button", name="Go", exact=True).click()
        expect(page.locator("v-rows tbody th").last).to_have_text("res-029999")
        assert page.get_by_role("link", name="Next").count() == 0
        page.get_by_role("link", name="Previous").click()
        page.get_by_role("link", name="show what the list can be narrowed to").click()
        expect(page.get_by_text("15\u202f000 resources")).to_be_visible()
        page.get_by_role("complementary").get_by_role("link", name="s3Buckets").click()
        expect(page.get_by_role("link", name="Type: s3Buckets")).to_be_visible()
        page.goto(look.url + "/portal/inventory?account=200000000001&skip=99900")
        assert page.url.endswith("skip=14900"), "behind the end is the last page"


def test_narrow_views_scroll_the_table_and_not_the_page(window: Window) -> None:
    with window(width=320, height=640) as look:
        page = look.open("/portal/inventory?name=res-01234&tag=team")
        page.get_by_role("complementary").get_by_role("heading", name="Region").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        look.check("inventory-narrow")


def test_hostile_names_are_text(window: Window) -> None:
    with window() as look:
        page = look.open(f"/portal/inventory?account={ACCOUNT}&order=name")
        page.on("dialog", lambda dialog: look.problems.append(f"a script ran: {dialog.message}"))
        page.get_by_role("complementary").get_by_role("heading", name="Region").wait_for()
        shown = page.locator("v-rows tbody th").all_inner_texts()
        assert sorted(text.strip() for text in shown) == sorted(text.strip() for text in HOSTILE)
        assert page.locator("#main b, #main img, #main script, #main svg, hx-partial").count() == 0
        look.check("inventory")
        look.refusals = 1
        page.goto(look.url + "/portal/inventory?name=%3Cscript%3Ealert(1)%3C%2Fscript%3E&tag=%22onload%3D&group=%3Cb%3E")
        assert page.locator("#main b, #main script").count() == 0


def test_what_is_filtered_is_saved_whole_or_says_that_it_is_cut(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "account=200000000003&region=eu-west-1&order=name+desc"
    saved = asked(site, f"/portal/inventory/download?format=csv&{query}")
    assert saved.headers["content-disposition"].endswith("resources.csv")
    rows = list(csv.reader(io.StringIO(saved.content.decode("utf-8-sig"), newline="")))
    assert rows[0][:3] == ["resourceId", "displayName", "awsId"]
    assert len(rows) == 1 + 3_750
    assert [row[1] for row in rows[1:3]] == ["res-059997", "res-059993"]
    hostile = asked(site, f"/portal/inventory/download?format=csv&account={ACCOUNT}").text
    assert "'=HYPERLINK(1)" in hostile
    whole: Any = asked(site, f"/portal/inventory/download?format=json&{query}").json()
    assert (len(whole["value"]), whole["isComplete"]) == (3_750, True)
    monkeypatch.setattr(download, "MOST_ROWS", 2_000)
    cut: Any = asked(site, f"/portal/inventory/download?format=json&{query}").json()
    assert (len(cut["value"]), cut["isComplete"]) == (2_000, False)
    assert "there are more" in cut["message"]
    assert asked(site, "/portal/inventory/download?format=exe").status_code == 400
    assert asked(site, "/portal/inventory/download?account=1").status_code == 400


def test_files_end_with_what_they_lack() -> None:
    batches = [Batch(rows=({"displayName": "a,b", "awsRegion": ""},)), Batch(rows=({"displayName": "\t=1"},), is_cut=True)]
    lines = b"".join(as_csv(iter(batches))).decode("utf-8-sig").split("\r\n")
    assert lines[1:3] == [',"a,b",,,,,,,', ",'\t=1,,,,,,,"]
    assert lines[3].startswith("Cut after")
    assert b"".join(as_json(iter([Batch(rows=())]))) == b'{"value":[],"isComplete":true}'
    assert b'"isComplete":false' in b"".join(as_json(iter(batches)))


def test_programs_get_json_readers_see_it_and_strangers_do_not(site: Site) -> None:
    told = asked(site, f"/portal/inventory?account={ACCOUNT}", accept="application/json").json()
    assert len(told["rows"]) == len(HOSTILE)
    assert told["count"]["total"] == len(HOSTILE)
    reader = str(uuid.uuid4())
    give(site.server.app, reader, READER.id, site.root)
    assert asked(site, "/portal/inventory", site.sign_in(reader)).status_code == 200
    stranger = asked(site, "/portal/inventory", site.sign_in(str(uuid.uuid4())))
    assert stranger.status_code == 403
    assert "res-0" not in stranger.text
    for part in ("rows", "count", "download"):
        assert asked(site, f"/portal/inventory/{part}", site.sign_in(str(uuid.uuid4()))).status_code == 403
    assert "AuthorizationFailed" not in asked(site, "/portal/inventory/facets").text


def test_a_subscription_without_resources_says_how_they_come(site: Site, window: Window) -> None:
    other = str(uuid.uuid4())
    site.client.put(f"/subscriptions/{other}", {"properties": {"displayName": "Empty"}})
    with window() as look:
        page = look.open(f"/portal/inventory?subscription={other}")
        assert page.get_by_role("heading", name="No resources yet").is_visible()
        look.check("inventory-empty")
