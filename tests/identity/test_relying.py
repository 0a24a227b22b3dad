"""How we prove to a provider that we are the client that it knows, and settings that cannot work."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.identity.issuer import Issuer
from isthmus.identity.jws import keys_of_jwks, parse, signature_holds
from isthmus.identity.relying import JWT_BEARER, Provider
from tests.identity.parties import TestKey
from tests.identity.vouching import CLIENT, ENTRA, ENTRA_TENANT, ISSUER, Vouching, refused_sign_in
from tests.identity.web import Web
from tests.support.clock import Clock


def test_a_client_that_signs(vouching: Vouching, issuer: Issuer, clock: Clock) -> None:
    vouching.whole(vouching.openid(issuer, auth="private_key_jwt"))
    form = vouching.asked[-1][2]
    assert (form["client_id"], form["client_assertion_type"]) == (CLIENT, JWT_BEARER)
    made = parse(form["client_assertion"])
    now = int(clock())
    said = {"iss": CLIENT, "sub": CLIENT, "aud": f"{ISSUER}/token", "iat": now, "nbf": now, "exp": now + 120}
    assert {name: value for name, value in made.claims.items() if name != "jti"} == said
    assert any(signature_holds(made, key) for key in keys_of_jwks(issuer.jwks())), "the provider finds the key where we publish it"
    vouching.whole(vouching.openid(issuer, auth="private_key_jwt"))
    assert parse(vouching.asked[-1][2]["client_assertion"]).claims["jti"] != made.claims["jti"]


def test_a_client_of_entra_is_a_federated_credential(web: Web, clock: Clock, issuer: Issuer, key_of: Callable[[str], TestKey]) -> None:
    vouching = Vouching(web, clock, key_of("provider"), ENTRA)
    vouching.claims |= {"oid": "abcdef00-0000-0000-0000-00000000000a", "tid": ENTRA_TENANT}
    vouching.whole(vouching.openid(issuer, auth="private_key_jwt"))
    claims = parse(vouching.asked[-1][2]["client_assertion"]).claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == (issuer.url, CLIENT, "api://AzureADTokenExchange")


def test_a_client_with_a_secret(vouching: Vouching, issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("p:ä ss\n")
    openid = vouching.openid(issuer, auth="client_secret", secret_file=file)
    vouching.whole(openid)
    _, _, form, headers = vouching.asked[-1]
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"isthmus%20at%20home:p%3A%C3%A4%20ss"
    assert not {"client_id", "client_secret"} & set(form)
    vouching.configuration["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    vouching.publish()
    file.write_text("changed")
    vouching.whole(vouching.openid(issuer, auth="client_secret", secret_file=file))
    _, _, form, headers = vouching.asked[-1]
    assert (form["client_id"], form["client_secret"], "Authorization" in headers) == (CLIENT, "changed", False)
    for content in (b"", b"\n", b"\xff\xfe", b"two\nlines", b"x" * 5000, None):
        file.unlink() if content is None else file.write_bytes(content)
        error = refused_sign_in(lambda: vouching.whole(openid), "UnreadableClientSecret", str(file))
        assert error.status == 500
        assert "lines" not in error.message


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"issuer": "http://login.provider.test"}, "oidc_issuer"),
        ({"issuer": "login.provider.test"}, "oidc_issuer"),
        ({"issuer": "https://login.provider.test?x=1"}, "oidc_issuer"),
        ({"issuer": "https://ann@login.provider.test"}, "oidc_issuer"),
        ({"issuer": "https://["}, "oidc_issuer"),
        ({"client_id": ""}, "oidc_client_id"),
        ({"scopes": "profile openid2"}, "oidc_scopes"),
        ({"auth": "client_secret"}, "oidc_client_secret_file"),
        ({"secret_file": Path("secret")}, "oidc_client_secret_file"),
    ],
)
def test_settings_that_do_not_fit_are_refused_at_once(given: dict[str, Any], setting: str) -> None:
    error = refused_sign_in(lambda: Provider(**{"issuer": ISSUER, "client_id": CLIENT, **given}), "InvalidSignInProvider")
    assert error.target == setting


def test_the_button_has_a_label() -> None:
    assert Provider(issuer=ISSUER, client_id=CLIENT).label == "login.provider.test"
    assert Provider(issuer=ISSUER, client_id=CLIENT, name="Contoso").label == "Contoso"
