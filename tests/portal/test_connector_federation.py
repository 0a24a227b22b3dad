"""What to set up at a directory, on the page of a connector whose account trusts it."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from isthmus.portal.words import connector_path
from isthmus.solutions import access
from tests.portal import connected
from tests.portal.conftest import Site, Window
from tests.support.metadata import certificate, metadata


@pytest.mark.parametrize("mode", ["saml", "broker"])
def test_the_steps_are_there_where_there_is_something_to_set_up(site: Site, window: Window, mode: str) -> None:
    account = {"saml": "610987654321", "broker": "610987654322"}[mode]
    id = connected.connector(site, f"direct-{mode}", account)
    document = {"samlMetadata": metadata(certificate(100, now=time.time()))} if mode == "saml" else {}
    connected.solution(site, id, access.TYPE, "access", settings={"federation": mode, **document})
    with window() as look:
        page = look.open(f"{connector_path(id)}?tab=solutions")
        box = page.get_by_text("What to set up at your directory")
        if mode == "broker":
            expect(box).to_have_count(0)
            return
        box.click()
        expect(page.get_by_text("https://aws.amazon.com/SAML/Attributes/RoleSessionName")).to_be_visible()
        expect(page.get_by_text("Make a Conditional Access policy")).to_be_visible()
        look.check("connector-federation-steps")
