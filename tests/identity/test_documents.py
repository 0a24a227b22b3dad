"""Discovery documents have what azure-cli, msal and azure-identity read."""

from __future__ import annotations

import pytest

from isthmus.identity.documents import bearer_challenge, cloud_metadata, openid_configuration
from tests.identity.parties import BASE, TENANT


@pytest.mark.parametrize("asked", ["", TENANT, "common", "organizations"])
def test_openid_configuration(asked: str) -> None:
    document = openid_configuration(BASE, TENANT, asked=asked)
    segment = asked or TENANT
    assert document["issuer"] == f"{BASE}/{TENANT}/v2.0"
    assert document["token_endpoint"] == f"{BASE}/{segment}/oauth2/v2.0/token"
    assert document["jwks_uri"] == f"{BASE}/{segment}/discovery/v2.0/keys"
    assert document["authorization_endpoint"].startswith(f"{BASE}/{segment}/")
    assert document["device_authorization_endpoint"].startswith(f"{BASE}/{segment}/")


def test_a_foreign_tenant_has_no_configuration() -> None:
    with pytest.raises(LookupError):
        openid_configuration(BASE, TENANT, asked="22222222-2222-2222-2222-222222222222")


def test_cloud_metadata() -> None:
    cloud = cloud_metadata(BASE, "2022-09-01")
    assert isinstance(cloud, dict)
    assert cloud["authentication"] == {
        "loginEndpoint": BASE,
        "audiences": [BASE + "/", BASE],
        "tenant": "common",
        "identityProvider": "AAD",
    }
    assert cloud["resourceManager"] == BASE + "/"
    assert set(cloud["suffixes"]) == {"storage", "keyVaultDns", "acrLoginServer", "sqlServerHostname"}
    assert cloud_metadata(BASE, "2019-05-01") == [cloud]


def test_a_challenge_cannot_be_broken_out_of() -> None:
    assert bearer_challenge(BASE, TENANT) == f'Bearer authorization_uri="{BASE}/{TENANT}"'
    shown = bearer_challenge(BASE, TENANT, 'it "has"\r\nexpired\\ \u20ac')
    assert shown.endswith('error="invalid_token", error_description="it hasexpired "')
