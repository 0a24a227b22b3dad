"""Operations: listed, live, and started again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from isthmus.identity.roles import READER
from tests.contract.server import give
from tests.portal import stock
from tests.portal.conftest import Site, Window

HOSTILE = "<script>alert(1)</script>\"'{{ 7 * 7 }}\u202e"


@pytest.fixture(scope="module")
def connector(site: Site) -> str:
    return stock.connector(site, "conn", "123456789012")


@pytest.fixture(scope="module")
def solution(site: Site, connector: str) -> str:
    id = f"{connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations/inv"
    site.client.put(id, {"properties": {"solutionType": "Microsoft.AssetManagement"}})
    return id


@pytest.fixture(scope="module")
def stocked(site: Site, connector: str, solution: str) -> Iterator[dict[str, str]]:
    """One that runs, one that succeeded, one that failed."""
    wrong = stock.error("AuthorizationPending", f"The role is not there {HOSTILE}", ("AccessDenied", "sts:AssumeRole"))
    return {
        "running": stock.operation(site, solution, percent=40),
        "done": stock.operation(site, connector, "Succeeded", kind="test-permissions", result='{"solutionTypes": []}'),
        "failed": stock.operation(site, solution, "Failed", error=wrong),
    }


def test_what_runs_comes_first_and_what_failed_says_why(site: Site, window: Window, stocked: dict[str, str]) -> None:
    with window() as look:
        page = look.open("/portal/operations")
        rows = page.locator("tbody tr")
        expect(rows.nth(0)).to_contain_text("Running 40 %")
        expect(page.get_by_role("row", name="The role is not there")).to_contain_text("AuthorizationPending")
        assert HOSTILE.replace("\u202e", "") in page.locator("table").inner_text().replace("\u202e", "")
        assert "/portal/connector/subscriptions/" in str(rows.nth(0).get_by_role("link", name="inv of conn").get_attribute("href"))
        look.check("operations")
        page.get_by_role("link", name="Failed", exact=True).click()
        page.wait_for_url("**/portal/operations?status=failed")
        assert page.locator("tbody tr").count() == 1
        assert page.get_by_role("link", name="Failed", exact=True).get_attribute("aria-current") == "page"


def test_the_list_lives(site: Site, window: Window, stocked: dict[str, str], solution: str) -> None:
    with window() as look:
        page = look.open("/portal/operations")
        expect(page.locator("tbody tr").nth(0)).to_contain_text("Running")
        page.evaluate("window.__same = true")
        stock.change_operation(site, stocked["running"], percent=70)
        expect(page.locator("tbody tr").nth(0)).to_contain_text("70 %")
        new = stock.operation(site, solution, started_at=site.server.app.engine.now(), kind="detect")
        expect(page.locator("tbody tr").nth(0)).to_contain_text("Look for the stack")
        stock.change_operation(site, new, status="Failed", ended_at=site.server.app.engine.now(), error=stock.error("Gone", "It is gone."))
        expect(page.get_by_role("row", name="It is gone.")).to_be_visible()
        assert page.evaluate("window.__same") is True
        # The stream ends (a restart of the server does so); the page comes back by itself and goes on.
        site.server.app.retire()
        stock.change_operation(site, stocked["running"], percent=90)
        expect(page.locator("tbody tr").nth(0)).to_contain_text("90 %")
        assert page.evaluate("window.__same") is True


def test_one_operation_shows_its_end_without_a_reload(site: Site, window: Window, solution: str) -> None:
    id = stock.operation(site, solution)
    with window() as look:
        page = look.open(f"/portal/operations/{id}")
        expect(page.get_by_role("heading", name="Sync")).to_be_visible()
        expect(page.locator("#operation")).to_contain_text("not yet")
        stock.change_operation(
            site,
            id,
            status="Failed",
            ended_at=site.server.app.engine.now(),
            error=stock.error("SyncFailed", "Two regions were refused.", ("AccessDenied", "eu-west-1")),
        )
        expect(page.locator(".note.bad")).to_contain_text("Two regions were refused.")
        look.check("operation-failed")
        page.get_by_role("button", name="Start again").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".toast")).to_contain_text("This is the new operation")
        assert id not in page.url


def test_what_ended_well_shows_its_result(window: Window, stocked: dict[str, str]) -> None:
    with window() as look:
        page = look.open(f"/portal/operations/{stocked['done']}")
        expect(page.get_by_role("region", name="Result as JSON")).to_contain_text('"solutionTypes": []')
        assert page.locator("#stream").count() == 0
        look.check("operation")


def test_it_works_without_javascript_and_narrow(window: Window, stocked: dict[str, str]) -> None:
    with window(javascript=False, width=320, height=640) as look:
        page = look.open("/portal/operations?status=failed")
        expect(page.get_by_role("link", name="Load it again")).to_be_visible()
        page.get_by_role("button", name="Start again").first.click()
        expect(page.locator(".toast")).to_contain_text("started again")
        look.open(f"/portal/operations/{stocked['failed']}")
        expect(page.locator(".note.bad")).to_contain_text("sts:AssumeRole")
    with window(width=320, height=640) as look:
        page = look.open("/portal/operations")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_readers_read_and_strangers_are_told(site: Site, window: Window, stocked: dict[str, str]) -> None:
    give(site.server.app, "aaaaaaaa-0000-4000-8000-000000000001", READER.id, site.root)
    with window(secret=site.sign_in("aaaaaaaa-0000-4000-8000-000000000001")) as look:
        page = look.open("/portal/operations?status=failed")
        page.get_by_role("button", name="Start again").first.click()
        expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
        look.problems.clear()
    with window(secret=site.sign_in("aaaaaaaa-0000-4000-8000-000000000002")) as look:
        page = look.open("/portal/operations")
        expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
        look.problems.clear()


def test_programs_get_it_as_json(site: Site, stocked: dict[str, str]) -> None:
    answer = stock.fetch(site, "/portal/operations?status=failed")
    assert [one["trouble"]["code"] for one in answer["operations"]][-1] == "AuthorizationPending"
    assert stock.fetch(site, f"/portal/operations/{stocked['done']}")["result"].startswith("{")
