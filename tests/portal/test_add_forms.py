"""The wizard's forms, sent as browsers without scripts send them: every field with its message, drafts, stale tabs, rights."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from isthmus.app import build
from isthmus.arm.change import Change
from isthmus.arm.ids import parse_resource
from isthmus.arm.types import Actor
from isthmus.identity.people import Person
from isthmus.settings import Settings
from tests.api.conftest import PORT, Api
from tests.portal.test_frame import Browser
from tests.portal.walker import BASICS, START, Walker
from tests.support.databases import Databases

VERSION = "2026-11-01"
ACTOR = Actor(id="test", kind="Application")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Api]:
    """One application for the whole file."""
    folder = tmp_path_factory.mktemp("wizard")
    settings = Settings(
        data=folder / "data",
        database_url=databases.fresh_sqlite(folder / "isthmus.db"),
        template_url="https://templates.s3.eu-west-1.amazonaws.com/{guid}.json",
    )
    app = build(settings, port=PORT, environ={})
    yield Api(app, folder / "data")
    app.close()


@pytest.fixture
def walker(api: Api) -> Iterator[Walker]:
    """The administrator at the start of the wizard; drafts and connectors go afterwards."""
    browser = Browser(api)
    browser.sign_in()
    yield Walker.of(browser)
    for path in ("providers/Isthmus.Connect/drafts", "providers/Microsoft.HybridConnectivity/publicCloudConnectors"):
        for one in call(api, "GET", f"/subscriptions/{api.subscription}/{path}").json()["value"]:
            call(api, "DELETE", one["id"])


def call(api: Api, method: str, path: str, body: Any = None) -> Any:
    return api.call(method, path, body, version=VERSION if "Isthmus." in path else "2024-12-01")


def draft_path(walker: Walker, name: str = "") -> str:
    return f"/subscriptions/{walker.browser.api.subscription}/providers/Isthmus.Connect/drafts/{name or walker.draft}"


def stored(walker: Walker, name: str = "") -> dict[str, Any]:
    found: dict[str, Any] = call(walker.browser.api, "GET", draft_path(walker, name)).json()["properties"]
    return found


def test_an_empty_form_makes_a_draft_and_names_every_field(walker: Walker) -> None:
    walker.press()
    assert walker.answer.status_code == 422
    assert walker.wrong == {
        "resource-group": "Resource group is empty. Fill it in.",
        "connector-name": "Connector name is empty. Fill it in.",
        "location": "Region is empty. Choose the region in which the connector is kept.",
        "account-id": "AWS account id is empty. Enter the 12 digits that the AWS console shows in the menu of your account.",
    }
    assert walker.states == {"basics": "wrong"}
    assert stored(walker)["solutions"]["inventory"] == {"enabled": True, "settings": {}}
    assert "Without a name" in walker.open(START).text


@pytest.mark.parametrize(
    ("field", "typed", "says"),
    [
        ("resource-group", "a" * 91, "cannot be a resource group. Use up to 90 letters"),
        ("resource-group", "ends.", "'ends.' cannot be a resource group. Use up to 90 letters"),
        ("connector-name", "a_b", "'a_b' cannot be a connector name. Use 3 to 63 letters, digits and hyphens."),
        ("connector-name", "ab", "Use 3 to 63 letters"),
        ("location", "no where!", "is not a location. Choose one of the regions."),
        ("account-id", "12345678901", "has 12 digits; '12345678901' has not. Enter the 12 digits"),
        ("account-id", "１２３４５６７８９０１２", "Enter the 12 digits"),
        ("account-kind", "organization", "Organization connectors are not offered yet"),
    ],
)
def test_every_field_of_the_basics_says_what_is_wrong_and_keeps_it(walker: Walker, field: str, typed: str, says: str) -> None:
    walker.press(**{**BASICS, field: typed})
    assert walker.answer.status_code == 422
    assert list(walker.wrong) == [field]
    assert says in walker.wrong[field]
    assert walker.page.get_element_by_id(field) is not None
    assert walker.page.get_element_by_id(f"{field}-wrong").text_content() == walker.wrong[field]
    kept = {"resource-group": "resourceGroup", "connector-name": "connectorName", "location": "location", "account-id": "accountId"}
    if field in kept:
        assert stored(walker)["basics"][kept[field]] == typed
        assert field == "location" or walker.value(field) == typed
    else:
        assert stored(walker)["basics"]["isOrganizationalAccount"] is True
        # The choice that is not offered is shown and cannot be sent again; another one can.
        assert "account-kind" not in walker.held()
        assert walker.press().answer.status_code == 422
        assert walker.press(**{"account-kind": "single"}).step == "solutions"


def test_defaults_of_the_solutions_are_those_of_the_api(walker: Walker) -> None:
    walker.begin()
    held = walker.held()
    assert held["inventory"] == ["true"]
    assert "onboarding" not in held
    for name, value in {
        "inventory-services": "all",
        "inventory-read": "global",
        "inventory-periodic": "true",
        "inventory-period": "1",
        "inventory-regions": "all",
        "onboarding-endpoint": "public",
        "onboarding-periodic": "true",
        "onboarding-period": "1",
        "onboarding-regions": "all",
        "onboarding-tag": "",
    }.items():
        assert held[name] == [value], name
    hours = walker.page.xpath("//select[@id='inventory-period']/option/text()")
    assert hours == ["1 hour", "2 hours", "4 hours", "6 hours", "12 hours", "24 hours"]
    boxes = walker.page.xpath("//input[@name='inventory-service']/@value")
    assert {"ec2", "s3", "ssm"} <= set(boxes)
    assert len(walker.page.xpath("//input[@name='onboarding-region']")) == 14


@pytest.mark.parametrize(
    ("typed", "field", "says"),
    [
        ({"inventory-services": "some"}, "inventory-service", "Choose at least one service, or all supported services."),
        ({"inventory-services": "some", "inventory-service": ["ec2", "nope"]}, "inventory-service", "does not know 'nope'"),
        ({"inventory-read": "least"}, "inventory-read", "can only be read with Global read"),
        ({"inventory-period": "3"}, "inventory-period", "accepts 1, 2, 4, 6, 12, 24"),
        ({"inventory-regions": "some"}, "inventory-region", "Choose at least one region"),
        (
            {"inventory-regions": "some", "inventory-more-regions": "nowhere"},
            "inventory-more-regions",
            "'nowhere' is not an AWS region name",
        ),
        ({"onboarding": "true", "onboarding-endpoint": "proxy"}, "onboarding-proxy", "Proxy server URL is empty. Write http://server:port"),
        (
            {"onboarding": "true", "onboarding-endpoint": "proxy", "onboarding-proxy": "https://x"},
            "onboarding-proxy",
            "'https://x' is not a proxy. Write http://server:port.",
        ),
        ({"onboarding": "true", "onboarding-period": "5"}, "onboarding-period", "accepts 1, 2, 4, 6, 12, 24"),
        ({"onboarding": "true", "onboarding-regions": "some"}, "onboarding-region", "Choose at least one region"),
        ({"onboarding": "true", "onboarding-tag": "arc"}, "onboarding-tag", "'arc' is not a tag filter. Write one tag as key:value"),
    ],
)
def test_every_field_of_the_solutions_says_what_is_wrong_and_keeps_it(walker: Walker, typed: dict[str, Any], field: str, says: str) -> None:
    walker.begin().press(**typed)
    assert walker.answer.status_code == 422
    assert list(walker.wrong) == [field], walker.wrong
    assert says in walker.wrong[field]
    assert walker.page.get_element_by_id(f"{field}-wrong").text_content() == walker.wrong[field]
    held = walker.held()
    for name, value in typed.items():
        if "period" not in name and value != ["ec2", "nope"]:
            assert held.get(name) == [value], name
    # A wrong field is never folded away.
    folded = walker.page.xpath(f"//*[@id='{field}']/ancestor::div[contains(@class, 'folded')][1]/@class")
    assert field in ("inventory-read", "onboarding-tag") or folded == ["folded is-wrong"]


def test_every_setting_reaches_the_connector_and_the_review(walker: Walker) -> None:
    api = walker.browser.api
    walker.begin().press(
        **{
            "inventory-services": "some",
            "inventory-service": ["ec2", "s3"],
            "inventory-read": "least",
            "inventory-periodic": None,
            "inventory-period": "12",
            "inventory-regions": "some",
            "inventory-region": ["eu-west-1"],
            "inventory-more-regions": "eu-central-2, ap-south-1",
            "onboarding": "true",
            "onboarding-endpoint": "proxy",
            "onboarding-proxy": "http://proxy.test:3128",
            "onboarding-period": "6",
            "onboarding-regions": "some",
            "onboarding-region": ["us-east-1", "us-west-2"],
            "onboarding-tag": "Arc:Yes",
        }
    )
    assert walker.step == "template", walker.wrong
    walker.press("previous")
    held = walker.held()
    assert (held["inventory-service"], held["inventory-more-regions"], "inventory-periodic" in held) == (
        ["ec2", "s3"],
        ["eu-central-2, ap-south-1"],
        False,
    )
    walker.press().press().press(**{"tag-name-1": "team", "tag-value-1": "red"})
    assert walker.step == "review", walker.wrong
    for said in (
        "EC2 and VPC, Simple Storage Service (S3)",
        "Least privilege access",
        "Periodic syncOff",
        "Europe (Ireland), eu-central-2, ap-south-1",
        "Proxy server http://proxy.test:3128",
        "On, every 6 hours",
        "US East (N. Virginia), US West (Oregon)",
        "Arc:Yes",
        "clouds (new)",
        "Resource group clouds is created in eastus, with the tags.",
        "its first scan begins by itself as soon as the stack has arrived",
    ):
        assert said.replace(" ", "") in walker.text.replace(" ", ""), said
    draft = draft_path(walker)
    answer = walker.browser.send("POST", f"{START}/{walker.draft}/review", data={**walker.held(), "go": "create"})
    assert answer.status_code == 303
    connector = answer.headers["location"].removeprefix("/portal/connector").removesuffix("?done=created")
    made = call(api, "GET", connector).json()
    assert (made["name"], made["location"], made["tags"]) == ("shop", "eastus", {"team": "red"})
    solutions = call(api, "GET", f"{connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations").json()["value"]
    settings = {one["name"]: one["properties"]["solutionSettings"] for one in solutions}
    assert settings["inventory"] == {
        "cloudProviderServiceTypes": "ec2, s3",
        "scanAllAWSServices": "false",
        "awsGlobalReadOnly": "false",
        "periodicSync": "false",
        "periodicSyncTime": "12",
        "cloudProviderRegions": "eu-west-1, eu-central-2, ap-south-1",
        "scanAllAWSRegions": "false",
    }
    assert settings["onboarding"] == {
        "proxyServer": "http://proxy.test:3128",
        "periodicSync": "true",
        "periodicSyncTime": "6",
        "cloudProviderRegions": "us-east-1, us-west-2",
        "scanAllAWSRegions": "false",
        "arcOnboardEc2FilterTag": "Arc:Yes",
    }
    assert call(api, "GET", draft).status_code == 404


def test_previous_never_judges_and_keeps_everything(walker: Walker) -> None:
    walker.begin().press("previous", **{"onboarding": "true", "onboarding-tag": "wrong", "onboarding-endpoint": "proxy"})
    assert (walker.step, walker.answer.status_code) == ("basics", 200)
    walker.press("previous", **{"account-id": "1"})
    assert (walker.step, walker.value("account-id")) == ("basics", "1")
    # Any step can be gone to; what is wrong is marked where it is.
    walker.press("review")
    assert walker.step == "review"
    assert walker.states == {"basics": "wrong", "solutions": "wrong", "template": "done", "tags": "done"}
    base = f"{START}/{walker.draft}"
    assert set(walker.wrong) == {f"{base}/basics#account-id", f"{base}/solutions#onboarding-proxy", f"{base}/solutions#onboarding-tag"}
    refused = walker.press("create")
    assert refused.answer.status_code == 422
    assert len(walker.wrong) == 3
    walker.open(f"{base}/solutions")
    assert walker.page.get_element_by_id("onboarding-tag-wrong") is not None
    assert walker.page.xpath("//div[@id='errors']") == []
    walker.open(f"{base}/template")
    assert "The template cannot be made yet" in walker.text
    links = walker.page.xpath("//section[@aria-labelledby='obstacles-title']//a/@href")
    assert links == [f"{base}/basics#account-id", f"{base}/solutions#onboarding-proxy", f"{base}/solutions#onboarding-tag"]


def test_tags_are_added_removed_and_judged(walker: Walker) -> None:
    walker.begin().press("tags")
    walker.press("add", **{"tag-name-1": "team", "tag-value-1": "red"})
    assert (walker.answer.status_code, walker.step) == (200, "tags")
    assert walker.page.xpath("//input[@autofocus]/@id") == ["tag-name-2"]
    walker.press("add", **{"tag-name-2": "cost", "tag-value-2": "1"})
    walker.press("remove-1")
    assert list(stored(walker)["tags"].items()) == [("cost", "1")]
    walker.press("next", **{"tag-name-2": "cost", "tag-value-2": "again"})
    assert walker.answer.status_code == 422
    assert walker.wrong == {"tag-name-2": "The tag 'cost' is given twice. Remove the tags that are too many or given twice."}
    assert walker.value("tag-value-2") == "again"
    walker.press("next", **{"tag-name-2": "a<b", "tag-value-2": "x" * 257})
    assert list(walker.wrong) == ["tag-name-2"]
    walker.press("next", **{"tag-name-1": "long", "tag-value-1": "x" * 257, "tag-name-2": "", "tag-value-2": ""})
    assert list(walker.wrong) == ["tag-value-1"]
    walker.press("next", **{"tag-name-1": "", "tag-value-1": "value alone"})
    assert list(walker.wrong) == ["tag-name-1"]
    many = {f"tag-name-{number}": f"n{number}" for number in range(1, 52)}
    walker.press("next", **many, **{f"tag-value-{number}": "v" for number in range(1, 52)})
    assert list(walker.wrong) == ["tags"]
    assert "at most 50" in walker.wrong["tags"]


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


def test_the_template_is_explained_and_can_be_saved(walker: Walker) -> None:
    walker.begin().press(onboarding="true")
    told = call(walker.browser.api, "POST", f"{draft_path(walker)}/template").json()
    for role in told["roles"]:
        assert role["role"] in walker.text
        for statement in role["statements"]:
            assert statement["reason"] in walker.text
            assert all(action in walker.text for action in statement["actions"])
    for parameter in told["parameters"]:
        assert parameter["name"] in walker.text
        assert parameter["description"] in walker.text
    shown = walker.page.xpath("//pre[@aria-label='template.json']")[0].text_content()
    assert json.loads(shown) == told["template"]
    (launch,) = walker.page.xpath("//a[@target='_blank']/@href")
    assert (launch, "templates.s3.eu-west-1" in launch) == (told["launchUrl"], True)
    for command in told["commands"]:
        assert command["text"] in [pre.text_content() for pre in walker.page.xpath("//pre")]
    file = walker.browser.send("GET", f"{START}/{walker.draft}/template.json")
    assert file.text == told["text"]
    assert file.headers["content-disposition"].startswith("attachment; filename*=UTF-8''template.json")


def test_a_check_is_asked_for_and_shown(walker: Walker) -> None:
    api = walker.browser.api
    walker.begin().press()
    assert "Nobody has looked for the role yet." in walker.text
    address = f"{START}/{walker.draft}/template"
    answer = walker.browser.send("POST", address, data={**walker.held(), "go": "check"})
    to = answer.headers["location"].partition("#")[0]
    assert to.startswith(f"{address}?check=")
    assert "The account is asked now." in walker.open(to).text
    operation = to.rpartition("=")[2]
    api.app.engine.finish(operation, result={})
    assert "The account was asked" in walker.open(to).text
    assert walker.open(f"{address}?check=not-an-operation").answer.status_code == 200
    assert walker.open(f"{address}?check={uuid.uuid4()}").answer.status_code == 200


def test_without_solutions_no_template_is_needed(walker: Walker) -> None:
    walker.begin().press(inventory=None)
    assert "No template is needed" in walker.text
    assert walker.press().press().step == "review"
    assert "No solution is chosen" in walker.text
    assert walker.browser.send("POST", f"{START}/{walker.draft}/review", data={**walker.held(), "go": "create"}).status_code == 303


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
