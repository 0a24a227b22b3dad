"""Tables about access on a small screen and a wide one: words stay whole, rows stay low, and nothing is said twice."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page

from tests.portal import stock
from tests.portal.askers import asker
from tests.portal.conftest import Site, Window
from tests.portal.holders import Holders

BROKEN = """() => [...document.querySelectorAll('.sheet th, .sheet td')].flatMap(cell => {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    for (const word of node.data.matchAll(/[A-Za-z0-9]+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1) found.push(word[0]);
    }
  return found;
})"""
HEIGHTS = "() => Math.max(...[...document.querySelectorAll('.sheet tbody tr')].map(row => row.offsetHeight))"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REASON = "INC-4711: the nightly export of the shop's orders hangs, and the queue behind it grows by a thousand a minute"


@pytest.fixture(scope="module")
def mapping(site: Site) -> str:
    """Two roles; three people hold them, one asks, one was offboarded."""
    holders = Holders(site)
    connector = holders.connector("aws-210987654321", "210987654321")
    activation = {"mode": "Request", "approverGroups": ["6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38"], "longestSeconds": 7_200}
    holders.mapping(connector, "Operator", activation=activation, description="Restarts what hangs, and reads everything")
    reader = holders.mapping(connector)
    for name in ("Alice Example", "Bartholomew Featherstonehaugh", "Carol"):
        holders.holds(reader, holders.person(name), name)
    asker(site, "Frank Example", "g-dev").ask("210987654321.Operator", reason=REASON)
    gone = holders.person("Dora Example")
    holders.holds(reader, gone, "Dora Example")
    site.client.post(f"/providers/Isthmus.Access/people/{gone}/offboard", {"reason": REASON})
    return reader


def pages(mapping: str) -> dict[str, str]:
    places = {name: f"/portal/access/{name}" for name in ("sessions", "grants", "review", "timeline")}
    requests = "/portal/access/requests?whose=all"
    who = "/portal/access/who?account=210987654321"
    return {"overview": "/portal/access", "requests": requests, "mapping": f"/portal/access/mapping{mapping}", "who": who, **places}


@pytest.mark.parametrize("width", [375, 1280])
def test_no_word_breaks_and_rows_stay_low(window: Window, mapping: str, width: int) -> None:
    with window(width=width, height=800) as look:
        for name, path in pages(mapping).items():
            page: Page = look.open(path)
            assert page.evaluate(BROKEN) == [], name
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            if page.locator(".sheet tbody tr").count():
                assert page.evaluate(HEIGHTS) <= 145, name
            assert "credentials for credentials" not in page.locator("#main").inner_text(), name
            look.check(f"access-table-{name}-{width}")


def test_the_account_stands_once_in_a_row_and_ids_of_people_on_their_page(site: Site, window: Window, mapping: str) -> None:
    groups = {"6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38"}
    with window() as look:
        for name, path in pages(mapping).items():
            page = look.open(path)
            told = page.locator("#main").inner_text()
            assert {found[0] for found in GUID.finditer(told)} <= groups, name
            for row in page.locator(".sheet tbody tr").all_inner_texts() if name != "who" else ():
                assert row.count("210987654321") <= 1, (name, row)
    person = site.client.get("/providers/Isthmus.Access/grants", query={"$top": "1"})["value"][0]["properties"]["person"]
    assert stock.fetch(site, f"/portal/access/people/{person}")["who"]["id"] == person
