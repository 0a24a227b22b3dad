"""Machines: tiles, filters, a list of any length, and states that change while one looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import expect

from isthmus.identity.roles import READER
from isthmus.solutions.onboard import rows
from isthmus.solutions.onboard.rows import InstanceRow
from tests.api.seeds import Seeds
from tests.contract.server import give
from tests.portal import stock
from tests.portal.conftest import Site, Window

ACCOUNT, OTHER = "123456789012", "210987654321"
HOSTILE = "<script>alert(1)</script>'\"{{ 7 * 7 }}\u202e"


class Fleet:
    """Two connectors; the first has what people see in ordinary life, the second 300 instances."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.seeds = seeds = Seeds(stock.Caller(site))  # type: ignore[arg-type]
        self.connector = stock.connector(site, "prod-aws", ACCOUNT)
        self.other = stock.connector(site, "many-aws", OTHER)
        self.first, second = seeds.solution(self.connector), seeds.solution(self.other)
        self.rows = {
            "i-0a": seeds.instance(self.first, "i-0a", ("DISCOVERED", ""), ("KEYGEN", ""), ("CONNECTED", "")),
            "i-0b": seeds.instance(self.first, "i-0b", ("DISCOVERED", ""), ("BLOCKED", "IMDS_DISABLED")),
            "i-0c": seeds.instance(self.first, "i-0c", ("SSM_WAIT", "SSM_BACKOFF")),
            "i-0d": seeds.instance(self.first, "i-0d", ("BLOCKED", "AGENT_ELSEWHERE"), evidence={"resource": HOSTILE}),
            "i-0e": seeds.instance(self.first, "i-0e", ("EXCLUDED", "FILTERED_TAG"), evidence={"rule": "env:prod"}, region="us-east-1"),
        }
        facts = {
            "displayName": HOSTILE,
            "status": "Connected",
            "osSku": "Debian 12",
            "agentVersion": "1.2",
            "lastStatusChange": "2026-11-01T00:00:00Z",
        }
        seeds.machine(ACCOUNT, "i-0a", properties=facts)
        many = [
            replace(
                self.rows["i-0a"],
                key=rows.key_of(OTHER, "eu-west-1", id),
                account=OTHER,
                instance_id=id,
                solution=second.lower(),
                machine=id,
                state="DISCOVERED",
            )
            for id in (f"i-9{n:04}" for n in range(300))
        ]
        with seeds.engine.store.begin() as connection:
            rows.observe(connection, many)

    def move(self, id: str, state: str, code: str = "", **more: Any) -> InstanceRow:
        """What a tick does to an instance."""
        row = self.rows[id]
        evidence: Mapping[str, Any] = more.pop("evidence", {})
        moved = replace(row, state=state, code=code, since=self.seeds.engine.now(), evidence=evidence, **more)
        with self.seeds.engine.store.begin() as connection:
            rows.save(connection, [moved], {row.key: row})
        self.rows[id] = moved
        return moved


@pytest.fixture(scope="module")
def fleet(site: Site) -> Iterator[Fleet]:
    return Fleet(site)


def test_tiles_filter_and_reasons_lead_to_their_remedy(window: Window, fleet: Fleet) -> None:
    with window() as look:
        page = look.open("/portal/machines")
        expect(page.locator("#machines-summary")).to_have_text("1 of 305 connected, 2 blocked")
        page.get_by_role("link", name="2 Blocked").click()
        page.wait_for_url("**/portal/machines?status=blocked")
        expect(page.get_by_role("row", name="i-0b")).to_contain_text("--instance-id i-0b --http-endpoint enabled")
        assert page.locator("v-rows tbody tr:not([aria-hidden])").count() == 2
        assert page.get_by_role("link", name="2 Blocked").get_attribute("aria-current") == "true"
        look.check("machines-blocked")
        page.get_by_role("link", name="1 IMDS_DISABLED").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**code=IMDS_DISABLED")
        assert page.locator("v-rows tbody tr:not([aria-hidden])").count() == 1
        page.get_by_label("Connector").select_option(label="many-aws")
        page.get_by_role("button", name="Filter", exact=True).click()
        expect(page.get_by_role("heading", name="No machine matches")).to_be_visible()
        look.check("machines-none")


def test_states_change_while_one_looks_and_after_the_stream_has_ended(window: Window, fleet: Fleet) -> None:
    with window() as look:
        page = look.open("/portal/machines?account=123456789012")
        look.check("machines")
        page.evaluate("window.__same = true")
        row = page.get_by_role("row", name="i-0c")
        expect(row).to_contain_text("Waiting")
        fleet.move("i-0c", "KEYGEN")
        expect(row).to_contain_text("Making its key")
        expect(page.locator("#tile-inProgress")).to_have_text("301")
        fleet.move("i-0c", "BLOCKED", "NO_PROFILE", next_at=fleet.seeds.engine.now() + 3_600_000)
        expect(row).to_contain_text("no instance profile")
        expect(row).to_contain_text("in 1 hour")
        expect(page.locator("#machines-summary")).to_have_text("1 of 305 connected, 3 blocked")
        fleet.site.server.app.retire()
        fleet.move("i-0c", "CONNECTED")
        expect(row).to_contain_text("Connected")
        new = fleet.seeds.instance(fleet.first, "i-0f", ("DISCOVERED", ""))
        expect(page.get_by_role("row", name="i-0f")).to_be_visible()
        fleet.rows["i-0f"] = new
        assert page.evaluate("window.__same") is True


