"""The page of a resource: what it is, its tags in place, properties, relations, history and removal, however hostile its texts are."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect

from isthmus.arm.envelope import Resource
from isthmus.identity.roles import CONTRIBUTOR, READER
from isthmus.portal.pages.resource.relations import sides_of
from isthmus.portal.pages.resource.tree import LONG, Node, tree_of
from tests.contract.server import give
from tests.portal.conftest import Site, Window
from tests.portal.estate import ACCOUNT, HOSTILE, instance, projection

VPC = "vpc-0000000000000000a"
POLICY = '{"Statement": "' + "<b>very</b> long " * 30 + '"}'


def stored(site: Site, *made: Resource) -> str:
    """Store resources in the group of their account; the path of the first one's page."""
    site.client.put(f"{site.root}/resourceGroups/aws_{ACCOUNT}", {"location": "westeurope"})
    site.server.store(*made)
    return page_of(made[0])


def page_of(resource: Resource) -> str:
    """The path of a resource's page."""
    return f"/portal/resource{quote(str(resource.id))}"


def tags_of(site: Site, resource: Resource) -> Mapping[str, str]:
    """Its tags of ours, as they are stored."""
    found: Mapping[str, str] = site.client.get(str(resource.id))["tags"]
    return found


@pytest.fixture(scope="module")
def subnet(site: Site) -> Resource:
    """A subnet full of hostile text, in a VPC that is known, with a group that is not."""
    aws = {
        "VpcId": VPC,
        "Groups": ["sg-00000000000000000"],
        "Policy": POLICY,
        "Nested": [{"deep": [True, None, "", 1.5]}, {}],
        **{text: [text, {text: text}] for text in HOSTILE},
    }
    names = {f"{text[:40]}": text for text in HOSTILE}
    made = projection(site.server, "subnet-0000000000000000b", kind="ec2Subnets", called=HOSTILE[0], aws=aws, aws_tags=names)
    stored(site, projection(site.server, VPC, called=HOSTILE[1]), made)
    changed = {**made.properties, "awsProperties": {**aws, "Policy": HOSTILE[4] * 20, HOSTILE[0]: [HOSTILE[2]]}}
    site.server.store(replace(made, properties=changed))
    return made


