"""Add AWS as a person does it: sign in, walk the wizard, deploy the downloaded template, see the stack arrive, create, and see the scan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.e2e.stack import Stack
from tests.portal.browser import launch, looking
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def deploy(stack: Stack, template: str) -> None:
    """Create the stack as the account's administrator."""
    formation = stack.aws("cloudformation")
    formation.create_stack(StackName="Isthmus", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])

    def end() -> str:
        state = str(formation.describe_stacks(StackName="Isthmus")["Stacks"][0]["StackStatus"])
        return "" if state.endswith("_IN_PROGRESS") else state

    assert until(end, what="the template is deployed") == "CREATE_COMPLETE"


def test_the_wizard_connects_an_account(new_stack: Callable[..., Stack], tmp_path: Path) -> None:
    stack = new_stack(machines=1)
    link = stack.client.post("/providers/Isthmus.Identity/signInLinks").body["url"]
    with sync_playwright() as playwright:
        browser = launch(playwright)
        with looking(browser, stack.url, "") as look:
            page = look.page
            page.goto(link)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/portal/")
            look.open("/portal/connectors/add")
            page.get_by_label("Resource group").fill("clouds")
            page.get_by_label("Connector name").fill("aws")
            page.get_by_label("Region").select_option("eastus")
            page.get_by_label("AWS account id").fill(stack.account)
            page.get_by_role("button", name="Next: Solutions").click()
            page.wait_for_url("**/solutions")
            page.get_by_label("Add Arc onboarding").check()
            page.get_by_label("Tag filter").fill("arc:yes")
            page.get_by_role("button", name="Next: Authentication template").click()
            page.wait_for_url("**/template")
            said = page.locator("#arrivals-said")
            expect(said).to_have_text("0 of 2 roles arrived.")
            with page.expect_download() as download:
                page.get_by_role("link", name="Download template.json").click()
            download.value.save_as(tmp_path / "template.json")
            deploy(stack, (tmp_path / "template.json").read_text())
            # Nobody asks and nothing is loaded again: the timetable looks, and the page's stream shows it.
            expect(said).to_have_text("The stack has arrived: every role trusts this connector.", timeout=40_000)
            page.get_by_role("button", name="Next: Tags").click()
            page.wait_for_url("**/tags")
            page.get_by_role("button", name="Next: Review + create").click()
            page.wait_for_url("**/review")
            assert page.get_by_text("its first scan begins at once").is_visible()
            # The page of the connector may answer 404 until it is there.
            look.refusals = 1
            page.get_by_role("button", name="Create", exact=True).click()
            page.wait_for_url(f"**/portal/connector{stack.connector}?done=created")
        browser.close()
    until(lambda: stack.status("inventory")["status"] in ("Completed", "CompletedWithGaps"), seconds=120, what="the first scan ends")
    resources = list(stack.client.list(f"{stack.root}/resourceGroups/aws_{stack.account}/resources", version="2024-11-01"))
    assert len(resources) > 10
    until(lambda: stack.instances("onboarding"), what="instances are found")
