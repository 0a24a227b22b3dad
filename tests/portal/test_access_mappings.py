"""Role mappings: made, changed and removed by owners; what the API refuses stands at its field, and what was typed stays."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from playwright.sync_api import expect

from isthmus.identity.roles import CONTRIBUTOR, OWNER, READER
from tests.contract.server import give
from tests.portal import stock
from tests.portal.conftest import Site, Window
from tests.portal.holders import ALLOW, HOSTILE, READ_ONLY, Holders
from tests.support.groups import provision_group


@pytest.fixture(scope="module")
def holders(site: Site) -> Holders:
    return Holders(site)


@pytest.fixture(scope="module")
def account(holders: Holders) -> str:
    return holders.connector("people", "123456789012")


FIELDS = {"Groups": "#groups", "Managed policies": "#policies", "Lease in seconds": "#lease", "Statements": "#statements"}


def stored(site: Site, id: str) -> Any:
    """The properties of a mapping."""
    return site.client.get(id)["properties"]


def id_of(account: str, name: str) -> str:
    """The id of a mapping."""
    return f"{account}/providers/Isthmus.Access/roleMappings/{name}"


def page_of(id: str, page: str = "mapping") -> str:
    """A page about a mapping."""
    return f"/portal/access/{page}{id}"


def test_a_group_is_mapped_with_the_mouse(site: Site, window: Window, account: str) -> None:
    with window() as look:
        look.refusals = 3
        page = look.open("/portal/access")
        page.get_by_role("link", name="Map a group").first.click()
        page.get_by_role("button", name="Map it").click()
        expect(page.locator("#connector-wrong")).to_contain_text("Choose the connector")
        expect(page.locator("#name-wrong")).to_contain_text("Name the role")
        expect(page.locator("#groups-wrong")).to_contain_text("Name at least one group")
        expect(page.locator("#policies-wrong")).to_contain_text("Name a managed policy, statements or a tag of machines")
        expect(page.locator("#errors h2")).to_have_text("4 things need your attention")
        expect(page.get_by_label("Approver groups")).to_be_hidden()
        look.check("access-mapping-new-refused")
        page.get_by_label("Connector required").select_option(account)
        page.get_by_label("Name", exact=False).first.fill("Reader")
        page.get_by_label("Groups required", exact=True).fill("g-dev\ng-ops")
        page.get_by_label("Description").fill(HOSTILE)
        page.get_by_label("Managed policies").fill("ReadOnlyAccess")
        page.get_by_label("Lease in seconds").fill("301")
        page.get_by_label("Require MFA").uncheck()
        page.get_by_label("On request").check()
        page.get_by_role("button", name="Map it").click()
        expect(page.locator("#approvers-wrong")).to_contain_text("Name at least one group that decides")
        page.get_by_label("Approver groups").fill("g-lead")
        page.get_by_label("Tag of machines", exact=True).fill("team:shop")
        page.get_by_role("button", name="Map it").click()
        expect(page.locator("#policies-wrong")).to_contain_text("no ARN of a managed policy")
        expect(page.locator("#lease-wrong")).to_contain_text("300")
        expect(page.get_by_label("Groups required", exact=True)).to_have_value("g-dev\ng-ops")
        expect(page.get_by_label("Require MFA")).not_to_be_checked()
        expect(page.get_by_label("On request")).to_be_checked()
        page.get_by_label("Managed policies").fill(READ_ONLY)
        page.get_by_label("Lease in seconds").fill("120")
        page.get_by_role("button", name="Map it").click()
        expect(page.locator(".toast")).to_contain_text("The mapping is made.")
        expect(page.locator("#main")).to_contain_text(HOSTILE)
        expect(page.locator("#main")).to_contain_text("1 approval of g-lead")
        look.check("access-mapping")
    found = stored(site, id_of(account, "Reader"))
    assert (found["groups"], found["managedPolicyArns"], found["leaseSeconds"]) == (["g-dev", "g-ops"], [READ_ONLY], 120)
    assert found["machineTag"] == "team:shop"
    assert (found["requiresMfa"], found["activation"]["mode"], found["activation"]["approverGroups"]) == (False, "Request", ["g-lead"])


def test_a_mapping_is_changed_by_keyboard_and_keeps_what_the_form_does_not_show(
    site: Site, window: Window, holders: Holders, account: str
) -> None:
    id = holders.mapping(
        account,
        "Editor",
        statements=[ALLOW],
        claims={"dept": ["ops"]},
        allowedAddresses=["10.0.0.0/8"],
        requiredContexts=["c1"],
        clientId="app-1",
        leastPrivilege="Suggest",
    )
    with window() as look:
        look.refusals = 2
        page = look.open(page_of(id))
        expect(page.get_by_role("region", name="Statements")).to_contain_text("ec2:Describe*")
        page.get_by_role("link", name="Edit").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Statements", exact=True).focus()
        page.keyboard.press("Control+a")
        page.keyboard.type("[{")
        page.get_by_role("button", name="Save").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#statements-wrong")).to_contain_text("This is no JSON")
        expect(page.get_by_label("Statements", exact=True)).to_have_value("[{")
        page.get_by_label("Statements", exact=True).focus()
        page.keyboard.press("Control+a")
        page.keyboard.type('[{"Effect": "Allow", "Action": ["nothing"], "Resource": ["*"]}]')
        page.get_by_role("button", name="Save").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#statements-wrong")).to_contain_text("service:Action")
        page.get_by_label("Statements", exact=True).focus()
        page.keyboard.press("Control+a")
        page.keyboard.press("Delete")
        page.get_by_label("Lease in seconds").focus()
        page.keyboard.press("Control+a")
        page.keyboard.type("90")
        page.keyboard.press("Enter")
        expect(page.locator(".toast")).to_contain_text("The mapping is saved.")
    found = stored(site, id)
    assert (found["statements"], found["leaseSeconds"]) == ([], 90)
    assert (found["claims"], found["allowedAddresses"], found["requiredContexts"]) == ({"dept": ["ops"]}, ["10.0.0.0/8"], ["c1"])
    assert (found["clientId"], found["leastPrivilege"]) == ("app-1", "Suggest")


def test_nobody_overwrites_what_they_have_not_seen(site: Site, window: Window, holders: Holders, account: str) -> None:
    id = holders.mapping(account, "Busy")
    with window() as look:
        look.refusals = 1
        page = look.open(page_of(id, "edit"))
        holders.mapping(account, "Busy", leaseSeconds=60)
        page.get_by_label("Lease in seconds").fill("200")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("Somebody else has saved this mapping")
        expect(page.get_by_label("Lease in seconds")).to_have_value("200")
    assert stored(site, id)["leaseSeconds"] == 60


def test_of_two_who_make_a_mapping_of_one_name_at_once_the_second_is_told(
    site: Site, window: Window, holders: Holders, account: str
) -> None:
    """The form was opened before the other one was there; a name in other letters is the same name."""
    with window() as look:
        page = look.open(f"/portal/access/new?connector={account}")
        first = holders.mapping(account, "Twice")
        page.get_by_label("Name", exact=False).first.fill("TWICE")
        page.get_by_label("Groups required", exact=True).fill("g-mine")
        page.get_by_label("Managed policies").fill(READ_ONLY)
        look.refusals = 1
        page.get_by_role("button", name="Map it").click()
        expect(page.locator("#name-wrong")).to_contain_text("There is a mapping 'TWICE' in this account already")
        expect(page.get_by_label("Groups required", exact=True)).to_have_value("g-mine")
    assert stored(site, first)["groups"] == ["g-dev"]


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"Groups": "", "Managed policies": READ_ONLY}, "groups"),
        ({"Groups": "g", "Managed policies": ""}, "policies"),
        ({"Groups": "g", "Managed policies": READ_ONLY, "Lease in seconds": "soon"}, "lease"),
        ({"Groups": "g", "Managed policies": READ_ONLY, "Name": "1st"}, "name"),
        ({"Groups": "g", "Managed policies": READ_ONLY, "Name": "Taken"}, "name"),
        ({"Groups": "g", "Managed policies": READ_ONLY, "Statements": "{}"}, "statements"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_without_javascript(
    window: Window, holders: Holders, account: str, typed: dict[str, str], field: str
) -> None:
    holders.mapping(account, "Taken")
    with window(javascript=False, width=320, height=640) as look:
        page = look.open(f"/portal/access/new?connector={account}")
        page.locator("#name").fill(typed.pop("Name", "Fresh"))
        for label, value in typed.items():
            page.locator(FIELDS[label]).fill(value)
        page.get_by_role("button", name="Map it").click()
        expect(page.locator(f"#{field}-wrong")).to_be_visible()
        look.problems.clear()


def test_approvers_are_asked_for_where_a_role_is_on_request(window: Window, account: str) -> None:
    with window(javascript=False) as look:
        page = look.open(f"/portal/access/new?connector={account}")
        page.locator("#name").fill("Asked")
        page.get_by_label("Groups required", exact=True).fill("g")
        page.get_by_label("Managed policies").fill(READ_ONLY)
        page.get_by_label("On request").check()
        page.get_by_role("button", name="Map it").click()
        expect(page.locator("#approvers-wrong")).to_contain_text("nobody could approve")
        look.problems.clear()


def test_a_mapping_is_removed_after_a_question(site: Site, window: Window, holders: Holders, account: str) -> None:
    id = holders.mapping(account, "Gone")
    holders.holds(id, holders.person("Ivan"))
    with window() as look:
        page = look.open(page_of(id))
        expect(page.get_by_role("region", name="Sessions of this role, those that live first")).to_contain_text("Ivan")
        page.get_by_role("link", name="Remove").click()
        expect(page.get_by_text("the grants of 1 person who may use it now")).to_be_visible()
        look.check("access-mapping-remove")
        page.get_by_role("button", name="Remove the mapping").click()
        expect(page.locator(".toast")).to_contain_text("The mapping is removed.")
        assert page.get_by_role("region", name="Mappings").get_by_role("row", name="Gone").count() == 0
        row = page.get_by_role("region", name="Latest revocations").get_by_role("row", name="Ivan")
        expect(row).to_contain_text("The role mapping was deleted.")
    names = [one["name"] for one in site.client.list(f"{account}/providers/Isthmus.Access/roleMappings")]
    assert "Gone" not in names


@pytest.mark.parametrize("role", [READER.id, CONTRIBUTOR.id])
def test_who_is_no_owner_sees_no_forms(site: Site, window: Window, holders: Holders, account: str, role: str) -> None:
    id, somebody = holders.mapping(account, "Plain"), str(uuid.uuid4())
    give(site.server.app, somebody, role, site.root)
    with window(secret=site.sign_in(somebody)) as look:
        for path in (page_of(id), page_of(id, "edit"), page_of(id, "remove"), "/portal/access/new"):
            page = look.open(path)
            expect(page.locator("#main h1")).to_be_visible()
            assert page.locator("#main form").count() == 0, path
            assert page.get_by_role("link", name="Edit").count() == 0, path
        page = look.open(page_of(id))
        expect(page.get_by_text("shown to readers of the whole tenant")).to_be_visible()


def test_an_owner_of_one_connector_maps_to_it_alone(site: Site, window: Window, holders: Holders, account: str) -> None:
    other, owner = holders.connector("other", "333333333333"), str(uuid.uuid4())
    give(site.server.app, owner, READER.id, site.root)
    give(site.server.app, owner, OWNER.id, other)
    with window(secret=site.sign_in(owner)) as look:
        page = look.open("/portal/access/new")
        assert page.locator("#connector option").evaluate_all("all => all.map(one => one.value)") == ["", other]
    refused = holders.mapping(account, "Theirs")
    with window(javascript=False, secret=site.sign_in(owner)) as look:
        page = look.open(page_of(refused, "edit"))
        expect(page.get_by_text("Owners of the connector change its mappings.")).to_be_visible()


def test_an_address_of_something_else_is_no_mapping(window: Window, account: str) -> None:
    with window(javascript=False) as look:
        for id in (account, id_of(account, "Nobody")):
            page = look.open(page_of(id))
            expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        look.problems.clear()


def test_programs_get_it_as_json(site: Site, holders: Holders, account: str) -> None:
    id = holders.mapping(account, "Machine", machineTag="team:red")
    found = stock.fetch(site, page_of(id))
    assert (found["mapping"]["machine_tag"], found["mapping"]["role"]["account"]) == ("team:red", "123456789012")
    assert found["grants"] == []


def test_groups_are_called_what_the_directory_calls_them(site: Site, window: Window, holders: Holders, account: str) -> None:
    known, unknown = str(uuid.uuid4()), str(uuid.uuid4())
    with site.server.app.engine.store.begin() as connection:
        provision_group(connection, known, f"Platform {HOSTILE}")
    activation = {"mode": "Request", "approverGroups": [known]}
    id = holders.mapping(account, "Named", groups=[known, unknown], activation=activation)
    with window() as look:
        page = look.open("/portal/access")
        row = page.get_by_role("region", name="Mappings").get_by_role("row", name="Named")
        expect(row).to_contain_text(f"Platform {HOSTILE}")
        for group in (known, unknown):
            expect(row).to_contain_text(group)
        page = look.open(page_of(id))
        expect(page.get_by_role("region", name="To whom")).to_contain_text(f"1 approval of Platform {HOSTILE} {known}")
        look.check("access-mapping-named")
    site.client.delete(id)
