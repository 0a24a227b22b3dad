"""Jobs: what runs and what failed, live; run again; and who sees them."""

from __future__ import annotations

import threading

import pytest
from playwright.sync_api import expect

from isthmus.identity.roles import READER
from isthmus.providers.resources import DELETE_GROUP
from tests.contract.server import give
from tests.portal import stock
from tests.portal.conftest import Site, Window


def failed(site: Site, id: str) -> str:
    """A job that cannot succeed, when it has failed."""
    app = site.server.app
    with app.engine.store.begin() as connection:
        app.work.enqueue(connection, DELETE_GROUP, id, {"group": f"hidden-{id}", "operation": "none"})
    for _ in range(3000):
        if app.work.state(id) == "ERROR":
            return id
        threading.Event().wait(0.02)
    raise AssertionError("the job does not fail")


@pytest.fixture(scope="module")
def job(site: Site) -> str:
    return failed(site, "f1")


def test_failed_jobs_say_why_and_run_again(window: Window, job: str) -> None:
    with window() as look:
        page = look.open("/portal/jobs")
        page.get_by_role("link", name="Failed", exact=True).focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/portal/jobs?state=failed")
        row = page.get_by_role("row", name="f1")
        expect(row).to_contain_text("InvalidResourceId")
        expect(row).to_contain_text("requests")
        look.check("jobs")
        row.get_by_role("button", name="Run again").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".toast")).to_contain_text("The job runs again.")


def test_the_list_lives_and_comes_back(site: Site, window: Window, job: str) -> None:
    with window() as look:
        page = look.open("/portal/jobs?state=failed")
        page.evaluate("window.__same = true")
        failed(site, "f2")
        expect(page.get_by_role("row", name="f2")).to_be_visible()
        site.server.app.retire()
        failed(site, "f3")
        expect(page.get_by_role("row", name="f3")).to_be_visible()
        assert page.evaluate("window.__same") is True


def test_nothing_there_is_said(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/jobs?state=running")
        expect(page.get_by_role("heading", name="Nothing runs")).to_be_visible()
        look.check("jobs-empty")


def test_it_works_without_javascript_and_narrow(window: Window, job: str) -> None:
    with window(javascript=False, width=320, height=640) as look:
        page = look.open("/portal/jobs?state=failed")
        page.get_by_role("button", name="Run again").last.click()
        expect(page.locator(".toast")).to_contain_text("The job runs again.")
    with window(width=320, height=640) as look:
        page = look.open("/portal/jobs?state=all")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_reader_of_less_than_the_tenant_learns_what_it_takes(site: Site, window: Window) -> None:
    give(site.server.app, "aaaaaaaa-0000-4000-8000-00000000000a", READER.id, site.root)
    with window(secret=site.sign_in("aaaaaaaa-0000-4000-8000-00000000000a")) as look:
        page = look.open("/portal/jobs")
        expect(page.get_by_role("heading", name="Jobs are shown to readers of the tenant")).to_be_visible()
        look.problems.clear()
        look.check("jobs-refused")


def test_programs_get_it_as_json(site: Site, job: str) -> None:
    found = stock.fetch(site, "/portal/jobs?state=failed")["jobs"]
    assert job in [one["id"] for one in found]
