"""Drafts of the wizard: stale tabs, what changed before creation, what vanished, who may, and where drafts are kept."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest

from isthmus.arm.change import Change
from isthmus.arm.ids import parse_resource
from isthmus.identity.people import Person
from tests.contract.server import ACTOR
from tests.portal.test_frame import Browser
from tests.portal.walker import BASICS, START, Walker, call, draft_path, stored


def test_a_stale_tab_is_noticed_and_keeps_what_was_typed(walker: Walker) -> None:
    walker.begin().press("previous")
    other = Walker(browser=walker.browser, answer=walker.answer, page=walker.page)
    other.open(f"{START}/{walker.draft}/basics").press("close", **{"account-id": "210987654321", "connector-name": "other"})
    walker.press(**{"account-id": "111122223333"})
    assert walker.answer.status_code == 422
    assert "Saved elsewhere in the meantime" in walker.text
    changed = {
        row.xpath("string(./th)").strip(): (row.xpath("string(.//del)"), row.xpath("string(.//ins)"))
        for row in walker.page.xpath("//table[@class='diff']/tbody/tr")
    }
    assert changed == {"basics.accountId": ("210987654321", "111122223333"), "basics.connectorName": ("other", "shop")}
    assert walker.value("account-id") == "111122223333"
    assert stored(walker)["basics"]["accountId"] == "210987654321"
    # Pressed again it is saved, since what is replaced has been seen.
    walker.press()
    assert walker.step == "solutions"
    assert stored(walker)["basics"]["accountId"] == "111122223333"
    # The same typed twice is no conflict, nor is what another step collected.
    walker.press("previous")
    other.open(f"{START}/{walker.draft}/tags").press("close", **{"tag-name-1": "a", "tag-value-1": "b"})
    assert walker.press().step == "solutions"


def arrive(walker: Walker, *kinds: str) -> None:
    """What the timetable writes when roles are there."""
    app = walker.browser.api.app

    def decide(old: Any) -> Change:
        seen = {kind: {"status": "Arrived", "details": "It trusts us.", "checkedAt": "2026-01-01T00:00:00Z"} for kind in kinds}
        return Change(puts=(replace(old, properties={**old.properties, "arrivals": seen}),))

    app.engine.write(parse_resource(draft_path(walker)), decide, ACTOR, "test/arrivals")


def test_an_arrival_in_between_is_no_stale_tab(walker: Walker) -> None:
    walker.begin().press()
    assert walker.step == "template"
    solutions = Walker(browser=walker.browser, answer=walker.answer, page=walker.page).open(f"{START}/{walker.draft}/solutions")
    arrive(walker, "Microsoft.AssetManagement")
    solutions.press("close", **{"inventory-period": "2"})
    assert solutions.answer.status_code == 200
    assert stored(walker)["solutions"]["inventory"]["settings"]["periodicSyncTime"] == "2"
    assert "Arrived" in walker.open(f"{START}/{walker.draft}/template").text
    assert "The stack has arrived: every role trusts this connector." in walker.text
    assert "stream" not in walker.answer.text
    walker.press("review")
    assert "its first scan begins at once" in walker.text
    # Also at creation: it is what was looked at that counts.
    arrive(walker)
    assert walker.browser.send("POST", f"{START}/{walker.draft}/review", data={**walker.held(), "go": "create"}).status_code == 303


def test_what_was_changed_since_the_review_is_looked_at_first(walker: Walker) -> None:
    walker.begin().press("review")
    other = Walker(browser=walker.browser, answer=walker.answer, page=walker.page)
    other.open(f"{START}/{walker.draft}/basics").press("close", **{"account-id": "210987654321"})
    walker.press("create")
    assert walker.answer.status_code == 422
    assert "The draft was changed in another tab" in walker.wrong[""]
    assert "210987654321" in walker.text
    held, address = walker.held(), f"{START}/{walker.draft}/review"
    first = walker.browser.send("POST", address, data={**held, "go": "create"})
    again = walker.browser.send("POST", address, data={**held, "go": "create"})
    assert (first.status_code, again.status_code) == (303, 303), "pressed twice, both lead to the connector"
    assert first.headers["location"] == again.headers["location"]
    assert first.headers["location"].endswith("/publicCloudConnectors/shop?done=created")


def test_the_form_sent_twice_makes_one_draft(walker: Walker) -> None:
    data = {**walker.held(), **BASICS, "go": "next"}
    first, again = (walker.browser.send("POST", START, data=data) for _ in range(2))
    assert first.headers["location"] == again.headers["location"]
    assert walker.open(START).answer.text.count('aria-label="Continue shop"') == 1


def test_drafts_are_gone_on_with_and_discarded(walker: Walker) -> None:
    walker.begin().press("tags", onboarding="true")
    name = walker.draft
    walker.press("close", **{"tag-name-1": "kept", "tag-value-1": "yes"})
    assert "What you typed is kept as a draft." in walker.text
    ((to, title),) = [(a.get("href"), a.text_content()) for a in walker.page.xpath("//table//th/a")]
    assert (to, title) == (f"{START}/{name}/tags", "shop")
    assert walker.open(to).value("tag-name-1") == "kept"
    walker.open(f"{START}/{name}/discard")
    assert "AWS is not touched" in walker.text
    form = walker.page.xpath("//form[@aria-label='Discard']")[0]
    answer = walker.browser.send("POST", form.get("action"), data=dict(form.form_values()))
    assert walker.open(answer.headers["location"]).text.count("The draft was discarded.") == 1
    for page in ("basics", "solutions", "template", "template.json", "tags", "review", "discard"):
        walker.open(f"{START}/{name}/{page}")
        assert walker.answer.status_code == 404
        assert "This draft is not there any more" in walker.text


def test_a_draft_that_vanished_says_so_and_shows_what_was_typed(walker: Walker) -> None:
    walker.begin()
    call(walker.browser.api, "DELETE", draft_path(walker))
    walker.press(**{"onboarding": "true", "onboarding-tag": "arc:yes"})
    assert walker.answer.status_code == 404
    assert "This draft is not there any more" in walker.text
    assert "onboarding-tagarc:yes" in walker.text.replace(" ", "")


@pytest.mark.parametrize("name", ["..", "a%3Fb", "a%23b", "%2e%2e", "a" * 65])
def test_an_address_that_names_no_draft_is_gone(walker: Walker, name: str) -> None:
    assert walker.open(f"{START}/{name}/basics").answer.status_code in (404, 303)
    token = walker.browser.token()
    assert walker.browser.send("POST", f"{START}/{name}/discard", data={"_token": token}).status_code in (303, 404, 405)
    assert call(walker.browser.api, "GET", f"/subscriptions/{walker.browser.api.subscription}").status_code == 200


def test_who_may_not_is_told_and_keeps_what_was_typed(walker: Walker) -> None:
    api = walker.browser.api
    person = Person(object_id=str(uuid.uuid4()), name="Reader")
    reader = Browser(api)
    reader.cookies["__Host-isthmus"] = api.app.sign_in.sessions.open(person, provider="")
    assert Walker(browser=reader, answer=walker.answer, page=None).open(START).answer.status_code == 403
    assignment = f"/subscriptions/{api.subscription}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    role = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    api.call("PUT", assignment, {"properties": {"roleDefinitionId": role, "principalId": person.object_id}})
    looker = Walker(browser=reader, answer=walker.answer, page=None).open(START)
    assert looker.answer.status_code == 200
    looker.press(**BASICS)
    assert looker.answer.status_code == 422
    assert "Isthmus.Connect/drafts/write" in looker.wrong[""]
    assert looker.value("account-id") == BASICS["account-id"]
    walker.begin()
    looker.open(f"{START}/{walker.draft}/solutions").press(**{"inventory-period": "24"})
    assert "Isthmus.Connect/drafts/write" in looker.wrong[""]
    assert looker.value("inventory-period") == "24"
    assert walker.open(f"{START}/{walker.draft}/template").step == "template"


def test_a_draft_belongs_to_the_subscription_that_was_chosen(walker: Walker) -> None:
    api = walker.browser.api
    second = str(uuid.uuid4())
    assert api.call("PUT", f"/subscriptions/{second}", {"properties": {"displayName": "Second"}}, version="2022-12-01").status_code < 300
    walker.open(START)
    walker.press(**{**BASICS, "subscription": str(uuid.uuid4())})
    assert (list(walker.wrong), walker.value("account-id")) == (["subscription"], BASICS["account-id"])
    walker.press(**{**BASICS, "subscription": second})
    assert walker.step == "solutions", walker.wrong
    drafts = call(api, "GET", f"/subscriptions/{second}/providers/Isthmus.Connect/drafts").json()["value"]
    assert [one["properties"]["basics"]["connectorName"] for one in drafts] == ["shop"]
    assert walker.press("basics").page.get_element_by_id("subscription").get("value") == "Second"
    call(api, "DELETE", drafts[0]["id"])


def test_a_draft_that_is_too_large_is_refused_in_place(walker: Walker) -> None:
    walker.begin().press("tags")
    walker.press(**{"tag-name-1": "n", "tag-value-1": "x" * 40_000})
    assert walker.answer.status_code == 422
    assert "more than the 32768 that are kept" in walker.wrong[""]
    assert len(walker.value("tag-value-1")) == 40_000


def test_programs_get_the_pages_as_they_are(walker: Walker) -> None:
    walker.begin()
    for step in ("basics", "solutions", "template", "tags", "review"):
        answer = walker.browser.send("GET", f"{START}/{walker.draft}/{step}", headers={"Accept": "application/json"})
        assert answer.json()["wizard"]["step"] == step
    assert walker.browser.send("GET", f"{START}/nothing/basics", headers={"Accept": "application/json"}).status_code == 404
