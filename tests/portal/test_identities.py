"""Applications and people: secrets are shown once."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import expect
from sqlalchemy import insert

from isthmus.arm.errors import ArmError
from isthmus.identity.roles import READER
from isthmus.store.tables import people
from tests.contract.server import give
from tests.portal.conftest import Site, Window

HOSTILE = "Eve <script>alert(1)</script>'\"{{ 7 * 7 }}\u202e"


@pytest.fixture(scope="module")
def person(site: Site) -> str:
    """Somebody with an unpleasant name who signed in with a directory."""
    row = {"object_id": str(uuid.uuid4()), "issuer": "https://id.example", "subject": "eve", "name": HOSTILE, "mail": "eve@example.com"}
    with site.server.app.engine.store.begin() as connection:
        connection.execute(insert(people).values(**row, first_at=1_000, last_at=site.server.app.engine.now()))
    return row["object_id"]


def test_an_application_gets_a_secret_that_is_shown_once(site: Site, window: Window) -> None:
    with window() as look:
        look.refusals = 1
        page = look.open("/portal/roles/applications")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("alert")).to_contain_text("1 to 256 printable characters")
        page.get_by_label("Name of a new application").fill("pipeline")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="pipeline", level=1)).to_be_visible()
        page.get_by_label("It ends after").select_option("30")
        page.get_by_role("button", name="Add a secret").click()
        secret = page.get_by_role("region", name="Client secret").inner_text()
        assert len(secret) > 30
        look.check("application-secret")
        page.get_by_role("link", name="I have it").click()
        expect(page.get_by_role("region", name="Client secret")).to_have_count(0)
        assert secret not in page.content()
        page.locator("[aria-labelledby=secrets] tbody tr").get_by_role("button", name="Remove").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".toast")).to_contain_text("The secret is removed.")


def test_a_federated_credential_is_judged_by_the_server(window: Window, site: Site) -> None:
    made = site.client.post("/providers/Isthmus.Identity/clients", {"name": "federated"}).body
    with window() as look:
        look.refusals = 1
        page = look.open(f"/portal/roles/applications/{made['name']}")
        page.get_by_label("Issuer").fill("http://plain.example")
        page.get_by_label("Subject").fill("repo:a/b")
        page.get_by_role("button", name="Add a federated credential").click()
        expect(page.locator("#issuer-wrong")).to_contain_text("https URL")
        expect(page.get_by_label("Subject")).to_have_value("repo:a/b")
        page.get_by_label("Issuer").fill("https://token.example")
        page.get_by_role("button", name="Add a federated credential").click()
        expect(page.get_by_role("row", name="https://token.example")).to_contain_text("api://AzureADTokenExchange")
        look.check("application")


def test_an_application_is_removed_after_a_question_without_javascript(window: Window, site: Site) -> None:
    made = site.client.post("/providers/Isthmus.Identity/clients", {"name": "to be removed"}).body
    with window(javascript=False, width=320, height=640) as look:
        page = look.open(f"/portal/roles/applications/{made['name']}")
        page.get_by_role("link", name="Remove", exact=True).click()
        expect(page.get_by_role("heading", name="What stays")).to_be_visible()
        page.get_by_role("button", name="Remove the application").click()
        expect(page.locator(".toast")).to_contain_text("is removed")
        assert page.get_by_role("link", name="to be removed").count() == 0
        page = look.open("/portal/roles/applications/operator/remove")
        page.get_by_role("button", name="Remove the application").click()
        expect(page.get_by_role("alert")).to_contain_text("cannot be removed")
        look.problems.clear()


def test_people_are_listed_and_signed_out_everywhere(site: Site, window: Window, person: str) -> None:
    session = site.sign_in(person, "Eve")
    with window() as look:
        page = look.open("/portal/roles/people")
        row = page.get_by_role("row", name="eve@example.com")
        expect(row).to_contain_text("<script>alert(1)</script>")
        look.check("people")
        row.get_by_role("button", name="Sign out everywhere").click()
        expect(page.locator(".toast")).to_contain_text("signed out everywhere")
        assert site.server.app.sign_in.sessions.find(session) is None


def test_the_portal_makes_no_sign_in_links(site: Site, window: Window) -> None:
    """Whoever is signed in to it is not the owner of the data folder as such, who alone makes them."""
    with window() as look:
        page = look.open("/portal/roles")
        assert page.get_by_role("link", name="Sign-in link").count() == 0
        page = look.open("/portal/roles/link")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        look.problems.clear()
    with pytest.raises(ArmError) as caught:
        site.client.post("/providers/Isthmus.Identity/signInLinks")
    assert (caught.value.status, "isthmus login --link" in caught.value.message) == (403, True)


def test_readers_of_the_tenant_see_identities_and_change_none(site: Site, window: Window, person: str) -> None:
    reader = str(uuid.uuid4())
    give(site.server.app, reader, READER.id, "/")
    with window(secret=site.sign_in(reader)) as look:
        page = look.open("/portal/roles/applications")
        expect(page.get_by_text("Applications are made and removed by owners")).to_be_visible()
        assert page.get_by_role("button", name="Create").count() == 0
        page = look.open("/portal/roles/people")
        assert page.get_by_role("button", name="Sign out everywhere").count() == 0
    with window(secret=site.sign_in(str(uuid.uuid4())), javascript=False) as look:
        page = look.open("/portal/roles/applications")
        expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
        look.problems.clear()
