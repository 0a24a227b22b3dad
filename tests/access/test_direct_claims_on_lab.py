"""The mode claims on the lab: what Isthmus put into a token opens the roles of a group, and nothing else does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from isthmus.access.leaving import offboard
from isthmus.store import Store
from isthmus_lab.process import LabProcess
from tests.access.claiming import ALICE, APP, EXTENSION, Desk, call
from tests.access.direct import ALLOWED, Direct, direct_account, refusal
from tests.access.estate import ADMIN
from tests.lab.issuer import FakeIssuer

pytestmark = pytest.mark.e2e

_ACCOUNTS = itertools.count(740_000_000_001)
URL = "https://claims.idp.test"
MAPPINGS = {
    "Reader": {"groups": ["g-dev"], "statements": ALLOWED},
    "Operator": {"groups": ["g-ops"], "requiresMfa": False, "statements": ALLOWED},
}


@pytest.fixture(scope="module")
def entra(lab: LabProcess) -> Iterator[FakeIssuer]:
    with FakeIssuer("claims.idp.test") as made:
        lab.admin("POST", "/_lab/issuers", made.told)
        yield made


@pytest.fixture
def direct(store: Store, lab: LabProcess, issuer: FakeIssuer, entra: FakeIssuer) -> Iterator[Direct]:
    with direct_account(store, lab, str(next(_ACCOUNTS)), issuer) as made:
        settings = {"federation": "claims", "federationIssuer": URL, "federationClientId": APP, "claimsAudience": EXTENSION}
        made.settle(settings, MAPPINGS)
        yield made


def test_a_token_with_our_claims_opens_the_roles_of_its_groups(direct: Direct, entra: FakeIssuer) -> None:
    desk = Desk(direct.people.engine, entra, url=URL, tenant="claims.idp.test")
    desk.directory.members[ALICE] = {"g-dev"}
    claims = desk.ask(call(tenant="claims.idp.test"))

    def token(**changes: Any) -> str:
        return entra.token(**{"aud": APP, "sub": "pairwise", "amr": ["pwd", "mfa"], **claims, **changes})

    alice = direct.by_token(token(), session="whatever")
    assert direct.client(alice, "ec2").describe_regions()["Regions"]
    assert refusal(lambda: direct.client(alice, "ec2").describe_instances()) == "UnauthorizedOperation"
    assert refusal(lambda: direct.by_token(token(), "Operator")) == "InvalidIdentityToken", "not among the roles"
    everything = [*claims["https://aws.amazon.com/roles"], direct.role("Operator")]
    assert refusal(lambda: direct.by_token(token(**{"https://aws.amazon.com/roles": everything}), "Operator")) == "AccessDenied"
    assert refusal(lambda: direct.by_token(token(amr=["pwd"]))) == "AccessDenied", "a second factor, which this issuer tells of"
    assert refusal(lambda: direct.by_token(token(**{"https://aws.amazon.com/roles": None}))) == "AccessDenied", "no claims of ours"
    assert refusal(lambda: direct.by_token(token(aud="another-app"))) == "InvalidIdentityToken"
    bare = {name: None for name in claims if "/tags/" in name}
    assert refusal(lambda: direct.by_token(token(**bare))) == "AccessDenied"
    with direct.people.engine.store.begin() as connection:
        offboard(connection, direct.people.engine, ALICE, ADMIN, "left")
    assert direct.people.run_jobs() == 1
    assert refusal(lambda: direct.client(alice, "ec2").describe_regions()) == "UnauthorizedOperation"
    again = direct.by_token(token(), session="another-name")
    assert refusal(lambda: direct.client(again, "ec2").describe_regions()) == "UnauthorizedOperation", "a token from before, used again"
