"""Access of people: who holds what, offboarding with its seconds, letting in again, the end of one grant."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import Page, expect

from isthmus.identity.roles import CONTRIBUTOR, READER
from tests.contract.server import give
from tests.portal import stock
from tests.portal.conftest import Site, Window
from tests.portal.holders import HOSTILE, Holders

REVOCATIONS = "/providers/Isthmus.Access/revocations"


@pytest.fixture(scope="module")
def holders(site: Site) -> Holders:
    return Holders(site)


@pytest.fixture(scope="module")
def account(holders: Holders) -> str:
    return holders.connector("People", "123456789012")


@pytest.fixture(scope="module")
def mapping(holders: Holders, account: str) -> str:
    return holders.mapping(account)


def offboard(site: Site, person: str) -> str:
    """The revocation of somebody who was offboarded."""
    return str(site.client.post(f"/providers/Isthmus.Access/people/{person}/offboard", {"reason": "left"}).body["name"])


def revocation_of(page: Page) -> str:
    """The id in the address."""
    return page.url.partition("?")[0].rpartition("/")[2]


def test_the_overview_shows_mappings_and_who_holds_what(window: Window, holders: Holders, mapping: str) -> None:
    holders.mapping(
        mapping.partition("/providers/Isthmus.Access")[0], "Operator", activation={"mode": "Request", "approverGroups": ["g-lead"]}
    )
    alice = holders.person(HOSTILE)
    holders.holds(mapping, alice)
    with window() as look:
        page = look.open("/portal/access")
        assert page.get_by_role("link", name="Access", exact=True).get_attribute("aria-current") == "page"
        row = page.get_by_role("region", name="Mappings").get_by_role("row", name="Operator")
        expect(row).to_contain_text("On request, 1 approval of g-lead")
        expect(row).to_contain_text("AWS 123456789012")
        expect(row).to_contain_text("300 s")
        live = page.get_by_role("region", name="Live sessions").get_by_role("row").filter(has=page.locator(f"a[href$='{alice}']"))
        expect(live).to_contain_text(HOSTILE)
        expect(live).to_contain_text("Reader")
        look.check("access")
        live.get_by_role("link", name=HOSTILE).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)


def test_somebody_is_offboarded_with_the_mouse_and_every_account_is_watched(
    site: Site, window: Window, holders: Holders, account: str, mapping: str
) -> None:
    """The account behind this site trusts nobody: it is not reached at first, and says so, until it denies."""
    person = holders.person("Bob Miller")
    holders.holds(mapping, person, minutes_ago=3)
    holders.holds(mapping, person, live=False, minutes_ago=2)
    with window() as look:
        page = look.open(f"/portal/access/people/{person}")
        rows = page.get_by_role("region", name="Sessions, those that live first").locator("tbody tr")
        assert "Live" in rows.nth(0).inner_text()
        assert "Ended" in rows.nth(1).inner_text()
        look.check("access-person")
        page.get_by_role("link", name="Offboard").click()
        expect(page.get_by_text("2 active grants: Reader in AWS 123456789012")).to_be_visible()
        look.check("access-offboard")
        look.refusals = 1
        page.get_by_role("button", name="Offboard").click()
        expect(page.locator("#reason-wrong")).to_contain_text("Say why")
        page.get_by_label("Reason").fill(HOSTILE)
        page.get_by_role("button", name="Offboard").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("All access of Bob Miller is taken away")
        expect(page.locator("#revocation-line")).to_contain_text("0 of 1 account denies so far.")
        expect(page.get_by_role("row", name="people")).to_contain_text("not reached")
        look.check("access-revocation-waits")
        page.evaluate("window.__same = true")
        holders.deny(revocation_of(page), account, 3.25)
        expect(page.locator("#revocation-line")).to_contain_text("1 of 1 account denies, after 3.250 seconds.")
        row = page.get_by_role("row", name="AWS 123456789012")
        expect(row).to_contain_text("denies")
        expect(row).to_contain_text("3.250 s")
        assert page.evaluate("window.__same") is True
        look.check("access-revocation")
        page.get_by_role("link", name="Bob Miller").first.click()
        expect(page.locator(".note.warn")).to_contain_text(f"by Administrator: {HOSTILE}")
        expect(page.get_by_role("region", name="Revocations, the latest first")).to_contain_text("AWS 123456789012: 3.250 s")
        expect(rows.filter(has_text="Revoked")).to_have_count(1)
        look.check("access-person-offboarded")
    shown = site.client.get("/providers/Isthmus.Access/grants", query={"person": person})["value"]
    assert {one["properties"]["state"] for one in shown} == {"Ended"}


def test_a_revocation_says_what_was_when_somebody_is_back(site: Site, window: Window, holders: Holders) -> None:
    person = holders.person("Rita")
    revocation = offboard(site, person)
    site.client.post(f"/providers/Isthmus.Access/people/{person}/readmit")
    with window() as look:
        page = look.open(f"/portal/access/revocations/{revocation}")
        expect(page.get_by_role("heading", level=1)).to_have_text("All access of Rita was taken away, and they were let in again")


def test_offboarding_and_letting_in_again_go_by_keyboard_alone(window: Window, holders: Holders) -> None:
    """Somebody who never held anything: no account has to be told."""
    person = holders.person("Carol")
    with window() as look:
        page = look.open(f"/portal/access/people/{person}")
        page.get_by_role("link", name="Offboard").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Reason").focus()
        page.keyboard.type("gone")
        page.keyboard.press("Enter")
        expect(page.locator("#revocation-line")).to_contain_text("No account had to be told")
        assert page.locator("#stream").count() == 0
        page.get_by_role("link", name="Carol").first.focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Let in again").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".toast")).to_contain_text("Let in again")
        assert page.get_by_role("button", name="Let in again").count() == 0
        expect(page.get_by_text("Not offboarded")).to_be_visible()


def test_it_works_without_javascript_and_narrow(site: Site, window: Window, holders: Holders, account: str, mapping: str) -> None:
    person = holders.person("Dora")
    holders.holds(mapping, person)
    with window(javascript=False, width=320, height=640) as look:
        page = look.open("/portal/access")
        page.get_by_role("region", name="Live sessions").get_by_role("link", name="Dora").click()
        page.get_by_role("link", name="Offboard").click()
        expect(page.get_by_text("What ends at once")).to_be_visible()
        page.get_by_role("button", name="Offboard").click()
        expect(page.locator("#reason-wrong")).to_contain_text("Say why")
        page.get_by_label("Reason").fill("left")
        page.get_by_role("button", name="Offboard").click()
        expect(page.get_by_role("link", name="Load it again")).to_be_visible()
        holders.deny(revocation_of(page), account, 1.5)
        page.get_by_role("link", name="Load it again").click()
        expect(page.get_by_role("row", name="people")).to_contain_text("1.500 s")
        page.get_by_role("link", name="Dora").first.click()
        page.get_by_role("button", name="Let in again").click()
        expect(page.locator(".toast")).to_contain_text("Let in again")
        look.problems.clear()
    with window(width=320, height=640) as look:
        for path in ("/portal/access", f"/portal/access/people/{person}", f"/portal/access/people/{person}/offboard"):
            page = look.open(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, path


def test_one_grant_ends_and_others_go_on(site: Site, window: Window, holders: Holders, mapping: str) -> None:
    person = holders.person("Erin")
    first, second = holders.holds(mapping, person), holders.holds(mapping, person)
    with window() as look:
        page = look.open(f"/portal/access/people/{person}")
        row = page.get_by_role("region", name="Grants, active ones first").locator("tbody tr").first
        row.get_by_role("link", name="End the grant of Reader to Erin").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="End this grant?")).to_be_visible()
        look.check("access-grant-end")
        ended = page.url.rsplit("/", 2)[1]
        page.get_by_label("Reason").fill("not needed")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("A grant of Erin is ended")
    states = {one: site.client.get(f"/providers/Isthmus.Access/grants/{one}")["properties"]["state"] for one in (first, second)}
    assert states == {one: "Ended" if one == ended else "Active" for one in (first, second)}
    with window(javascript=False) as look:
        page = look.open(f"/portal/access/grants/{ended}/end")
        expect(page.get_by_text("This grant has ended already.")).to_be_visible()
        assert page.get_by_role("button", name="End the grant").count() == 0


def test_probes_of_our_own_are_nobodys_sessions(site: Site, holders: Holders, mapping: str) -> None:
    from_page = len(stock.fetch(site, "/portal/access")["people"]["sessions"])
    person = holders.person("Probed")
    holders.holds(mapping, person, use="probe")
    found = stock.fetch(site, "/portal/access")
    assert len(found["people"]["sessions"]) == from_page
    assert stock.fetch(site, f"/portal/access/people/{person}")["sessions"] == []


def test_readers_see_everything_and_no_forms(site: Site, window: Window, holders: Holders, mapping: str) -> None:
    reader, person = str(uuid.uuid4()), holders.person("Frank")
    grant = holders.holds(mapping, person)
    offboarded = holders.person("Gone")
    made = offboard(site, offboarded)
    give(site.server.app, reader, READER.id, "/")
    with window(secret=site.sign_in(reader)) as look:
        for path, text in (
            ("/portal/access", "Frank"),
            (f"/portal/access/people/{person}", "Frank"),
            (f"/portal/access/people/{offboarded}", "Offboarded"),
            (f"/portal/access/people/{person}/offboard", "You are neither"),
            (f"/portal/access/grants/{grant}/end", "You are neither"),
            (f"/portal/access/revocations/{made}", "All access of Gone"),
        ):
            page = look.open(path)
            expect(page.locator("#main")).to_contain_text(text)
            assert page.locator("#main form").count() == 0, path
            assert page.get_by_role("link", name="Offboard").count() == 0, path
            assert page.get_by_role("link", name="End the grant").count() == 0, path


def test_contributors_offboard_and_owners_let_in_again(site: Site, window: Window, holders: Holders) -> None:
    contributor, person = str(uuid.uuid4()), holders.person("Grace")
    give(site.server.app, contributor, CONTRIBUTOR.id, "/")
    offboard(site, person)
    with window(secret=site.sign_in(contributor)) as look:
        page = look.open(f"/portal/access/people/{person}")
        expect(page.get_by_role("link", name="Offboard")).to_be_visible()
        assert page.get_by_role("button", name="Let in again").count() == 0


def test_who_may_not_read_the_tenant_sees_mappings_and_learns_what_it_takes(site: Site, window: Window, mapping: str) -> None:
    reader = str(uuid.uuid4())
    give(site.server.app, reader, READER.id, site.root)
    with window(secret=site.sign_in(reader)) as look:
        page = look.open("/portal/access")
        expect(page.get_by_role("region", name="Mappings")).to_contain_text("Reader")
        expect(page.get_by_text("shown to readers of the whole tenant")).to_be_visible()
        assert page.get_by_role("region", name="Live sessions").count() == 0
        look.check("access-part")


def test_people_are_named_by_object_id_alone(window: Window) -> None:
    with window(javascript=False) as look:
        page = look.open("/portal/access/people/alice@example.com")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        stranger = str(uuid.uuid4())
        page = look.open(f"/portal/access/people/{stranger.upper()}")
        expect(page.get_by_role("heading", name="Somebody who has not signed in here")).to_be_visible()
        expect(page.locator(".facts")).to_contain_text(stranger)
        look.problems.clear()


def test_programs_get_it_as_json(site: Site, holders: Holders, mapping: str) -> None:
    person = holders.person("Heidi")
    holders.holds(mapping, person)
    made = offboard(site, person)
    found = stock.fetch(site, f"/portal/access/people/{person}")
    assert found["who"]["name"] == "Heidi"
    assert [one["state"] for one in found["sessions"]] == ["Revoked"]
    assert found["block"]["id"] == made
    assert stock.fetch(site, f"/portal/access/revocations/{made}")["one"]["accounts"][0]["account"] == "123456789012"
