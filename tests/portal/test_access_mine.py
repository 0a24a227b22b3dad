"""My access: what somebody without any role in Isthmus may take, ask for, withdraw and end; and the menu that they see."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import func, select

from isthmus.arm.errors import ArmError
from isthmus.identity.roles import READER
from isthmus.store.tables import audit_records
from tests.contract.server import give
from tests.portal import stock
from tests.portal.askers import Asker, asker
from tests.portal.conftest import Site, Window
from tests.portal.holders import Holders

HERE = "/portal/access/mine"
OPERATOR = "123456789012.Operator"


@pytest.fixture(scope="module")
def holders(site: Site) -> Holders:
    return Holders(site)


@pytest.fixture(scope="module")
def mapping(holders: Holders) -> str:
    """Reader is taken at once, Operator asked for, Strong needs a factor, Others' is of another group."""
    connector = holders.connector("people", "123456789012")
    activation = {"mode": "Request", "approverGroups": ["g-lead"], "approvals": 2, "longestSeconds": 7_200}
    holders.mapping(connector, "Operator", activation=activation)
    holders.mapping(connector, "Strict", requiredContexts=["c1"])
    holders.mapping(connector, "Others", groups=["g-others"])
    holders.mapping(holders.connector("second", "210987654321"), "Auditor")
    return holders.mapping(connector)


@pytest.fixture
def alice(site: Site, mapping: str) -> Asker:
    return asker(site, "Alice", "g-dev")


def test_it_is_the_home_of_who_has_no_role_in_isthmus(window: Window, alice: Asker) -> None:
    with window(secret=alice.secret) as look:
        page = look.open("/portal/")
        page.wait_for_url(f"**{HERE}")
        expect(page.get_by_role("heading", level=1)).to_have_text("My access")
        assert page.get_by_role("heading", level=2).all_inner_texts()[:2] == ["AWS 123456789012", "AWS 210987654321"]
        assert page.locator(".needs h3").all_inner_texts() == [
            "Operator On request",
            "Reader Yours to take now",
            "Strict Needs another sign-in",
            "Auditor Yours to take now",
        ]
        expect(page.get_by_text("isthmus aws console --role 123456789012.Reader")).to_be_visible()
        expect(page.get_by_text("isthmus aws profiles")).to_be_visible()
        assert page.get_by_text("--role 123456789012.Operator").count() == 0
        entries = page.get_by_role("navigation", name="Portal").get_by_role("link")
        assert entries.all_inner_texts() == ["My access", "Requests"]
        expect(entries.first).to_have_attribute("aria-current", "page")
        expect(page.get_by_text(alice.id, exact=True)).to_have_count(1)
        look.check("access-mine")
        for entry in ("Requests", "My access"):
            entries.get_by_text(entry).click()
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert page.get_by_role("heading", name="Not allowed").count() == 0


def test_a_role_is_asked_for_and_the_request_withdrawn_by_keyboard(window: Window, alice: Asker) -> None:
    with window(secret=alice.secret) as look:
        page = look.open(HERE)
        page.get_by_role("link", name="Ask for Operator in AWS 123456789012").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_label("Role", exact=True)).to_have_value(OPERATOR)
        page.get_by_label("Why").fill("INC-7")
        page.get_by_role("button", name="Ask").click()
        expect(page.locator(".toast")).to_contain_text("You have asked")
        page = look.open(HERE)
        row = page.locator(".needs li").filter(has_text="Operator")
        expect(row).to_contain_text("Waits for approval")
        expect(row.get_by_role("link", name="0 of 2 approvals")).to_be_visible()
        assert row.get_by_role("link", name="Ask for").count() == 0
        look.check("access-mine-waits")
        row.get_by_role("button", name="Withdraw").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".toast")).to_contain_text("You withdrew it")


def test_an_approved_role_can_be_taken_extended_and_ended(site: Site, window: Window, alice: Asker) -> None:
    id = alice.ask(OPERATOR)
    for name in ("Lead One", "Lead Two"):
        asker(site, name, "g-lead").approve(id)
    with window(secret=alice.secret) as look:
        page = look.open(HERE)
        row = page.locator(".needs li").filter(has_text="Operator")
        expect(row).to_contain_text("Approved until")
        expect(row).to_contain_text(f"isthmus aws console --role {OPERATOR}")
        expect(row.get_by_role("link", name="Extend Operator")).to_be_visible()
        assert page.locator("a[href*='/timeline'], a[href*='/people/'], a[href*='/mapping/']").count() == 0
        page.get_by_role("region", name="Your active grants").get_by_role("link", name="End the grant of Operator").click()
        page.get_by_label("Reason").fill("done")
        page.get_by_role("button", name="End the grant").click()
        expect(page.locator(".toast")).to_contain_text("The grant is ended")
        page = look.open(HERE)
        expect(page.locator(".needs li").filter(has_text="Operator")).to_contain_text("On request")


