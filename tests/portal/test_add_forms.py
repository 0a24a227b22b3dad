"""The wizard's forms, sent as browsers without scripts send them: every field with its message, every setting with its effect."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.portal.walker import BASICS, START, Walker, call, draft_path, stored

EVERYTHING: dict[str, Any] = {
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
"""Every setting of both solutions, none as it is by itself."""
SAID = (
    "EC2 and VPC, Simple Storage Service (S3)",
    "Least privilege access",
    "Periodic syncOff",
    "Europe (Ireland), eu-central-2, ap-south-1",
    "Proxy server http://proxy.test:3128",
    "On, every 6 hours",
    "US East (N. Virginia), US West (Oregon)",
    "Arc:Yes",
    "clouds (new)",
    "RegionEast US",
    "Resource group clouds is created in eastus, with the tags.",
    "its first scan begins by itself as soon as the stack has arrived",
)
BECOMES = {
    "inventory": {
        "cloudProviderServiceTypes": "ec2, s3",
        "scanAllAWSServices": "false",
        "awsGlobalReadOnly": "false",
        "periodicSync": "false",
        "periodicSyncTime": "12",
        "cloudProviderRegions": "eu-west-1, eu-central-2, ap-south-1",
        "scanAllAWSRegions": "false",
    },
    "onboarding": {
        "proxyServer": "http://proxy.test:3128",
        "periodicSync": "true",
        "periodicSyncTime": "6",
        "cloudProviderRegions": "us-east-1, us-west-2",
        "scanAllAWSRegions": "false",
        "arcOnboardEc2FilterTag": "Arc:Yes",
    },
}


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
    walker.begin().press(**EVERYTHING)
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
    for said in SAID:
        assert said.replace(" ", "") in walker.text.replace(" ", ""), said
    draft = draft_path(walker)
    answer = walker.browser.send("POST", f"{START}/{walker.draft}/review", data={**walker.held(), "go": "create"})
    assert answer.status_code == 303
    connector = answer.headers["location"].removeprefix("/portal/connector").removesuffix("?done=created")
    made = call(api, "GET", connector).json()
    assert (made["name"], made["location"], made["tags"]) == ("shop", "eastus", {"team": "red"})
    solutions = call(api, "GET", f"{connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations").json()["value"]
    settings = {one["name"]: one["properties"]["solutionSettings"] for one in solutions}
    assert settings == BECOMES
    assert call(api, "GET", draft).status_code == 404


def test_previous_never_judges_and_keeps_everything(walker: Walker) -> None:
    walker.begin().press("previous", **{"onboarding": "true", "onboarding-tag": "wrong", "onboarding-endpoint": "proxy"})
    assert (walker.step, walker.answer.status_code) == ("basics", 200)
    walker.press("previous", **{"account-id": "1"})
    assert (walker.step, walker.value("account-id")) == ("basics", "1")
    # Any step can be gone to; what is wrong is marked where it is.
    walker.press("review")
    assert walker.step == "review"
    assert walker.states == {"basics": "wrong", "solutions": "wrong", "tags": "done"}
    base = f"{START}/{walker.draft}"
    assert set(walker.wrong) == {f"{base}/basics#account-id", f"{base}/solutions#onboarding-proxy", f"{base}/solutions#onboarding-tag"}
    refused = walker.press("create")
    assert refused.answer.status_code == 422
    assert len(walker.wrong) == 3
    assert walker.page.xpath("//x-focus/div[@id='faults']") != []
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
