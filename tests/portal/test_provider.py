"""Signing in with a browser at a third party's OpenID provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.contract.server import denying_aws, serving
from tests.portal.browser import looking
from tests.portal.conftest import site_of
from tests.support.databases import Databases
from tests.support.openid import OpenIdProvider

# The provider of tests shows no form; this is the one that a person would fill in there.
_FORM = """(name) => {
  const form = document.createElement('form'), field = document.createElement('input');
  form.method = 'post'; form.action = location.href; field.name = 'username'; field.value = name;
  form.append(field); document.body.append(form); form.submit();
}"""


@pytest.mark.slow
def test_a_third_partys_provider_signs_people_in(
    browser: Browser, databases: Databases, tmp_path: Path, openid_provider: OpenIdProvider
) -> None:
    """The person says who they are at the provider, which sends the browser back; here they come to the page they asked for."""

    def configure(port: int) -> dict[str, Any]:
        client = {
            "client_id": "isthmus",
            "redirect_uris": [f"https://localhost:{port}/sign-in/callback"],
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
            "token_endpoint_auth_method": "none",
        }
        openid_provider.set(clients=[client], users={"ann": {"name": "Ann B."}})
        provider = {"oidc_issuer": openid_provider.issuer, "oidc_ca_file": openid_provider.ca}
        return {**provider, "oidc_client_id": "isthmus", "oidc_name": "the directory"}

    url = databases.fresh_sqlite(tmp_path / "isthmus.db")
    with denying_aws() as aws, serving(tmp_path / "data", url, aws, configure) as server:
        site = site_of(server)
        with looking(browser, site.url, "") as look:
            page = look.open("/portal/kit")
            page.get_by_role("link", name="Sign in with the directory").click()
            page.wait_for_url(f"{openid_provider.issuer}/interaction/*")
            page.evaluate(_FORM, "ann")
            page.wait_for_url("**/portal/kit")
            assert page.get_by_text("Ann B.").is_visible()
            (person,) = site.client.list("/providers/Isthmus.Identity/people")
            assert person["properties"]["name"] == "Ann B."
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url("**/portal/sign-in")
