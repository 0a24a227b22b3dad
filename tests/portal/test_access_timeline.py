"""The timeline: filters, pages that go on by key, links to everything that an entry is about, the whole event as text, and the proof."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from isthmus.access.trail import ingest
from isthmus.audit.checkpoints import Checkpoints
from isthmus.audit.events import read_event
from isthmus.identity.roles import READER
from isthmus.portal.page import local
from isthmus.store.tables import audit_checkpoints, audit_records
from tests.access.cloudtrail import ISSUER, Session, called, entered
from tests.contract.server import give
from tests.fakes.ring import OneKey
from tests.portal import stock
from tests.portal.askers import Asker, asker
from tests.portal.conftest import Site, Window
from tests.portal.holders import HOSTILE

MACHINE = "i-0123456789abcdef1"
ARN = f"arn:aws:ec2:us-east-1:123456789012:instance/{MACHINE}"


@pytest.fixture(scope="module")
def alice(site: Site) -> Asker:
    """She signed in, took credentials, and made 70 calls; the last opened a shell, one was refused and carries what is hostile."""
    made = asker(site, "Alice", "g-dev")
    session = Session(key="ASIAALICE", person=made.id, grant="G-ALICE")
    calls = [called(session, "DescribeVpcs", 10 + number) for number in range(68)]
    refused = {**called(session, "DeleteBucket", 90, source="s3", requestParameters={"bucketName": HOSTILE}), "errorCode": "AccessDenied"}
    about = [{"ARN": ARN, "accountId": "123456789012", "type": "AWS::EC2::Instance"}]
    shell = called(session, "StartSession", 95, source="ssm", requestParameters={"target": MACHINE}, resources=about)
    with site.server.app.engine.store.begin() as connection:
        ingest(connection, [read_event(one) for one in (entered(session), *calls, refused, shell)], ISSUER)
    return made


def test_a_person_is_followed_from_call_to_event_and_back(window: Window, alice: Asker) -> None:
    with window() as look:
        page = look.open(f"/portal/access/timeline?person={alice.id}")
        entries = page.locator("ol.timeline > li")
        expect(entries).to_have_count(50)
        expect(page.get_by_label("Of", exact=True)).to_have_value("person")
        expect(entries.first).to_contain_text("Signed in")
        expect(entries.nth(1)).to_contain_text("ssm:StartSession")
        expect(entries.nth(1).get_by_role("link", name="Alice", exact=True)).to_have_attribute("href", f"/portal/access/people/{alice.id}")
        expect(entries.nth(1).get_by_role("link", name=ARN)).to_have_attribute("href", local("/portal/inventory", name=ARN))
        expect(entries.nth(1)).to_contain_text("2026-01-01 00:01:35")
        expect(entries.nth(2)).to_contain_text("AccessDenied")
        look.check("access-timeline")
        entries.nth(2).get_by_role("link", name="whole event").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("region", name="The event as JSON")).to_contain_text("<script>alert(1)</script>")
        look.check("access-event")
        page.get_by_role("link", name="ASIAALICE").click()
        expect(page.get_by_label("Named")).to_have_value("ASIAALICE")
        expect(entries.first).to_contain_text("ssm:StartSession")


def test_pages_go_on_by_key_without_javascript(window: Window, alice: Asker) -> None:
    with window(javascript=False, width=320, height=640) as look:
        page = look.open(f"/portal/access/timeline?person={alice.id}")
        page.get_by_role("link", name="Older").click()
        entries = page.locator("ol.timeline > li")
        expect(entries).to_have_count(22)
        expect(entries.last).to_contain_text("sts:AssumeRoleWithWebIdentity")
        page.get_by_role("link", name="Newest").click()
        expect(entries).to_have_count(50)
        page.get_by_label("Of", exact=True).select_option("machine")
        page.get_by_label("Named").fill(MACHINE)
        page.get_by_role("button", name="Show").click()
        expect(entries).to_have_count(1)


def test_what_isthmus_itself_called_is_shown_by_a_tick(window: Window, site: Site, alice: Asker) -> None:
    own = Session(key="ASIAOWN", person="", grant="", name="Connector", began=200)
    told = [
        entered(own, subject="svc:Isthmus.Access:guid"),
        *(called(own, "ListRoles", 200 + number, source="iam") for number in range(60)),
    ]
    with site.server.app.engine.store.begin() as connection:
        ingest(connection, [read_event(one) for one in told], ISSUER)
    with window(javascript=False) as look:
        page = look.open("/portal/access/timeline?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z")
        entries = page.locator("ol.timeline > li")
        expect(entries.first).to_contain_text("ssm:StartSession")
        page.get_by_label("Show what Isthmus itself called").check()
        page.get_by_role("button", name="Show").click()
        expect(entries.first).to_contain_text("iam:ListRoles")
        expect(entries.first).to_contain_text("Isthmus itself called")
        address = page.url
        page.get_by_role("link", name="Older").click()
        expect(page.get_by_label("Show what Isthmus itself called")).to_be_checked()
        expect(entries.nth(9)).to_contain_text("iam:ListRoles")
    with window() as look:
        look.page.goto(address)
        expect(look.page.get_by_label("Show what Isthmus itself called")).to_be_checked()
        look.check("access-timeline-whole")


def test_a_range_of_time_is_chosen_and_bad_questions_stand_at_their_field(window: Window, alice: Asker) -> None:
    with window() as look:
        page = look.open(f"/portal/access/timeline?person={alice.id}&since=2026-01-01T00:00:20Z&until=2026-01-01T00:00:30Z")
        expect(page.locator("ol.timeline > li")).to_have_count(10)
        look.refusals = 3
        page.get_by_label("Since").fill("yesterday")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#since-wrong")).to_contain_text("not 'yesterday'")
        expect(page.get_by_label("Since")).to_have_value("yesterday")
        look.check("access-timeline-refused")
        page = look.open("/portal/access/timeline?by=machine&which=web-1")
        expect(page.locator("#which-wrong")).to_contain_text("not the id of a machine")
        page = look.open("/portal/access/timeline?person=nobody")
        expect(page.locator("#which-wrong")).to_contain_text("Nobody of the name 'nobody'")


def test_the_proof_shows_checkpoints_with_their_anchor_and_checks_the_chain(site: Site, window: Window, alice: Asker) -> None:
    app = site.server.app
    Checkpoints(store=app.engine.store, ring=OneKey(), anchor=None, clock=app.engine.clock).run(datetime.now(UTC))
    with app.engine.store.begin() as connection:
        connection.execute(update(audit_checkpoints).where(audit_checkpoints.c.tree == "audit").values(anchored_at=app.engine.now()))
    with window() as look:
        page = look.open("/portal/access/timeline")
        proof = page.get_by_role("region", name="Proof")
        expect(proof).to_contain_text("audit-0000")
        expect(proof.get_by_text("not anchored")).to_be_visible()
        proof.get_by_role("button", name="Check the chain").click()
        expect(proof).to_contain_text("The chain holds.")
        look.check("access-timeline-proof")
        with app.engine.store.begin() as connection:
            connection.execute(update(audit_records).where(audit_records.c.seq == 2).values(actor="somebody else"))
        proof.get_by_role("button", name="Check the chain").click()
        expect(proof).to_contain_text("Record 2 does not fit the chain")
        look.check("access-timeline-broken")


def test_readers_of_the_tenant_see_it_others_do_not_and_programs_get_json(site: Site, window: Window, alice: Asker) -> None:
    reader, stranger = asker(site, "Auditor"), asker(site, "Stranger")
    give(site.server.app, reader.id, READER.id, "/")
    with window(secret=reader.secret, javascript=False) as look:
        page = look.open(f"/portal/access/timeline?person={alice.id}")
        page.get_by_role("button", name="Check the chain").click()
        expect(page.get_by_role("region", name="Proof")).to_contain_text("The chain")
    with window(secret=stranger.secret, javascript=False) as look:
        page = look.open("/portal/access/timeline")
        assert page.locator("ol.timeline").count() == 0
        expect(page.locator("#main")).to_contain_text("does not have authorization")
        look.problems.clear()
    found = stock.fetch(site, f"/portal/access/timeline?person={alice.id}&until=2026-02-01T00:00:00Z")
    assert (found["entries"][0]["what"], found["entries"][0]["name"], len(found["entries"])) == ("ssm:StartSession", "Alice", 50)
