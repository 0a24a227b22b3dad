"""The token endpoint: four ways to prove who asks, and everything that is not one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select, update

from isthmus.arm.errors import ArmError
from isthmus.identity import oauth
from isthmus.identity.bearer import BearerVerifier
from isthmus.identity.clients import create_client, delete_client, register_operator
from isthmus.identity.federation import add_federated
from isthmus.identity.issuer import Issuer
from isthmus.identity.oauth import OAuthError
from isthmus.identity.secrets import add_secret
from isthmus.identity.tokens import JWT_BEARER, TokenEndpoint
from isthmus.keys import operator_assertion, operator_signer
from isthmus.store import Store
from isthmus.store.tables import registrations, used_assertions
from tests.identity.conftest import Web
from tests.identity.parties import BASE, TENANT, TOKEN_URL, TestKey
from tests.support.clock import Clock

ISSUER = "https://token.actions.test"
Keys = Callable[[str], TestKey]


def assertion_form(client_id: str, assertion: str, **more: str) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_assertion_type": JWT_BEARER,
        "client_assertion": assertion,
        "scope": f"{BASE}/.default",
        **more,
    }


def statement(client_id: str, clock: Clock, jti: str = "1", **changes: Any) -> dict[str, Any]:
    now = int(clock())
    return {"iss": client_id, "sub": client_id, "aud": TOKEN_URL, "iat": now, "exp": now + 300, "jti": jti, **changes}


def refused(endpoint: TokenEndpoint, form: dict[str, str], code: int) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        endpoint.answer(form)
    assert caught.value.code == code, caught.value
    return caught.value


@pytest.fixture
def app(store: Store, clock: Clock, key_of: Keys) -> str:
    with store.begin() as connection:
        return create_client(connection, name="App", clock=clock, client_id="app", public_key=key_of("good").pem).object_id


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


def foreign(clock: Clock, **changes: Any) -> dict[str, Any]:
    now = int(clock())
    more = {"repository": "a/b", "jti": "always the same"}
    return {"iss": ISSUER, "sub": "repo:a/b", "aud": "api://AzureADTokenExchange", "iat": now, "exp": now + 900, **more, **changes}


@pytest.fixture
def federated(store: Store, app: str, key_of: Keys) -> None:
    with store.begin() as connection:
        add_federated(connection, "app", issuer=ISSUER, subject="repo:a/b", jwks={"keys": [key_of("foreign").jwk]})


@pytest.mark.usefixtures("federated")
def test_a_federated_token_signs_in_and_may_be_used_again(endpoint: TokenEndpoint, clock: Clock, key_of: Keys) -> None:
    form = assertion_form("app", key_of("foreign").sign(foreign(clock)))
    assert endpoint.answer(form)
    assert endpoint.answer(form)


@pytest.mark.usefixtures("federated")
@pytest.mark.parametrize(
    ("signer", "changes", "code"),
    [
        ("foreign", {"sub": "repo:a/B"}, oauth.NO_FEDERATION),
        ("foreign", {"iss": ISSUER + "/"}, oauth.NO_FEDERATION),
        ("foreign", {"iss": None}, oauth.NO_FEDERATION),
        ("foreign", {"aud": BASE}, oauth.BAD_ASSERTION),
        ("foreign", {"exp": 5}, oauth.BAD_ASSERTION),
        ("good", {}, oauth.BAD_ASSERTION),
    ],
)
def test_wrong_federated_tokens_are_refused(
    endpoint: TokenEndpoint, clock: Clock, key_of: Keys, signer: str, changes: dict[str, Any], code: int
) -> None:
    refused(endpoint, assertion_form("app", key_of(signer).sign(foreign(clock, **changes), kid="foreign")), code)


def publish(web: Web, *keys: TestKey, **changes: Any) -> None:
    web.publish(f"{ISSUER}/.well-known/openid-configuration", {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **changes})
    web.publish(f"{ISSUER}/keys", {"keys": [key.jwk for key in keys]})


@pytest.fixture
def fetched(store: Store, app: str) -> None:
    with store.begin() as connection:
        add_federated(connection, "app", issuer=ISSUER, subject="repo:a/b")


@pytest.mark.usefixtures("fetched")
def test_keys_of_an_issuer_are_fetched_kept_and_renewed(endpoint: TokenEndpoint, web: Web, clock: Clock, key_of: Keys) -> None:
    publish(web, key_of("foreign"))
    form = assertion_form("app", key_of("foreign").sign(foreign(clock, exp=int(clock()) + 9000)))
    for _ in range(3):
        assert endpoint.answer(form)
    assert len(web.asked) == 2
    rotated = assertion_form("app", key_of("evil").sign(foreign(clock)))
    publish(web, key_of("foreign"), key_of("evil"))
    refused(endpoint, rotated, oauth.BAD_ASSERTION)
    assert len(web.asked) == 2, "an issuer is not asked again at once, whatever kid a stranger sends"
    clock.advance(60)
    assert endpoint.answer(rotated)
    assert len(web.asked) == 4
    publish(web)
    clock.advance(3600)
    refused(endpoint, form, oauth.BAD_ASSERTION)


@pytest.mark.usefixtures("fetched")
@pytest.mark.parametrize(
    "changes",
    [None, {"issuer": "https://other.test"}, {"jwks_uri": "http://plain.test/keys"}, {"jwks_uri": 1}, {"jwks_uri": f"{ISSUER}/x"}],
)
def test_an_issuer_that_does_not_answer_properly_is_a_passing_failure(
    endpoint: TokenEndpoint, web: Web, clock: Clock, key_of: Keys, changes: dict[str, Any] | None
) -> None:
    if changes is not None:
        publish(web, key_of("foreign"), **changes)
    form = assertion_form("app", key_of("foreign").sign(foreign(clock)))
    assert refused(endpoint, form, oauth.UNAVAILABLE).status == 503
    asked = len(web.asked)
    refused(endpoint, form, oauth.UNAVAILABLE)
    assert len(web.asked) == asked, "failures are remembered for a while, too"
    publish(web, key_of("foreign"))
    clock.advance(60)
    assert endpoint.answer(form)


def test_a_machine_signs_in_with_its_registered_key(
    endpoint: TokenEndpoint, enrol: Callable[..., str], issuer: Issuer, clock: Clock, key_of: Keys
) -> None:
    vm_id = enrol(key_of("machine"))
    token = endpoint.answer(assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock))))["access_token"]
    bearer = BearerVerifier(issuer, tenant=TENANT, audience=BASE, clock=clock)
    machine = bearer.machine(token)
    assert (machine.kind, machine.client_id, machine.object_id) == ("machine", vm_id, "33333333-3333-3333-3333-333333333333")
    assert machine.resource_id.endswith("/machines/i-1")
    with pytest.raises(ArmError, match="not acceptable"):
        bearer.caller(token)
    refused(endpoint, assertion_form(vm_id, key_of("evil").sign(statement(vm_id, clock, jti="2"))), oauth.BAD_ASSERTION)
    refused(endpoint, assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock))), oauth.BAD_ASSERTION)
    refused(
        endpoint,
        assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock, jti="3", exp=int(clock()) + 301))),
        oauth.BAD_ASSERTION,
    )


@pytest.mark.parametrize(("state", "days"), [("pending", 90), ("enrolled", 0)])
def test_only_enrolled_machines_sign_in(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys, store: Store, state: str, days: int
) -> None:
    vm_id = enrol(key_of("machine"), state=state, days=days)
    caught = refused(endpoint, assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock))), oauth.BAD_ASSERTION)
    assert "not enrolled" in caught.description
    with store.read() as connection:
        assert not connection.execute(select(used_assertions)).all()


def test_the_first_use_of_the_next_key_drops_the_old_one(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys, store: Store
) -> None:
    vm_id = enrol(key_of("machine"), next_key=key_of("renewed"))
    sign = {
        name: (lambda jti, name=name: assertion_form(vm_id, key_of(name).sign(statement(vm_id, clock, jti=jti))))
        for name in ("machine", "renewed")
    }
    assert endpoint.answer(sign["machine"]("1"))
    assert endpoint.answer(sign["renewed"]("2"))
    refused(endpoint, sign["machine"]("3"), oauth.BAD_ASSERTION)
    assert endpoint.answer(sign["renewed"]("4"))
    with store.read() as connection:
        row = connection.execute(select(registrations)).mappings().one()
    assert (row["public_key"], row["next_public_key"], row["next_key_hash"]) == (key_of("renewed").pkcs1, None, None)


def test_a_refused_use_of_the_next_key_commits_nothing(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys, store: Store
) -> None:
    vm_id = enrol(key_of("machine"), next_key=key_of("renewed"))
    refused(endpoint, assertion_form(vm_id, key_of("renewed").sign(statement(vm_id, clock, aud="https://evil.test"))), oauth.BAD_ASSERTION)
    with store.read() as connection:
        assert connection.execute(select(registrations.c.public_key)).scalar_one() == key_of("machine").pkcs1
    assert endpoint.answer(assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock))))


def race(endpoint: TokenEndpoint, forms: list[dict[str, str]]) -> list[str]:
    outcomes = [""] * len(forms)
    together = threading.Barrier(len(forms))

    def ask(number: int) -> None:
        together.wait()
        try:
            endpoint.answer(forms[number])
            outcomes[number] = "in"
        except OAuthError as error:
            outcomes[number] = error.error

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(forms))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_concurrent_uses_of_one_assertion_one_succeeds(endpoint: TokenEndpoint, app: str, clock: Clock, key_of: Keys) -> None:
    form = assertion_form("app", key_of("good").sign(statement("app", clock)))
    assert sorted(race(endpoint, [form] * 6)) == ["in"] + ["invalid_client"] * 5


def test_concurrent_uses_of_the_next_key_commit_once_and_all_succeed(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys, store: Store
) -> None:
    vm_id = enrol(key_of("machine"), next_key=key_of("renewed"))
    forms = [assertion_form(vm_id, key_of("renewed").sign(statement(vm_id, clock, jti=str(number)))) for number in range(6)]
    assert race(endpoint, forms) == ["in"] * 6
    with store.read() as connection:
        row = connection.execute(select(registrations)).mappings().one()
    assert (row["public_key"], row["next_public_key"]) == (key_of("renewed").pkcs1, None)


def test_old_and_next_key_at_once_never_leave_the_old_one_valid(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys
) -> None:
    vm_id = enrol(key_of("machine"), next_key=key_of("renewed"))
    names = ["machine", "renewed"] * 3
    forms = [assertion_form(vm_id, key_of(name).sign(statement(vm_id, clock, jti=str(number)))) for number, name in enumerate(names)]
    outcomes = race(endpoint, forms)
    assert [outcome for name, outcome in zip(names, outcomes, strict=True) if name == "renewed"] == ["in"] * 3
    refused(endpoint, assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock, jti="later"))), oauth.BAD_ASSERTION)


def test_used_assertions_are_forgotten_after_their_time(
    endpoint: TokenEndpoint, app: str, clock: Clock, key_of: Keys, store: Store
) -> None:
    for number in range(3):
        endpoint.answer(assertion_form("app", key_of("good").sign(statement("app", clock, jti=str(number)))))
    clock.advance(400)
    endpoint.answer(assertion_form("app", key_of("good").sign(statement("app", clock, jti="last"))))
    with store.read() as connection:
        assert len(connection.execute(select(used_assertions)).all()) == 1


def test_a_removed_machine_is_refused_at_once(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys, store: Store
) -> None:
    vm_id = enrol(key_of("machine"))
    assert endpoint.answer(assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock))))
    with store.begin() as connection:
        connection.execute(update(registrations).values(state="removed"))
    caught = refused(endpoint, assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock, jti="2"))), oauth.BAD_ASSERTION)
    assert caught.status == 410, "the agent forgets its identity"
    stranger = refused(endpoint, assertion_form(vm_id, key_of("other").sign(statement(vm_id, clock, jti="3"))), oauth.BAD_ASSERTION)
    assert stranger.status == 401
