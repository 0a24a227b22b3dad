"""Roles: given, filtered and taken away; the last owner and one's own ownership are no accidents."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import expect

from isthmus.identity.roles import READER
from tests.contract.server import give
from tests.portal import stock
from tests.portal.conftest import Site, Window

ASSIGNMENTS = "/providers/Microsoft.Authorization/roleAssignments"
SOMEBODY = "bbbbbbbb-0000-4000-8000-000000000001"
HOSTILE = "<script>alert(1)</script>'\"{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def application(site: Site) -> str:
    """The object id of an application with an unpleasant name."""
    made = site.client.post("/providers/Isthmus.Identity/clients", {"name": HOSTILE}).body
    return str(made["properties"]["objectId"])


def test_a_role_is_given_with_the_mouse_and_taken_away_by_keyboard(site: Site, window: Window, application: str) -> None:
    group = stock.group(site, "rg-a")
    with window() as look:
        page = look.open("/portal/roles")
        expect(page.get_by_role("row", name="Owner").first).to_be_visible()
        page.get_by_role("link", name="Assign a role").click()
        page.get_by_label("Who", exact=True).select_option(application)
        page.get_by_label("Reader", exact=True).check()
        page.get_by_label("Scope", exact=True).select_option(group)
        page.get_by_role("button", name="Assign").click()
        expect(page.locator(".toast")).to_contain_text("The role is assigned.")
        page.get_by_label("Scope").fill("rg-a")
        page.keyboard.press("Enter")
        row = page.get_by_role("row", name=HOSTILE)
        expect(row).to_contain_text("Reader")
        assert page.locator("tbody tr").count() == 1
        look.check("roles")
        row.get_by_role("link", name="Remove the role Reader").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Remove this role?")).to_be_visible()
        look.check("role-remove")
        page.get_by_role("button", name="Remove the role").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".toast")).to_contain_text("The role is taken away.")
        assert page.get_by_role("row", name=HOSTILE).count() == 0


def test_wrong_input_is_kept_and_said_at_its_field(window: Window, application: str) -> None:
    with window() as look:
        look.refusals = 3
        page = look.open("/portal/roles/assign")
        page.get_by_role("button", name="Assign").click()
        expect(page.get_by_role("alert")).to_contain_text("Choose who gets the role")
        page.get_by_label("Or the object id of somebody else").fill("nobody")
        page.get_by_label("Reader", exact=True).check()
        page.get_by_role("button", name="Assign").click()
        expect(page.locator("#other-principal-wrong")).to_contain_text("UUID")
        expect(page.get_by_label("Or the object id of somebody else")).to_have_value("nobody")
        page.get_by_label("Or the object id of somebody else").fill(SOMEBODY)
        page.get_by_label("Or the id of another scope").fill("/subscriptions/x/resourceGroups/none")
        page.get_by_role("button", name="Assign").click()
        expect(page.locator("#other-scope-wrong")).to_be_visible()
        expect(page.get_by_label("Reader", exact=True)).to_be_checked()
        look.check("role-assign-refused")


def test_a_double_is_said_without_javascript(site: Site, window: Window) -> None:
    give(site.server.app, SOMEBODY, READER.id, site.root)
    with window(javascript=False, width=320, height=640) as look:
        page = look.open(f"/portal/roles/assign?principal={SOMEBODY}")
        page.get_by_label("Or the object id of somebody else").fill(SOMEBODY)
        page.get_by_label("Reader", exact=True).check()
        page.get_by_role("button", name="Assign").click()
        expect(page.locator("#other-principal-wrong")).to_contain_text("has this role at this scope already")
        look.problems.clear()
        page = look.open("/portal/roles?role=Reader")
        expect(page.get_by_role("row", name=SOMEBODY)).to_be_visible()


def test_ones_own_ownership_of_everything_needs_a_tick(site: Site, window: Window) -> None:
    owner = str(uuid.uuid4())
    give(site.server.app, owner, "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "/")
    with window(secret=site.sign_in(owner)) as look:
        look.refusals = 1
        page = look.open("/portal/roles")
        page.get_by_role("row", name="you").get_by_role("link", name="Remove").click()
        expect(page.locator(".note.warn")).to_contain_text("You will not be able to give roles")
        look.check("role-remove-own")
        page.get_by_role("button", name="Remove the role").click()
        expect(page.locator("#understood-wrong")).to_contain_text("Tick the box")
        page.get_by_label("I understand").check()
        page.get_by_role("button", name="Remove the role").click()
        expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
        look.problems.clear()


def test_readers_see_no_controls_and_only_roles_are_removed_here(site: Site, window: Window) -> None:
    reader = str(uuid.uuid4())
    give(site.server.app, reader, READER.id, site.root)
    with window(secret=site.sign_in(reader)) as look:
        page = look.open("/portal/roles")
        expect(page.get_by_text("You are none here.")).to_be_visible()
        assert page.get_by_role("link", name="Remove").count() == 0
        assert page.get_by_role("link", name="Assign a role").count() == 0
    with window(javascript=False) as look:
        page = look.open(f"/portal/roles/remove?id={stock.group(site, 'rg-a')}")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        look.problems.clear()


def test_programs_get_it_as_json(site: Site) -> None:
    found = stock.fetch(site, "/portal/roles?role=Owner&scope=%2F")
    assert {one["role"] for one in found["assignments"]} == {"Owner"}
