"""A token without a stored secret: bought with a token of ours, kept until shortly before its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from isthmus.clouds.azure.graph import GraphRefused, GraphUnavailable, Place
from tests.fakes.entra import TENANT, guid
from tests.fakes.graph_client import Reached, reached

ALICE = guid("alice")


@pytest.fixture
def there() -> Iterator[Reached]:
    with reached() as made:
        made.server.tenant.user(ALICE)
        yield made


def test_one_token_serves_until_five_minutes_before_its_end(there: Reached) -> None:
    assert there.graph.user(ALICE) is not None
    there.now += 3599 - 301
    assert there.graph.user(ALICE) is not None
    assert there.server.calls.count("token") == 1
    there.now += 2
    assert there.graph.user(ALICE) is not None
    assert there.server.calls.count("token") == 2


def test_a_token_that_graph_no_longer_takes_is_replaced_once(there: Reached) -> None:
    assert there.graph.user(ALICE) is not None
    there.server.tokens.clear()
    assert there.graph.user(ALICE) is not None, "bought anew"
    there.server.fail(401, "InvalidAuthenticationToken", times=2)
    with pytest.raises(GraphRefused, match="does not take our token"):
        there.graph.user(ALICE)


@pytest.mark.parametrize(
    ("claims", "code"),
    [({"sub": "svc:other"}, "AADSTS70021"), ({"aud": "api://other"}, "AADSTS70021"), ({"iss": "https://evil.test"}, "AADSTS70021")],
)
def test_a_credential_that_does_not_match_exactly_is_refused_with_what_to_do(there: Reached, claims: dict[str, str], code: str) -> None:
    there.claims = claims
    with pytest.raises(GraphRefused, match=f"{code}.*names our issuer|{code}.*our issuer, subject and audience") as caught:
        there.graph.user(ALICE)
    assert caught.value.code == code
    assert "GET /v1.0" not in " ".join(there.server.calls), "nothing is asked without a token"


def test_an_unknown_application_is_told_as_such() -> None:
    with reached(client=guid("other")) as there, pytest.raises(GraphRefused, match="no such application"):
        there.graph.user(ALICE)


def test_an_endpoint_that_is_down_is_no_refusal(there: Reached) -> None:
    there.server.is_down = True
    with pytest.raises(GraphUnavailable, match="503"):
        there.tokens.token()


@pytest.mark.parametrize(
    "url", ["http://graph.microsoft.com", "https://graph.microsoft.com/v1.0", "https://a@b", "ftp://x", "http://127.0.0.1.evil.test"]
)
def test_tokens_go_to_https_or_to_this_machine_alone(url: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        Place(url=url, tenant=TENANT, client=TENANT)
