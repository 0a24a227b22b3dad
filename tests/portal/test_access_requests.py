"""Requests for roles: asked for, decided by others, extended, ended early; a broken glass is loud and needs two owners."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from isthmus.identity.roles import OWNER, READER
from tests.contract.server import give
from tests.portal import stock
from tests.portal.askers import Asker, asker
from tests.portal.conftest import Site, Window
from tests.portal.holders import HOSTILE, Holders

ROLE = "123456789012.Operator"
SOMETIMES = {"StringEquals": {"aws:ResourceTag/team": "shop"}}


@pytest.fixture(scope="module")
def account(site: Site) -> str:
    return Holders(site).connector("people", "123456789012")


@pytest.fixture(scope="module", autouse=True)
def roles(site: Site, account: str) -> None:
    """Operator needs two approvals, Once one; Reader is standing."""
    activation = {"mode": "Request", "approverGroups": ["g-lead"], "longestSeconds": 7_200}
    holders = Holders(site)
    reboot = {"Effect": "Allow", "Action": ["ec2:RebootInstances", "ec2:StartInstances"], "Resource": ["*"], "Condition": SOMETIMES}
    holders.mapping(account, "Operator", activation={**activation, "approvals": 2}, statements=[reboot])
    holders.mapping(account, "Once", activation=activation)
    holders.mapping(account, "Reader")


def path(id: str) -> str:
    return f"/portal/access/requests/{id}"


def properties(who: Asker, id: str) -> dict[str, object]:
    found: dict[str, object] = who.client.get(f"/providers/Isthmus.Access/requests/{id}")["properties"]
    return found


def test_a_role_is_asked_for_with_the_mouse_and_what_was_typed_stays(site: Site, window: Window) -> None:
    alice = asker(site, "Alice", "g-dev")
    with window(secret=alice.secret) as look:
        look.refusals = 2
        page = look.open("/portal/access/requests")
        expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
        look.check("access-requests-empty")
        page.get_by_role("link", name="Ask for a role").click()
        page.get_by_role("button", name="Ask").click()
        expect(page.locator("#role-wrong")).to_contain_text("Choose the role")
        expect(page.locator("#reason-wrong")).to_contain_text("Say why")
        page.get_by_label("Role", exact=True).select_option(ROLE)
        page.get_by_label("Why").fill(HOSTILE)
        page.get_by_label("Minutes").fill("121")
        page.get_by_role("button", name="Ask").click()
        expect(page.locator("#minutes-wrong")).to_contain_text("7200 at most")
        expect(page.get_by_label("Why")).to_have_value(HOSTILE)
        expect(page.get_by_label("Role", exact=True)).to_have_value(ROLE)
        look.check("access-ask-refused")
        page.get_by_label("Minutes").fill("30")
        page.get_by_role("button", name="Ask").click()
        expect(page.locator(".toast")).to_contain_text("You have asked")
        expect(page.locator("#main")).to_contain_text(HOSTILE)
        expect(page.get_by_text("This is your own request")).to_be_visible()
        assert page.get_by_role("button", name="Approve").count() == 0
        look.check("access-request-own")
        page.get_by_role("button", name="Withdraw").click()
        expect(page.locator(".toast")).to_contain_text("You withdrew it")
        expect(page.locator(".facts").first).to_contain_text("Withdrawn")


def test_two_approve_by_keyboard_and_the_role_is_extended_and_ended_early(site: Site, window: Window) -> None:
    bob, one, two = asker(site, "Bob", "g-dev"), asker(site, "Lead One", "g-lead"), asker(site, "Lead Two", "g-lead")
    id = bob.ask(ROLE)
    with window(secret=one.secret) as look:
        page = look.open("/portal/access/requests")
        row = page.get_by_role("region", name="Requests, the newest first").get_by_role("row", name="Bob")
        expect(row).to_contain_text("0 of 2")
        look.check("access-requests")
        row.get_by_role("link", name="Request of Bob for Operator").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Bob asks for Operator")
        expect(page.get_by_text("what the policy arn:aws:iam::aws:policy/ReadOnlyAccess allows")).to_be_visible()
        expect(page.get_by_text("Allow ec2:RebootInstances, ec2:StartInstances on *, on conditions")).to_be_visible()
        expect(page.get_by_text("2 people of these groups of the directory must approve: g-lead.")).to_be_visible()
        look.check("access-request-decide")
        for link in page.locator("#main a[href^='/']").all():
            address = str(link.get_attribute("href"))
            assert look.context.request.get(look.url + address).status == 200, address
        page.get_by_role("button", name="Approve").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".toast")).to_contain_text("You approved it")
        expect(page.locator(".facts").first).to_contain_text("1 of 2")
        expect(page.get_by_text("You have approved; 1 more person has to")).to_be_visible()
        assert page.get_by_role("button", name="Approve").count() == 0
        assert page.get_by_role("button", name="Deny").count() == 1
    two.approve(id)
    grant = properties(bob, id)["grant"]
    with window(secret=bob.secret) as look:
        page = look.open(path(id))
        expect(page.get_by_role("region", name="Active grants")).to_contain_text("Operator")
        look.check("access-request-approved")
        page.get_by_role("link", name="Extend").click()
        expect(page.get_by_label("Role", exact=True)).to_have_value(ROLE)
        expect(page.get_by_label("Why")).to_have_value("INC-7: the queue is stuck")
        page = look.open(path(id))
        page.get_by_role("link", name="End early").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Reason").focus()
        page.keyboard.type("done")
        page.keyboard.press("Enter")
        expect(page.locator(".toast")).to_contain_text("The grant is ended")
        assert page.get_by_role("link", name="End early").count() == 0
        expect(page.locator(".facts").first).to_contain_text("Approved, over ended: done")
        row = look.open("/portal/access/requests?whose=mine").get_by_role("row", name="Operator")
        expect(row).to_contain_text("Approved, over ended: done")
    with window(secret=one.secret) as look:
        page = look.open(path(id))
        expect(page.get_by_role("heading", level=1)).to_have_text("Bob asked for Operator")
    with window() as look:
        entry = look.open(f"/portal/access/timeline?grant={grant}").locator("ol.timeline > li").filter(has_text="Got")
        expect(entry.locator("strong")).to_have_text("Got Operator")
        expect(entry.get_by_role("link", name="a request")).to_have_attribute("href", path(id))
        expect(entry).not_to_contain_text("request:")
    assert site.client.get(f"/providers/Isthmus.Access/grants/{grant}")["properties"]["ending"] == "done"


def test_of_two_approvers_at_once_the_second_sees_what_the_first_did(site: Site, window: Window) -> None:
    carol, one, two = asker(site, "Carol", "g-dev"), asker(site, "First", "g-lead"), asker(site, "Second", "g-lead")
    id = carol.ask("123456789012.Once")
    with window(secret=two.secret) as look:
        page = look.open(path(id))
        one.approve(id)
        page.get_by_label("Comment").fill("no, not now")
        look.refusals = 1
        page.get_by_role("button", name="Deny").click()
        expect(page.locator("#errors")).to_contain_text("First: approve")
        expect(page.locator(".timeline")).to_contain_text("First approved")
        assert page.get_by_role("button", name="Deny").count() == 0
        look.check("access-request-late")
    assert properties(carol, id)["state"] == "Approved"


def test_denying_needs_words_and_works_without_javascript(site: Site, window: Window) -> None:
    dora, lead = asker(site, "Dora", "g-dev"), asker(site, "Strict", "g-lead")
    id = dora.ask(ROLE)
    with window(secret=lead.secret, javascript=False, width=320, height=640) as look:
        page = look.open(path(id))
        page.get_by_role("button", name="Deny").click()
        expect(page.locator("#comment-wrong")).to_contain_text("Say why you deny it")
        page.get_by_label("Comment").fill("not during the freeze")
        page.get_by_role("button", name="Deny").click()
        expect(page.locator(".toast")).to_contain_text("You denied it")
        look.problems.clear()
    with window(secret=dora.secret, javascript=False) as look:
        page = look.open("/portal/access/requests?whose=mine")
        page.get_by_role("link", name="Request of Dora for Operator").click()
        expect(page.locator(".timeline")).to_contain_text("not during the freeze")
        page = look.open("/portal/access/ask")
        page.get_by_label("Role", exact=True).select_option(ROLE)
        page.get_by_label("Why").fill("again")
        page.get_by_role("button", name="Ask").click()
        expect(page.locator(".toast")).to_contain_text("You have asked")


def test_a_broken_glass_is_loud_and_two_owners_break_it(site: Site, window: Window, account: str) -> None:
    erin, first, second = asker(site, "Erin", "g-dev"), asker(site, "Owner One"), asker(site, "Owner Two")
    for owner in (first, second):
        give(site.server.app, owner.id, OWNER.id, account)
    with window(secret=erin.secret) as look:
        page = look.open(f"/portal/access/ask?role={ROLE}")
        page.get_by_label("Why").fill("the directory is down")
        page.get_by_label("Minutes").fill("15")
        page.get_by_label("Break the glass").check()
        page.get_by_role("button", name="Ask").click()
        expect(page.locator(".note.bad")).to_contain_text("Two owners of the connector must approve")
        id = page.url.partition("?")[0].rpartition("/")[2]
    with window(secret=first.secret) as look:
        page = look.open("/portal/access/requests")
        expect(page.get_by_role("row", name="Erin")).to_contain_text("Break glass")
        page.get_by_role("link", name="Request of Erin for Operator").click()
        page.get_by_role("button", name="Approve").click()
        expect(page.locator(".note.bad")).to_contain_text("First approval given by Owner One")
        look.check("access-request-glass")
    with window(secret=second.secret) as look:
        page = look.open(path(id))
        expect(page.locator(".note.bad")).to_contain_text("One more owner of the connector must approve")
        page.get_by_role("button", name="Approve").click()
        expect(page.locator(".note.bad")).to_contain_text("The glass is broken: approved by Owner One and Owner Two")
        look.check("access-request-glass-broken")
        page.get_by_label("Comment").fill("read the trail")
        page.get_by_role("button", name="I have looked at it").click()
        expect(page.locator(".note.bad")).to_contain_text("An owner looked at it")
    assert properties(erin, id)["acknowledgedAt"]


def test_readers_see_all_and_decide_nothing_and_strangers_see_none(site: Site, window: Window) -> None:
    frank, reader, stranger = asker(site, "Frank", "g-dev"), asker(site, "Auditor"), asker(site, "Stranger")
    give(site.server.app, reader.id, READER.id, "/")
    id = frank.ask(ROLE)
    with window(secret=reader.secret) as look:
        page = look.open("/portal/access/requests?whose=all&state=Pending")
        page.get_by_role("link", name="Request of Frank for Operator").click()
        expect(page.get_by_text("You are not one of those who decide this")).to_be_visible()
        assert page.locator("#main form").count() == 0
    with window(secret=stranger.secret, javascript=False) as look:
        page = look.open(path(id))
        expect(page.locator("#main")).to_contain_text("shown to who made it")
        page = look.open("/portal/access/ask")
        expect(page.get_by_role("heading", name="There is no role for you to ask for")).to_be_visible()
        look.problems.clear()
    with window(javascript=False) as look:
        page = look.open("/portal/access/ask")
        expect(page.locator(".note.warn")).to_contain_text("sign in with your directory")


def test_programs_get_it_as_json(site: Site) -> None:
    id = asker(site, "Grace", "g-dev").ask(ROLE)
    found = stock.fetch(site, path(id))
    assert (found["one"]["label"], found["one"]["minutes"], found["can_decide"], len(found["seen"])) == (ROLE, 30, False, 32)
    listed = stock.fetch(site, "/portal/access/requests?whose=all")
    assert id in [one["id"] for one in listed["requests"]]