def test_own_sessions_are_ended_without_javascript_on_a_small_screen(
    site: Site, window: Window, holders: Holders, mapping: str, alice: Asker
) -> None:
    holders.holds(mapping, alice.id, name="Alice")
    with window(secret=alice.secret, javascript=False, width=375, height=800) as look:
        page = look.open("/portal/")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        page.get_by_role("region", name="Your live sessions").get_by_role("link", name="End").click()
        page.get_by_label("Reason").fill("done")
        page.get_by_role("button", name="End the grant").click()
        expect(page.locator(".toast")).to_contain_text("The grant is ended")
        expect(page.get_by_role("heading", level=1)).to_have_text("My access")
        expect(page.get_by_role("heading", name="You hold nothing now")).to_be_visible()
    with window(secret=alice.secret, width=375, height=800) as look:
        page = look.open(HERE)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        look.check("access-mine-small")


def test_who_is_meant_by_no_role_and_who_has_no_directory_learn_whom_to_ask(site: Site, window: Window, mapping: str) -> None:
    with window(secret=asker(site, "Nobody").secret) as look:
        page = look.open("/portal/")
        expect(page.get_by_role("heading", name="No role of an account is meant for you")).to_be_visible()
        look.check("access-mine-none")
    with window() as look:
        page = look.open(HERE)
        expect(page.locator(".note.warn")).to_contain_text("sign in with your directory")
        assert page.get_by_role("navigation", name="Portal").get_by_role("link", name="My access").count() == 0


def test_looking_at_it_leaves_no_refusal_in_the_records(site: Site, alice: Asker) -> None:
    def records() -> int:
        with site.server.app.engine.store.read() as connection:
            wanted = audit_records.c.actor == alice.id
            return int(connection.execute(select(func.count()).select_from(audit_records).where(wanted)).scalar_one())

    before = records()
    found = stock.fetch(site, HERE, secret=alice.secret)
    assert records() == before
    told = {one["label"]: one["state"] for _, roles in found["accounts"] for one in roles}
    assert told == {OPERATOR: "RequestNeeded", "123456789012.Reader": "Available", "123456789012.Strict": "ContextNeeded"} | {
        "210987654321.Auditor": "Available"
    }
    assert (found["grants"], found["sessions"], found["sees_more"]) == ([], [], False)
    with pytest.raises(ArmError):
        alice.client.get("/providers/Isthmus.Access/grants")
    assert records() == before + 1


def test_the_menu_offers_what_the_api_allows_and_a_refused_page_says_why(site: Site, window: Window, alice: Asker) -> None:
    reader, all_of_it = asker(site, "Reader", "g-dev"), asker(site, "Auditor", "g-dev")
    give(site.server.app, reader.id, READER.id, site.root)
    give(site.server.app, all_of_it.id, READER.id, "/")
    plain = ["Home", "My access", "Connectors", "Machines", "Inventory", "Operations", "Access", "Roles"]
    for who, expected in ((reader, plain), (all_of_it, [*plain[:6], "Jobs", *plain[6:]])):
        with window(secret=who.secret) as look:
            page = look.open("/portal/access")
            entries = page.get_by_role("navigation", name="Portal").get_by_role("link")
            assert entries.all_inner_texts() == expected
            addresses = [str(one.get_attribute("href")) for one in entries.all()]
            tabs = [str(one.get_attribute("href")) for one in page.get_by_role("navigation", name="Access").get_by_role("link").all()]
            assert len(tabs) == (7 if who is all_of_it else 2)
            for address in (*addresses, *tabs):
                answer = look.context.request.get(look.url + address)
                assert answer.status == 200, address
    with window() as look:
        entries = look.open("/portal/").get_by_role("navigation", name="Portal").get_by_role("link")
        assert entries.all_inner_texts()[-1] == "Component kit"
    with window(secret=alice.secret) as look:
        for path in ("connectors", "machines", "inventory", "operations", "jobs", "roles", "access/sessions", "access/timeline"):
            look.refusals = 1
            answer = look.page.goto(f"{look.url}/portal/{path}")
            assert (answer.status if answer else None) == 403, path
            expect(look.page.locator("#main")).to_contain_text(re.compile("Ask an owner|Readers of the tenant"))
