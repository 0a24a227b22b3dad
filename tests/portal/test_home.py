"""Home: what is connected and what needs a person, for everybody who may see it."""

from __future__ import annotations

import uuid

import httpx
import pytest

from isthmus.identity.roles import READER
from isthmus.portal.pages.home import connector_of, remedy_path
from tests.contract.server import give
from tests.portal.conftest import Site, Window

CONNECTOR = "/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridConnectivity/publicCloudConnectors/c"
SOLUTION = f"{CONNECTOR}/providers/Microsoft.HybridConnectivity/solutionConfigurations/inventory"


@pytest.mark.parametrize(
    ("kind", "target", "subject", "to"),
    [
        ("gap", SOLUTION, "sqs:ListQueues", f"/portal/connector{CONNECTOR}?tab=scan"),
        ("pendingAuthorization", CONNECTOR, "", f"/portal/connector{CONNECTOR}?tab=template"),
        ("failedJob", "/", "", "/portal/jobs?state=failed"),
        ("expiringCertificate", "/", "", ""),
        ("brokenGlass", CONNECTOR, "r-1", ""),
        ("disconnectedMachines", "/subscriptions/s", "", "/portal/machines?status=disconnected"),
    ],
)
def test_every_concern_leads_to_its_remedy(kind: str, target: str, subject: str, to: str) -> None:
    assert remedy_path(kind, target, subject) == to


def test_a_connector_is_found_from_what_lies_in_it() -> None:
    assert connector_of(SOLUTION) == CONNECTOR
    assert connector_of("not an id") == ""


def test_an_empty_installation_says_how_to_begin(window: Window) -> None:
    with window() as look:
        page = look.open("/portal/")
        assert page.get_by_role("heading", name="No AWS account is connected yet").is_visible()
        assert page.get_by_role("link", name="Connect an AWS account").get_attribute("href") == "/portal/connectors/add"
        look.check("home-empty")


def test_somebody_without_a_role_learns_whom_to_ask(site: Site, window: Window) -> None:
    secret = site.sign_in("7b6a2c31-0000-4000-8000-00000000000a", "Nora <script>alert(1)</script>")
    with window(secret=secret) as look:
        page = look.open("/portal/")
        assert page.get_by_text("7b6a2c31-0000-4000-8000-00000000000a", exact=True).is_visible()
        assert page.get_by_role("heading", name="Welcome, Nora <script>alert(1)</script>").is_visible()
        look.check("home-no-role")


def test_what_needs_a_person_is_shown_with_its_remedy(site: Site, window: Window) -> None:
    group = f"{site.root}/resourceGroups/home"
    site.client.put(group, {"location": "eastus"})
    connector = f"{group}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/waiting-one"
    properties = {"hostType": "AWS", "awsCloudProfile": {"accountId": "210987654321"}}
    site.client.put(connector, {"location": "eastus", "properties": properties})
    body = {"properties": {"solutionType": "Microsoft.AssetManagement"}}
    site.client.put(f"{connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations/inventory", body)
    with window() as look:
        page = look.open("/portal/")
        row = page.get_by_role("table", name="Connected accounts").get_by_role("row").nth(1)
        assert "210987654321" in row.inner_text()
        concerns = page.get_by_role("table", name="What needs a person")
        assert concerns.locator(f'a[href="/portal/connector{connector}?tab=template"]').is_visible()
        look.check("home")
    with window(javascript=False, width=320) as look:
        page = look.open("/portal/")
        assert page.get_by_role("link", name="waiting-one").first.is_visible()
    answer = httpx.get(
        f"{site.url}/portal/",
        verify=str(site.server.ca),
        cookies={"__Host-isthmus": site.secret},
        headers={"Accept": "application/json"},
    )
    assert answer.json()["accounts"][0]["account"] == "210987654321"


def test_a_reader_sees_it_and_a_stranger_does_not(site: Site, window: Window) -> None:
    reader = str(uuid.uuid4())
    give(site.server.app, reader, READER.id, site.root)
    with window(secret=site.sign_in(reader, "Reader")) as look:
        page = look.open("/portal/")
        assert page.get_by_role("heading", name="What needs a person").is_visible()
