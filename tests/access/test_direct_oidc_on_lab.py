"""Direct OIDC on the lab with a third-party provider: one application for each role, and MFA that AWS itself demands."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from isthmus.access import revocations
from isthmus.access.leaving import offboard
from isthmus.store import Store
from isthmus_lab.process import LabProcess
from tests.access.direct import ALLOWED, Direct, direct_account, refusal
from tests.access.estate import ADMIN
from tests.access.reaching import boot
from tests.lab.issuer import FakeIssuer
from tests.support.openid import OpenIdProvider, running_provider
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

_ACCOUNTS = itertools.count(730_000_000_001)
READER, OPERATOR = "app-reader", "app-operator"
USERS = {
    "alice": {"amr": ["pwd", "mfa"], "oid": str(uuid.UUID(int=1))},
    "bob": {"amr": ["pwd"], "oid": str(uuid.UUID(int=2))},
}
ANY_SHELL = {"Effect": "Allow", "Action": ["ssm:*", "ec2-instance-connect:*"], "Resource": ["*"]}
MAPPINGS = {
    "Reader": {"groups": ["g-dev"], "clientId": READER, "statements": ALLOWED},
    "Operator": {"groups": ["g-ops"], "clientId": OPERATOR, "requiresMfa": False, "statements": [*ALLOWED, ANY_SHELL]},
}


class Front(FakeIssuer):
    """The provider's own documents under a name without a port, as AWS wants it."""

    def __init__(self, host: str, provider: OpenIdProvider) -> None:
        super().__init__(host)
        self._provider = provider

    def document(self, path: str) -> dict[str, Any]:
        if path.endswith("/openid-configuration"):
            return {**self._provider.fetch("/.well-known/openid-configuration"), "jwks_uri": f"{self.url}/jwks"}
        return self._provider.fetch("/jwks")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory, lab: LabProcess) -> Iterator[OpenIdProvider]:
    def client(name: str) -> dict[str, Any]:
        plain = {"client_id": name, "redirect_uris": ["https://app.test/callback"], "token_endpoint_auth_method": "none"}
        return {**plain, "response_types": ["code"], "grant_types": ["authorization_code"]}

    with running_provider(tmp_path_factory.mktemp("direct") / "keys") as made, Front("direct.idp.test", made) as front:
        made.set(clients=[client(READER), client(OPERATOR)], users=USERS, named=front.url)
        lab.admin("POST", "/_lab/issuers", front.told)
        yield made


@pytest.fixture
def direct(store: Store, lab: LabProcess, issuer: FakeIssuer, provider: OpenIdProvider) -> Iterator[Direct]:
    with direct_account(store, lab, str(next(_ACCOUNTS)), issuer) as made:
        made.settle({"federation": "oidc", "federationIssuer": "https://direct.idp.test"}, MAPPINGS)
        yield made


def test_shells_that_nobody_would_find_are_opened_by_nobody(direct: Direct, provider: OpenIdProvider) -> None:
    """The mapping allows everything of Session Manager; its role denies what opens a shell."""
    machine = boot(direct.people, region="us-east-1")
    held = direct.by_token(provider.id_token(OPERATOR, "bob"), "Operator")
    ssm = direct.client(held, "ssm")
    assert ssm.describe_sessions(State="Active")["Sessions"] == []
    assert refusal(lambda: ssm.start_session(Target=machine)) == "AccessDeniedException"
    pushed = {"InstanceId": machine, "InstanceOSUser": "root", "SSHPublicKey": f"ssh-ed25519 {'A' * 80}"}
    assert refusal(lambda: direct.client(held, "ec2-instance-connect").send_ssh_public_key(**pushed)) == "AccessDeniedException"


def test_aws_itself_refuses_who_has_no_second_factor(direct: Direct, provider: OpenIdProvider) -> None:
    alice = direct.by_token(provider.id_token(READER, "alice"))
    assert direct.client(alice, "ec2").describe_regions()["Regions"]
    assert refusal(lambda: direct.client(alice, "ec2").describe_instances()) == "UnauthorizedOperation"
    assert refusal(lambda: direct.by_token(provider.id_token(READER, "bob"))) == "AccessDenied"
    assert direct.by_token(provider.id_token(OPERATOR, "bob"), "Operator"), "where the mapping does not demand one"
    assert refusal(lambda: direct.by_token(provider.id_token(OPERATOR, "alice"))) == "AccessDenied", "another role's application"


def test_who_leaves_is_denied_whatever_their_session_is_called(direct: Direct, provider: OpenIdProvider) -> None:
    alice = direct.by_token(provider.id_token(READER, "alice"), session="somebody-else")
    bob = direct.by_token(provider.id_token(OPERATOR, "bob"), "Operator")
    with direct.people.engine.store.begin() as connection:
        made = offboard(connection, direct.people.engine, str(USERS["alice"]["oid"]), ADMIN, "left")
    assert direct.people.run_jobs() == 1
    with direct.people.engine.store.read() as connection:
        found = revocations.find(connection, made)
    assert found is not None
    [denial] = found.denials
    assert (denial.state, denial.denied_at is not None) == ("Denied", True), denial
    assert "every session that began before" in denial.detail
    assert refusal(lambda: direct.client(alice, "ec2").describe_regions()) == "UnauthorizedOperation"
    assert refusal(lambda: direct.client(bob, "ec2").describe_regions()) == "UnauthorizedOperation", "bystanders begin again"


def test_a_key_that_the_provider_retired_opens_nothing(direct: Direct, provider: OpenIdProvider) -> None:
    before = provider.id_token(READER, "alice")
    provider.rotate()
    after = provider.id_token(READER, "alice")
    # STS asks an issuer again about a key that it does not know, and not twice within a second.
    until(lambda: not refusal(lambda: direct.by_token(after)), 5, what="STS takes the new key")
    assert refusal(lambda: direct.by_token(before)) == "InvalidIdentityToken"