def test_a_long_list_is_scrolled_and_lives_where_one_is(window: Window, fleet: Fleet) -> None:
    with window() as look:
        page = look.open("/portal/machines?account=210987654321")
        expect(page.locator("table.machines")).to_have_attribute("aria-rowcount", "301")
        assert page.locator("tbody tr[aria-rowindex]").count() <= 300
        page.locator(".scroll").evaluate("(one) => { one.scrollTop = one.scrollHeight; }")
        last = page.get_by_role("row", name="i-90299")
        expect(last).to_be_visible()
        expect(last).to_have_attribute("aria-rowindex", "301")
        fleet.rows["i-90299"] = replace(
            fleet.rows["i-0a"],
            key=rows.key_of(OTHER, "eu-west-1", "i-90299"),
            account=OTHER,
            instance_id="i-90299",
            machine="i-90299",
            state="DISCOVERED",
            solution=f"{fleet.other}/providers/Microsoft.HybridConnectivity/solutionConfigurations/onboard".lower(),
        )
        fleet.move("i-90299", "BLOCKED", "IMDS_DISABLED")
        expect(last).to_contain_text("IMDS_DISABLED")


def test_without_javascript_pages_follow_each_other(window: Window, fleet: Fleet) -> None:
    with window(javascript=False, width=320, height=640) as look:
        page = look.open("/portal/machines?connector=" + fleet.other)
        page.get_by_role("link", name="Next").click()
        expect(page.get_by_role("row", name="i-90100")).to_be_visible()
        expect(page.get_by_role("link", name="Previous")).to_be_visible()
        page.get_by_label("Account").fill("12")
        page.get_by_role("button", name="Filter", exact=True).click()
        expect(page.locator("#filter-account-wrong")).to_contain_text("12 digits")
        look.problems.clear()
    with window(width=320, height=640) as look:
        page = look.open("/portal/machines")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_machine_tells_its_story_live(window: Window, fleet: Fleet) -> None:
    with window() as look:
        page = look.open("/portal/machines?name=i-0b")
        page.get_by_role("row", name="i-0b").get_by_role("link", name="i-0b").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="i-0b", level=1)).to_be_visible()
        expect(page.locator("#machine-now")).to_contain_text("--http-endpoint enabled")
        expect(page.locator("#machine-now")).to_contain_text("It needs a person.")
        expect(page.locator("#machine-timeline li")).to_have_count(2)
        look.check("machine-blocked")
        page.evaluate("window.__same = true")
        fleet.move("i-0b", "KEYGEN")
        expect(page.locator("#machine-timeline li")).to_have_count(3)
        expect(page.locator("#machine-now")).to_contain_text("makes its key pair")
        fleet.site.server.app.retire()
        fleet.move("i-0b", "BLOCKED", "KEY_PARSE", evidence={"message": HOSTILE, "tail": "x"})
        expect(page.locator("#machine-now")).to_contain_text("<script>alert(1)</script>")
        assert page.evaluate("window.__same") is True
        page.get_by_role("button", name="Look again now").click()
        expect(page.locator(".toast")).to_contain_text("looked at again now")


def test_a_connected_machine_shows_its_facts_and_hostile_names_are_text(window: Window, fleet: Fleet) -> None:
    with window() as look:
        page = look.open("/portal/machine/123456789012.eu-west-1.i-0a")
        expect(page.get_by_role("heading", level=1)).to_contain_text("<script>alert(1)</script>")
        for fact in ("Debian 12", "1.2", "Systems Manager, and the agent signed"):
            expect(page.locator("#machine-agent")).to_contain_text(fact)
        assert "/portal/resource/subscriptions/" in str(page.get_by_role("link", name="Machine resource").get_attribute("href"))
        look.check("machine")
    with window(javascript=False, width=320, height=640) as look:
        page = look.open("/portal/machine/123456789012.eu-west-1.i-0d")
        expect(page.locator("#machine-timeline")).to_contain_text("<script>alert(1)</script>")
        page.get_by_role("button", name="Look again now").click()
        expect(page.locator(".toast")).to_be_visible()


def test_readers_look_and_strangers_do_not(site: Site, window: Window, fleet: Fleet) -> None:
    reader = "cccccccc-0000-4000-8000-000000000001"
    give(site.server.app, reader, READER.id, site.root)
    with window(secret=site.sign_in(reader), javascript=False) as look:
        page = look.open("/portal/machine/123456789012.eu-west-1.i-0d")
        page.get_by_role("button", name="Look again now").click()
        expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
        page = look.open("/portal/machine/123456789012.eu-west-1.none")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        look.problems.clear()
    with window(secret=site.sign_in("cccccccc-0000-4000-8000-000000000002"), javascript=False) as look:
        page = look.open("/portal/machines")
        expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
        look.problems.clear()


def test_programs_get_it_as_json(site: Site, fleet: Fleet) -> None:
    found = stock.fetch(site, "/portal/machines?name=i-0e")["list"]
    assert [(one["instance"], one["status"], one["code"]) for one in found["machines"]] == [("i-0e", "excluded", "FILTERED_TAG")]
    assert stock.fetch(site, "/portal/machine/123456789012.us-east-1.i-0e")["events"][0]["title"] == "Excluded: FILTERED_TAG"
