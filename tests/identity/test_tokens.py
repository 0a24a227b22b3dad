"""The token endpoint: four ways to prove who asks, and everything that is not one of them; here secrets and keys of clients."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select

from isthmus.identity import oauth
from isthmus.identity.bearer import BearerVerifier
from isthmus.identity.clients import create_client, delete_client, register_operator
from isthmus.identity.issuer import Issuer
from isthmus.identity.oauth import OAuthError
from isthmus.identity.secrets import add_secret
from isthmus.identity.tokens import TokenEndpoint
from isthmus.keys import operator_assertion, operator_signer
from isthmus.store import Store
from isthmus.store.tables import used_assertions
from tests.identity.asking import Keys, assertion_form, race, refused, statement
from tests.identity.parties import BASE, TENANT, TOKEN_URL
from tests.support.clock import Clock


@pytest.fixture
def secret(store: Store, clock: Clock, app: str) -> str:
    with store.begin() as connection:
        add_secret(connection, "app", lifetime=60, clock=clock)
        return add_secret(connection, "app", lifetime=3600, clock=clock).text


def secret_form(secret: str, **more: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": "app", "client_secret": secret, **more}


def test_a_secret_gives_a_token_with_every_claim(endpoint: TokenEndpoint, issuer: Issuer, app: str, secret: str, clock: Clock) -> None:
    answer = endpoint.answer(secret_form(secret, scope=f"{BASE}/.default"))
    assert {name: answer[name] for name in answer if name != "access_token"} == {
        "token_type": "Bearer",
        "expires_in": 3600,
        "ext_expires_in": 3600,
    }
    claims = jwt.decode(answer["access_token"], KeySet.import_key_set(issuer.jwks()), algorithms=["RS256"]).claims
    assert {name: claims[name] for name in claims if name != "jti"} == {
        "iss": f"{BASE}/{TENANT}/v2.0",
        "aud": BASE,
        "sub": app,
        "oid": app,
        "tid": TENANT,
        "azp": "app",
        "appid": "app",
        "app_displayname": "App",
        "idtyp": "app",
        "ver": "2.0",
        "iat": int(clock()),
        "nbf": int(clock()),
        "exp": int(clock()) + 3600,
    }
    caller = BearerVerifier(issuer, tenant=TENANT, audience=BASE, clock=clock).caller(answer["access_token"])
    assert (caller.kind, caller.object_id, caller.name, caller.client_id) == ("application", app, "App", "app")


@pytest.mark.parametrize(
    "scope",
    [
        f"{BASE}/.default",
        f"{BASE}//.default",
        "https://management.azure.com/.default",
        "https://management.core.windows.net//.default",
        f"openid offline_access {BASE}/.default profile",
        "",
    ],
)
def test_every_spelling_of_our_audience_is_one_audience(endpoint: TokenEndpoint, issuer: Issuer, secret: str, scope: str) -> None:
    token = endpoint.answer(secret_form(secret, scope=scope))["access_token"]
    assert jwt.decode(token, KeySet.import_key_set(issuer.jwks()), algorithms=["RS256"]).claims["aud"] == BASE


@pytest.mark.parametrize(
    ("changes", "code", "error"),
    [
        ({"grant_type": "password"}, oauth.UNSUPPORTED_GRANT, "unsupported_grant_type"),
        ({"grant_type": ""}, oauth.MISSING_PARAMETER, "invalid_request"),
        ({"client_id": ""}, oauth.MISSING_PARAMETER, "invalid_request"),
        ({"client_secret": ""}, oauth.MISSING_PARAMETER, "invalid_request"),
        ({"client_assertion": "x"}, oauth.BAD_REQUEST, "invalid_request"),
        ({"scope": f"{BASE}/user_impersonation"}, oauth.BAD_SCOPE, "invalid_scope"),
        ({"scope": f"{BASE}/.default https://graph.test/.default"}, oauth.BAD_SCOPE, "invalid_scope"),
        ({"scope": "https://graph.microsoft.com/.default"}, oauth.UNKNOWN_RESOURCE, "invalid_resource"),
        ({"scope": f"{BASE}.evil.test/.default"}, oauth.UNKNOWN_RESOURCE, "invalid_resource"),
        ({"scope": "", "resource": "https://graph.windows.net"}, oauth.UNKNOWN_RESOURCE, "invalid_resource"),
        ({"client_id": "nobody"}, oauth.BAD_SECRET, "invalid_client"),
        ({"client_id": "app\0"}, oauth.BAD_SECRET, "invalid_client"),
        ({"client_secret": "isthmus_" + "0" * 64}, oauth.BAD_SECRET, "invalid_client"),
    ],
)
def test_wrong_requests_say_what_is_wrong(endpoint: TokenEndpoint, secret: str, changes: dict[str, str], code: int, error: str) -> None:
    caught = refused(endpoint, {**secret_form(secret, scope=f"{BASE}/.default"), **changes}, code)
    assert caught.error == error
    assert caught.status == (401 if error == "invalid_client" else 400)
    body = caught.body(trace_id="t", correlation_id="c", at=0.0)
    assert set(body) == {"error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id"}
    assert (body["error_codes"], body["timestamp"]) == ([code], "1970-01-01 00:00:00Z")
    assert secret not in str(body)


def test_the_tenant_of_the_address_must_be_ours(endpoint: TokenEndpoint, secret: str) -> None:
    for asked in ("", TENANT, "common", TENANT.upper()):
        assert endpoint.answer(secret_form(secret), asked=asked)
    with pytest.raises(OAuthError) as caught:
        endpoint.answer(secret_form(secret), asked="22222222-2222-2222-2222-222222222222")
    assert caught.value.code == oauth.UNKNOWN_TENANT


def test_an_unknown_client_and_a_wrong_secret_read_the_same(endpoint: TokenEndpoint, secret: str) -> None:
    wrong = refused(endpoint, secret_form("wrong"), oauth.BAD_SECRET)
    unknown = refused(endpoint, {**secret_form(secret), "client_id": "nobody"}, oauth.BAD_SECRET)
    assert wrong.description == unknown.description


def test_secrets_expire(endpoint: TokenEndpoint, secret: str, clock: Clock) -> None:
    clock.advance(3599)
    assert endpoint.answer(secret_form(secret))
    clock.advance(1)
    refused(endpoint, secret_form(secret), oauth.EXPIRED_SECRET)


def test_the_operator_signs_in_with_the_data_folder_alone(
    endpoint: TokenEndpoint, store: Store, clock: Clock, issuer: Issuer, tmp_path: Any
) -> None:
    folder = tmp_path / "keys"
    with store.begin() as connection:
        operator = register_operator(connection, operator_signer(folder).public_pem, clock)
    token = endpoint.answer(assertion_form("operator", operator_assertion(folder, audience=TOKEN_URL, clock=clock)))["access_token"]
    caller = BearerVerifier(issuer, tenant=TENANT, audience=BASE, clock=clock).caller(token)
    assert (caller.client_id, caller.object_id) == ("operator", operator.object_id)


def test_a_registered_key_signs_in_once_per_assertion(endpoint: TokenEndpoint, app: str, clock: Clock, key_of: Keys) -> None:
    assertion = key_of("good").sign(statement("app", clock))
    assert endpoint.answer(assertion_form("app", assertion))
    assert "used before" in refused(endpoint, assertion_form("app", assertion), oauth.BAD_ASSERTION).description
    for audience in (f"{BASE}/{TENANT}/v2.0", f"{BASE}/common/oauth2/v2.0/token"):
        assert endpoint.answer(assertion_form("app", key_of("good").sign(statement("app", clock, jti=audience, aud=audience))))


@pytest.mark.parametrize(
    ("signer", "changes", "reason"),
    [
        ("evil", {}, "does not verify"),
        ("good", {"aud": f"{BASE}/{TENANT}"}, "audience"),
        ("good", {"aud": [TOKEN_URL]}, "audience"),
        ("good", {"sub": "operator"}, "subject"),
        ("good", {"exp": 1}, "expired"),
        ("good", {"exp": 1_767_225_600 + 3600}, "lifetime"),
    ],
)
def test_wrong_assertions_are_refused(
    endpoint: TokenEndpoint, app: str, clock: Clock, key_of: Keys, signer: str, changes: dict[str, Any], reason: str
) -> None:
    form = assertion_form("app", key_of(signer).sign(statement("app", clock, **changes)))
    assert reason in refused(endpoint, form, oauth.BAD_ASSERTION).description


def test_assertions_need_a_known_client_with_a_key(endpoint: TokenEndpoint, store: Store, app: str, clock: Clock, key_of: Keys) -> None:
    with store.begin() as connection:
        create_client(connection, name="b", clock=clock, client_id="bare")
    for client_id in ("bare", "nobody", "a\0b"):
        refused(endpoint, assertion_form(client_id, key_of("good").sign(statement(client_id, clock))), oauth.BAD_ASSERTION)
    refused(endpoint, assertion_form("app", "rubbish"), oauth.BAD_ASSERTION)
    refused(endpoint, assertion_form("app", "x", client_assertion_type="saml"), oauth.BAD_REQUEST)
    with store.begin() as connection:
        delete_client(connection, "app")
    refused(endpoint, assertion_form("app", key_of("good").sign(statement("app", clock))), oauth.BAD_ASSERTION)


def test_an_assertion_of_one_client_is_not_one_of_another(
    endpoint: TokenEndpoint, store: Store, app: str, clock: Clock, key_of: Keys
) -> None:
    with store.begin() as connection:
        create_client(connection, name="Other", clock=clock, client_id="other", public_key=key_of("good").pem)
    assertion = key_of("good").sign(statement("app", clock))
    refused(endpoint, assertion_form("other", assertion), oauth.NO_FEDERATION)


def test_of_concurrent_uses_of_one_assertion_one_succeeds(endpoint: TokenEndpoint, app: str, clock: Clock, key_of: Keys) -> None:
    form = assertion_form("app", key_of("good").sign(statement("app", clock)))
    assert sorted(race(endpoint, [form] * 6)) == ["in"] + ["invalid_client"] * 5


def test_used_assertions_are_forgotten_after_their_time(
    endpoint: TokenEndpoint, app: str, clock: Clock, key_of: Keys, store: Store
) -> None:
    for number in range(3):
        endpoint.answer(assertion_form("app", key_of("good").sign(statement("app", clock, jti=str(number)))))
    clock.advance(400)
    endpoint.answer(assertion_form("app", key_of("good").sign(statement("app", clock, jti="last"))))
    with store.read() as connection:
        assert len(connection.execute(select(used_assertions)).all()) == 1
