"""Everybody's sessions and grants, who may what and why, and the review: filters, pages, links and what ends something."""

from __future__ import annotations

import ssl

import httpx
import pytest
from playwright.sync_api import expect

from tests.portal import stock
from tests.portal.askers import Asker, asker
from tests.portal.conftest import Site, Window
from tests.portal.holders import HOSTILE, Holders

ROLE = "123456789012.Reader"


@pytest.fixture(scope="module")
def holders(site: Site) -> Holders:
    return Holders(site)


@pytest.fixture(scope="module")
def mapping(holders: Holders) -> str:
    connector = holders.connector("people", "123456789012")
    holders.mapping(connector, "Operator", activation={"mode": "Request", "approverGroups": ["g-lead"]})
    return holders.mapping(connector)


@pytest.fixture(scope="module")
def crowd(site: Site, holders: Holders, mapping: str) -> str:
    """Somebody hostile by name with a live session, and 60 sessions of another one that are over."""
    many = holders.person("Many")
    for _ in range(60):
        holders.holds(mapping, many, name="Many", live=False, minutes_ago=90)
    person = holders.person(HOSTILE)
    holders.holds(mapping, person, name=HOSTILE, use="shell:us-east-1")
    return person


def test_live_sessions_are_shown_with_where_they_are_used_and_can_be_ended(window: Window, crowd: str) -> None:
    with window() as look:
        page = look.open("/portal/access")
        page.get_by_role("navigation", name="Access").get_by_role("link", name="Sessions").click()
        rows = page.get_by_role("region", name="Sessions, the newest first").get_by_role("row")
        row = rows.filter(has=page.locator(f"a[href$='{crowd}']"))
        expect(row).to_contain_text(HOSTILE)
        expect(row).to_contain_text("shell:us-east-1")
        expect(row).to_contain_text("not told yet")
        expect(page.locator("#main")).to_contain_text("1 session in all")
        look.check("access-sessions")
        row.get_by_role("link", name="End the grant").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="End this grant?")).to_be_visible()
        page.go_back()
        page.get_by_role("link", name="Offboard").first.click()
        expect(page.get_by_text("What ends at once")).to_be_visible()


def test_sessions_are_filtered_and_paged_without_javascript(window: Window, crowd: str) -> None:
    with window(javascript=False, width=320, height=640) as look:
        page = look.open("/portal/access/sessions?state=any")
        expect(page.locator("tbody tr")).to_have_count(50)
        page.get_by_role("link", name="Older").click()
        expect(page.locator("tbody tr")).to_have_count(11)
        page.get_by_label("Person").fill("many")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#main")).to_contain_text("60 sessions in all")
        page.get_by_label("Account").fill("999999999999")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("heading", name="No session like this")).to_be_visible()
        page.get_by_role("link", name="Clear").click()
        page.get_by_label("Person").fill("who is this")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#person-wrong")).to_contain_text("Nobody called 'who is this'")
    with window(width=320, height=640) as look:
        for path in ("sessions", "grants", "who", "review", "timeline", "requests", "ask"):
            page = look.open(f"/portal/access/{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, path


def test_grants_are_listed_by_person_and_lead_on(window: Window, crowd: str) -> None:
    with window() as look:
        page = look.open(f"/portal/access/grants?person={crowd}")
        row = page.locator("tbody tr").first
        expect(row).to_contain_text("group g-dev")
        look.check("access-grants")
        row.get_by_role("link", name="G-").click()
        expect(page.get_by_label("Of", exact=True)).to_have_value("grant")


def test_it_is_said_who_may_what_and_why(site: Site, window: Window, mapping: str) -> None:
    alice, bob = asker(site, "Alice", "g-dev"), asker(site, "Bob", "g-other")
    with window() as look:
        page = look.open("/portal/access/who")
        expect(page.get_by_role("heading", name="Whom or what do you mean?")).to_be_visible()
        page.get_by_label("Account", exact=True).select_option("AWS 123456789012")
        page.get_by_role("button", name="Show").click()
        rows = page.get_by_role("region", name="Who may what")
        expect(rows.get_by_role("row", name="Alice")).to_have_count(2)
        assert rows.get_by_role("row", name="Bob").count() == 0
        expect(rows.get_by_role("row", name="Reader")).to_contain_text("group g-dev")
        expect(rows.get_by_role("row", name="Operator")).to_contain_text("not yet")
        look.check("access-who-account")
        page.get_by_role("link", name=f"Why Alice may take {ROLE}").click()
        expect(page.locator(".note.good")).to_contain_text(f"Alice may take {ROLE} now")
        expect(page.get_by_role("region", name="Because of")).to_contain_text("group g-dev")
        expect(page.get_by_role("region", name="Because of")).to_contain_text("https://idp.test")
        expect(page.get_by_role("region", name="Lines of the mapping")).to_contain_text("requiresMfa")
        look.check("access-why")
        page = look.open("/portal/access/who")
        page.get_by_label("Person").fill(bob.id)
        page.get_by_label("Role", exact=True).select_option("Reader in AWS 123456789012")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_label("Role", exact=True)).to_have_value(ROLE)
        expect(page.locator(".note.warn")).to_contain_text("Bob may not take")
        expect(page.locator(".timeline li.bad")).to_contain_text("Not in a group that is mapped")
        page = look.open(f"/portal/access/who?person={alice.id}")
        expect(page.locator("tbody tr")).to_have_count(2)