def test_every_tab_shows_hostile_text_as_text(window: Window, subnet: Resource) -> None:
    with window() as look:
        page = look.page
        page.on("dialog", lambda dialog: look.problems.append(f"a script ran: {dialog.message}"))
        for tab in ("overview", "properties", "relations", "history", "delete"):
            look.open(f"{page_of(subnet)}?tab={tab}")
            assert page.get_by_role("heading", level=1).inner_text().strip() == HOSTILE[0]
            page.locator("main details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
            assert page.locator("main b, main img, main script, main svg, hx-partial").count() == 0
            look.check(f"resource-{tab}")
    with window(width=320, height=640) as look:
        for tab in ("overview", "properties", "history"):
            page = look.open(f"{page_of(subnet)}?tab={tab}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_head_says_who_it_is_and_its_names_can_be_copied(window: Window, subnet: Resource) -> None:
    with window() as look:
        look.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = look.open(page_of(subnet))
        assert page.get_by_role("navigation", name="Breadcrumb").get_by_role("link").all_inner_texts() == ["Inventory", f"aws_{ACCOUNT}"]
        page.get_by_role("button", name="Copy the ARN").click()
        page.get_by_text("Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == subnet.properties["arn"]
        assert page.get_by_role("link", name="eu-central-1").get_attribute("href") == "/portal/inventory?region=eu-central-1"
        page.get_by_role("link", name=f"aws_{ACCOUNT}").last.click()
        assert page.get_by_role("link", name="AWS resources in it").get_attribute("href") == f"/portal/inventory?group=aws_{ACCOUNT}"


def test_properties_are_a_tree_and_json_with_nothing_left_out(window: Window, subnet: Resource) -> None:
    with window() as look:
        page = look.open(f"{page_of(subnet)}?tab=properties")
        policy = page.locator("details", has=page.locator("summary", has_text="Policy")).last
        assert not policy.locator("pre").is_visible()
        policy.locator("summary").focus()
        page.keyboard.press("Enter")
        assert policy.locator("pre").inner_text() == HOSTILE[4] * 20
        page.get_by_text("The whole resource as JSON").click()
        text = page.get_by_role("region", name="The resource as JSON").inner_text()
        assert str(subnet.id) in text
        assert HOSTILE[2] in text


def test_relations_lead_on_and_say_what_is_not_known(window: Window, site: Site, subnet: Resource) -> None:
    with window() as look:
        page = look.open(f"{page_of(subnet)}?tab=relations")
        uses = page.get_by_role("region", name="Uses 2")
        assert uses.get_by_role("heading", level=3).all_inner_texts() == ["ec2VPCs", "Not in the inventory"]
        assert "sg-00000000000000000" in uses.inner_text()
        uses.get_by_role("link", name=HOSTILE[1]).click()
        page.get_by_role("link", name="Relations").click()
        page.get_by_role("region", name="Used by 1").get_by_role("link").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE[0])
        machine, extension = instance(site.server, "i-0000000000000000d")
        stored(site, machine, extension)
        page = look.open(f"{page_of(machine)}?tab=relations")
        page.get_by_role("region", name="Hosts 1").get_by_role("link").click()
        page.get_by_role("link", name="Relations").click()
        page.get_by_role("region", name="Hosted on 1").get_by_role("link").click()
        link = page.get_by_role("link", name="Open among the machines")
        assert link.get_attribute("href") == "/portal/machines?name=i-0000000000000000d"
        page = look.open(page_of(stored_alone(site)) + "?tab=relations")
        assert page.get_by_role("heading", name="It stands alone").is_visible()


def stored_alone(site: Site) -> Resource:
    """A projection that nothing is joined to."""
    made = projection(site.server, f"q-{site.server.number()}", kind="sqsQueues", aws={"DelaySeconds": 0})
    stored(site, made)
    return made


def test_tags_are_added_changed_and_removed_in_place(site: Site, window: Window) -> None:
    made = stored_alone(site)
    with window() as look:
        look.refusals = 2
        page = look.open(page_of(made))
        page.get_by_label("Name").fill("a/b")
        page.get_by_label("Value").fill("kept")
        page.get_by_role("button", name="Add").click()
        page.wait_for_function("() => document.activeElement.id === 'errors'")
        assert page.get_by_label("Name").get_attribute("aria-invalid") == "true"
        assert page.get_by_label("Value").input_value() == "kept"
        look.check("resource-tag-refused")
        page.get_by_label("Name").fill("team")
        page.get_by_label("Value").fill("<i>red</i>")
        page.keyboard.press("Enter")
        page.get_by_text("The tag was added.").wait_for()
        assert tags_of(site, made) == {"team": "<i>red</i>"}
        page.get_by_label("Name").fill("TEAM")
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("There is a tag 'team' already").wait_for()
        page.get_by_role("link", name="Change the tag team").click()
        look.check("resource-tag-change")
        page.get_by_label("Value").fill("blue")
        page.keyboard.press("Enter")
        page.get_by_text("The tag was changed.").wait_for()
        assert tags_of(site, made) == {"team": "blue"}
        page.get_by_role("button", name="Remove the tag team").click()
        page.get_by_text("The tag was removed.").wait_for()
        assert tags_of(site, made) == {}


def test_tags_need_no_scripts_and_no_mouse(site: Site, window: Window) -> None:
    made = stored_alone(site)
    with window(javascript=False, width=320) as look:
        look.refusals = 2
        page = look.open(page_of(made))
        page.get_by_label("Name").focus()
        page.keyboard.type("env")
        page.keyboard.press("Tab")
        page.keyboard.type("x" * 300)
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        assert page.get_by_label("Value").get_attribute("aria-invalid") == "true"
        page.get_by_label("Value").fill("prod")
        page.keyboard.press("Enter")
        page.get_by_text("The tag was added.").wait_for()
        page.get_by_role("link", name="Change the tag env").focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Save").wait_for()
        site.client.patch(str(made.id), {"tags": {"env": "of another"}})
        page.get_by_label("Value").fill("mine")
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("Somebody changed it to 'of another' meanwhile.").wait_for()
        assert tags_of(site, made) == {"env": "of another"}
        page.get_by_role("button", name="Save").click()
        page.get_by_text("The tag was changed.").wait_for()
        assert tags_of(site, made) == {"env": "mine"}


def test_history_tells_who_changed_what_and_outlives_the_resource(site: Site, window: Window) -> None:
    made = stored_alone(site)
    for number in range(32):
        site.client.patch(str(made.id), {"tags": {"number": str(number)}})
    with window() as look:
        page = look.open(f"{page_of(made)}?tab=history")
        newest = page.locator(".timeline > li").first
        assert "by you" in newest.inner_text()
        assert newest.get_by_role("row", name="/tags/number 30 31").is_visible()
        page.get_by_role("link", name="Next").click()
        expect(page.locator(".timeline > li").last).to_contain_text("Created by test")
        page.get_by_role("link", name="Previous").click()
        page.get_by_role("link", name="Delete").click()
        expect(page.get_by_text("the resource in AWS, which nothing is done to")).to_be_visible()
        page.get_by_role("link", name="Keep it").click()
        page.get_by_role("link", name="Delete").click()
        page.get_by_role("button", name="Delete it").click()
        page.get_by_text("The projection was deleted. The next scan brings it back").wait_for()
        page.goto(look.url + page_of(made))
        assert page.get_by_role("heading", name="There is no such resource").is_visible()
        assert page.locator(".timeline > li").first.inner_text().endswith("Deleted by you")
        look.problems[:] = [one for one in look.problems if "404" not in one]


def test_a_machine_is_deleted_after_what_that_means_was_said(site: Site, window: Window) -> None:
    machine, extension = instance(site.server, "i-0000000000000000e")
    path = stored(site, machine, extension)
    with window(javascript=False) as look:
        page = look.open(path)
        page.get_by_role("link", name="Delete").click()
        expect(page.get_by_text("The projection comes back with the next scan while the instance exists.")).to_be_visible()
        page.get_by_role("button", name="Delete it").click()
        expect(page.get_by_text("The machine was deleted from Isthmus.")).to_be_visible()
        assert look.page.request.get(look.url + page_of(extension)).status == 404


@pytest.fixture
def http(site: Site) -> Iterator[httpx.Client]:
    """Programs without a browser."""
    with httpx.Client(base_url=site.url, verify=str(site.server.ca), headers={"Accept": "application/json"}) as client:
        yield client


def test_readers_see_no_buttons_and_whose_role_ended_is_told_in_place(site: Site, window: Window) -> None:
    made, person = stored_alone(site), str(uuid.uuid4())
    site.client.patch(f"{made.id}/providers/Microsoft.Resources/tags/default", {"operation": "Merge", "properties": {"tags": {"a": "b"}}})
    give(site.server.app, person, READER.id, site.root)
    give(site.server.app, person, CONTRIBUTOR.id, site.root)
    held = site.client.list(f"{site.root}/providers/Microsoft.Authorization/roleAssignments")
    mine = [one for one in held if one["properties"]["principalId"] == person]
    writing = [one["id"] for one in mine if CONTRIBUTOR.id in one["properties"]["roleDefinitionId"]]
    with window(secret=site.sign_in(person, "Somebody")) as look:
        look.refusals = 1
        page = look.open(page_of(made))
        page.get_by_label("Name").fill("team")
        for id in writing:
            site.client.delete(id)
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("does not have authorization").wait_for()
        assert tags_of(site, made) == {"a": "b"}
        for tab in ("", "?tab=delete"):
            look.open(page_of(made) + tab)
            assert page.get_by_role("row", name="a b").is_visible()
            assert page.get_by_role("main").get_by_role("button").all_inner_texts() == ["Copy", "Copy"]
            assert page.get_by_role("link", name="Delete").count() == 0
        look.check("resource-reader")


def test_what_is_gone_and_what_one_may_not_see_is_said(site: Site, window: Window, http: httpx.Client) -> None:
    made = stored_alone(site)
    gone = stored_alone(site)
    site.client.delete(str(gone.id))
    with window() as look:
        look.open(page_of(gone))
        look.problems[:] = [one for one in look.problems if "404" not in one]
        look.check("resource-gone")
    stranger = str(uuid.uuid4())
    with window(secret=site.sign_in(stranger)) as look:
        page = look.open(page_of(made))
        assert page.get_by_role("heading", name="You may not see this resource").is_visible()
        assert page.get_by_text(stranger, exact=True).is_visible()
        look.problems[:] = [one for one in look.problems if "403" not in one]
        look.check("resource-forbidden")
    cookies = {"Cookie": f"__Host-isthmus={site.secret}"}
    assert http.get(page_of(made), headers=cookies).json()["head"]["id"] == str(made.id)
    assert http.get("/portal/resource/subscriptions", headers=cookies).status_code == 404
    assert http.get("/portal/resource/no/id/at/all", headers=cookies).status_code == 404


def test_resources_of_other_kinds_have_their_page(site: Site, http: httpx.Client) -> None:
    connector = f"{site.root}/resourceGroups/aws_{ACCOUNT}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/aws-one"
    site.client.put(f"{site.root}/resourceGroups/aws_{ACCOUNT}", {"location": "westeurope"})
    properties = {"hostType": "AWS", "awsCloudProfile": {"accountId": "310987654321"}}
    site.client.put(connector, {"location": "eastus", "properties": properties})
    cookies = {"Cookie": f"__Host-isthmus={site.secret}"}
    head = http.get(f"/portal/resource{connector}", headers=cookies).json()["head"]
    assert head["further"] == [{"text": "Open the connector", "to": f"/portal/connector{connector}"}]
    assert (head["removal"], [tab[0] for tab in head["tabs"]]) == ("", ["overview", "properties", "history"])
    assert http.get(f"/portal/resource{site.root}", headers=cookies).status_code == 200
    cluster = replace(
        projection(site.server, "unused"),
        id=projection(site.server, "x").id.scope.extension("Microsoft.Kubernetes/connectedClusters", "eks-1"),  # type: ignore[union-attr]
    )
    site.server.store(cluster)
    assert http.get(page_of(cluster), headers=cookies).json()["head"]["removal"] == "cluster"


def test_a_tree_leaves_nothing_out() -> None:
    deep: Any = "bottom"
    for _ in range(60):
        deep = {"in": deep}
    nodes = {node.name: node for node in tree_of({"a": "", "b": None, "c": False, "d": [], "e": {}, "f": "x" * (LONG + 1), "g": deep})}
    assert [nodes[name].note for name in "abde"] == ["empty text", "no value", "no items", "no members"]
    assert nodes["c"].value == "false"
    assert (nodes["f"].is_long, nodes["f"].value) == (True, "x" * (LONG + 1))
    walk: Node = nodes["g"]
    while walk.nodes:
        (walk,) = walk.nodes
    assert "bottom" in walk.value


def test_relations_are_grouped_and_what_is_unknown_comes_last() -> None:
    def one(direction: str, name: str, kind: str | None) -> dict[str, Any]:
        return {
            "direction": direction,
            "displayName": name,
            "awsId": name,
            "known": kind is not None,
            "resourceType": kind,
            "resourceId": "/subscriptions/s" if kind else None,
        }

    sides = sides_of(
        [one("usedBy", "z", "b"), one("uses", "lost", None), one("uses", "y", "b"), one("uses", "x", "a"), one("uses", "w", "b")]
    )
    assert [(side.title, side.count) for side in sides] == [("Uses", 4), ("Used by", 1)]
    assert [(kind.type, [other.name for other in kind.others]) for kind in sides[0].kinds] == [
        ("a", ["x"]),
        ("b", ["w", "y"]),
        ("Not in the inventory", ["lost"]),
    ]
