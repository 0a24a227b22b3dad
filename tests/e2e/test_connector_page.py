"""A person at the page of a connector, on the lab: scans and watches, tests, finds a role that was tampered with, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from isthmus.portal.words import connector_path
from tests.e2e.stack import INVENTORY, Stack
from tests.portal.browser import launch, looking
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

_PATIENCE = 180_000
QUEUES = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "sqs:ListQueues", "Resource": "*"}]}


@pytest.fixture
def scanned(new_stack: Callable[..., Stack]) -> Stack:
    """An account whose first scan has ended."""
    stack = new_stack(machines=4)
    stack.connect()
    stack.deploy()
    regions = {"scanAllAWSRegions": "false", "cloudProviderRegions": "us-east-1, eu-west-1, eu-central-1"}
    stack.configure("inventory", INVENTORY, {"periodicSync": "false", **regions})
    until(lambda: stack.status("inventory")["status"] == "Completed", what="the first scan ends")
    return stack


def sign_in(page: Page, stack: Stack) -> None:
    """By a link, as its owner does."""
    page.goto(stack.client.post("/providers/Isthmus.Identity/signInLinks").body["url"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/portal/")


def scan_to_its_end(page: Page, expected: str) -> set[str]:
    """Press the button and watch, without a reload; every count of scopes that was seen on the way."""
    page.get_by_role("button", name="Scan now").click()
    page.wait_for_url("**operation=**")
    page.evaluate(
        """() => { window.__seen = new Set();
        const look = () => window.__seen.add(document.querySelector('#scan-figures .meter-text')?.textContent ?? '');
        new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true}); }"""
    )
    expect(page.locator("#scan-said")).to_contain_text("Running", timeout=_PATIENCE)
    expect(page.locator("#scan-said")).to_contain_text(expected, timeout=_PATIENCE)
    expect(page.get_by_role("button", name="Scan now")).to_be_visible()
    seen: Any = page.evaluate("[...window.__seen]")
    return {str(text) for text in seen if text}


def all_parts(page: Page) -> list[str]:
    """What the rows of regions and services say of their scopes."""
    return page.locator("#scan-regions .bar-cell, #scan-services .bar-cell").all_inner_texts()


def test_a_person_scans_tests_and_finds_what_was_tampered_with(scanned: Stack) -> None:
    home = connector_path(scanned.connector)
    # Slow enough to be watched.
    scanned.fault(service="sqs", delay=2.0)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        with looking(browser, scanned.url, "") as look:
            page = look.page
            sign_in(page, scanned)
            look.open(f"{home}?tab=scan")
            seen = scan_to_its_end(page, "Completed")
            assert len(seen) > 1, seen
            parts = all_parts(page)
            assert len(parts) > 20
            assert all(done == of for done, _, of in (text.strip().partition(" of ") for text in parts)), parts
            expect(page.get_by_text("No gaps.")).to_be_visible()

            page.get_by_role("link", name="Permissions", exact=True).click()
            page.get_by_role("button", name="Test permissions").click()
            expect(page.locator("#test")).to_contain_text("Everything allowed", timeout=_PATIENCE)
            expect(page.get_by_role("link", name="Refused (0)")).to_be_visible()

            iam = scanned.aws("iam")
            role = next(one["RoleName"] for one in iam.list_roles()["Roles"] if one["RoleName"].startswith("IsthmusInventory"))
            page.get_by_role("link", name="Template", exact=True).click()
            page.get_by_role("button", name="Compare with what is deployed").click()
            expect(page.locator("#compare")).to_contain_text("In step", timeout=_PATIENCE)
            iam.put_role_policy(RoleName=role, PolicyName="tampered", PolicyDocument=json.dumps(QUEUES))
            page.get_by_role("button", name="Compare with what is deployed").click()
            expect(page.locator("#compare")).to_contain_text("Drifted", timeout=_PATIENCE)
            expect(page.locator("#compare table")).to_contain_text("Only in the account")

            page.get_by_role("link", name="Scan", exact=True).click()
            scan_to_its_end(page, "Completed with gaps")
            gap = page.get_by_role("row", name="Missing: sqs:ListQueues").first
            expect(gap).to_contain_text("Not allowed")
            expect(gap).to_contain_text(f"Update the CloudFormation stack in account {scanned.account}")
            gap.get_by_role("link", name="Compare the template").click()
            page.wait_for_url("**tab=template")
        browser.close()
    scanned.heal()