def test_bad_questions_about_who_may_what_stand_at_their_field(window: Window, mapping: str) -> None:
    with window(javascript=False) as look:
        page = look.open("/portal/access/who?account=12")
        expect(page.locator("#account-wrong")).to_contain_text("12 digits")
        expect(page.get_by_label("Account", exact=True)).to_have_value("12")
        page = look.open(f"/portal/access/who?role={ROLE}")
        expect(page.locator("#person-wrong")).to_contain_text("Name the person, too")
        page = look.open("/portal/access/who?person=Alice&role=none")
        expect(page.locator("#role-wrong, #person-wrong").first).to_be_visible()


def test_oneself_is_told_why_without_any_role(site: Site, window: Window, mapping: str) -> None:
    carol = asker(site, "Carol", "g-dev")
    with window(secret=carol.secret, javascript=False) as look:
        page = look.open(f"/portal/access/who?person={carol.id}&role={ROLE}")
        expect(page.locator(".note.good")).to_contain_text("Carol may take")


def test_the_review_says_who_uses_what(site: Site, window: Window, crowd: str) -> None:
    with window() as look:
        page = look.open("/portal/access/review")
        row = page.get_by_role("region", name="Review, by person").get_by_role("row", name="Many")
        expect(row).to_contain_text("60 grants")
        expect(row).to_contain_text("used")
        look.check("access-review")
        row.get_by_role("link", name="60 grants").click()
        expect(page.locator("#main")).to_contain_text("60 grants in all")


def test_full_pages_stay_light(site: Site, crowd: str) -> None:
    """Compressed, without the style sheet and the script, which are 26 KB and come once."""
    headers = {"Accept": "text/html", "Cookie": f"__Host-isthmus={site.secret}"}
    trust = ssl.create_default_context(cafile=str(site.server.ca))
    for path in ("", "/sessions?state=any", "/grants?state=any", "/review", "/requests", "/timeline", "/who?account=123456789012"):
        answer = httpx.get(f"{site.url}/portal/access{path}", headers=headers, verify=trust)
        assert answer.status_code == 200
        assert answer.num_bytes_downloaded < 15_000, (path, answer.num_bytes_downloaded)


def test_programs_get_them_as_json(site: Site, crowd: str) -> None:
    sessions = stock.fetch(site, f"/portal/access/sessions?person={crowd}")
    assert (sessions["sessions"][0]["use"], sessions["leaf"]["total"]) == ("shell:us-east-1", 1)
    assert {one["who"]["name"] for one in stock.fetch(site, "/portal/access/review")["rows"]} >= {"Many", HOSTILE}
    known: Asker = asker(site, "Dora", "g-dev")
    assert [one["label"] for one in stock.fetch(site, f"/portal/access/who?person={known.id}")["entitled"]] == [
        "123456789012.Operator",
        ROLE,
    ]
