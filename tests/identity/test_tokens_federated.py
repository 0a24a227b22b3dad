"""Tokens of foreign issuers at the token endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.identity import oauth
from isthmus.identity.federation import add_federated
from isthmus.identity.tokens import TokenEndpoint
from isthmus.store import Store
from tests.identity.asking import Keys, assertion_form, refused
from tests.identity.parties import BASE, TestKey
from tests.identity.web import Web
from tests.support.clock import Clock

ISSUER = "https://token.actions.test"


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
    assert endpoint.answer(rotated), "a rotation may follow any fetch, so a key that is missing is looked for at once"
    assert len(web.asked) == 4
    again = assertion_form("app", key_of("third").sign(foreign(clock)))
    publish(web, key_of("foreign"), key_of("evil"), key_of("third"))
    for _ in range(3):
        refused(endpoint, again, oauth.BAD_ASSERTION)
    assert len(web.asked) == 4, "an issuer that was asked for a key is not asked again at once, whatever kid a stranger sends"
    clock.advance(60)
    assert endpoint.answer(again)
    assert len(web.asked) == 6
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
