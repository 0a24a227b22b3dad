"""AssumeRoleWithSAML with responses of a third-party identity provider."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from tests.lab.people import allow, document
from tests.lab.saml import ATTRIBUTES, GROUPS, ISSUER, RECIPIENT, Key, metadata
from tests.support.saml import SamlProvider, running_saml_provider

pytestmark = pytest.mark.e2e

ACCOUNT_INDEPENDENT = {
    f"{ATTRIBUTES}RoleSessionName": "alice@example.test",
    f"{ATTRIBUTES}SourceIdentity": "alice@example.test",
    f"{ATTRIBUTES}PrincipalTag:entra_oid": "b0000000-0000-0000-0000-00000000000a",
}


OLD, NEW = Key(), Key()


@pytest.fixture
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamlProvider]:
    folder = tmp_path_factory.mktemp("saml")
    keys = [OLD.pem(), NEW.pem()]
    with running_saml_provider(
        folder, issuer=ISSUER, recipient=RECIPIENT, audience="urn:amazon:webservices", keys=keys, users={}
    ) as running:
        yield running


class Site:
    """An account that took the provider's metadata, and what a person of it may do there."""

    def __init__(self, client: Callable[..., Any], account: str, provider: SamlProvider) -> None:
        self.client, self.iam, self.provider = client, client("iam"), provider
        self.saml = self.iam.create_saml_provider(Name="Entra", SAMLMetadataDocument=provider.metadata())["SAMLProviderArn"]
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": self.saml},
            "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"],
            "Condition": {"ForAnyValue:StringEquals": {"SAML:edupersonentitlement": ["g-dev"]}},
        }
        self.role = self.iam.create_role(RoleName="Dev", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        self.iam.put_role_policy(RoleName="Dev", PolicyName="all", PolicyDocument=document(allow("*")))
        roles = [f"{self.role},{self.saml}", f"arn:aws:iam::{account}:role/Ops,{self.saml}"]
        dev = {**ACCOUNT_INDEPENDENT, f"{ATTRIBUTES}Role": roles, GROUPS: ["g-dev", "g-ops"]}
        provider.set({"alice": dev, "bob": {**dev, GROUPS: ["g-ops"]}})

    def assume(self, response: str) -> dict[str, Any]:
        sts = self.client("sts", signature_version=UNSIGNED)
        found: dict[str, Any] = sts.assume_role_with_saml(RoleArn=self.role, PrincipalArn=self.saml, SAMLAssertion=response)
        return found

    def refusal(self, response: str) -> str:
        with pytest.raises(ClientError) as caught:
            self.assume(response)
        return str(caught.value.response["Error"]["Code"])


@pytest.fixture
def site(client: Callable[..., Any], account: str, provider: SamlProvider) -> Site:
    return Site(client, account, provider)


def test_a_person_signs_in(site: Site) -> None:
    answer = site.assume(site.provider.sign_in("alice"))
    assert (answer["Subject"], answer["SubjectType"], answer["Issuer"]) == ("alice", "persistent", ISSUER)
    assert answer["SourceIdentity"] == "alice@example.test"
    assert site.client("s3", credentials=answer["Credentials"]).list_buckets()["Buckets"] == []


def test_the_group_decides(site: Site) -> None:
    assert site.refusal(site.provider.sign_in("bob")) == "AccessDenied"
    assert site.provider.refuses("carol")


def test_a_tampered_response_is_refused(site: Site) -> None:
    genuine = base64.b64decode(site.provider.sign_in("bob")).decode()
    assert genuine.count("g-ops") == 1
    forged = genuine.replace("g-ops", "g-dev")
    assert site.refusal(base64.b64encode(forged.encode()).decode()) == "InvalidIdentityToken"


def test_a_wrapped_assertion_is_refused(site: Site) -> None:
    genuine = base64.b64decode(site.provider.sign_in("bob")).decode()
    start, end = genuine.index("<saml:Assertion"), genuine.index("</saml:Assertion>") + len("</saml:Assertion>")
    forged = genuine[start:end].replace("g-ops", "g-dev").replace('ID="_', 'ID="_x')
    for wrapped in (genuine[:start] + forged + genuine[start:], genuine[:end] + forged + genuine[end:]):
        assert site.refusal(base64.b64encode(wrapped.encode()).decode()) == "InvalidIdentityToken"


def test_the_provider_changes_its_key(site: Site) -> None:
    before = site.provider.sign_in("alice")
    site.provider.rotate()
    after = site.provider.sign_in("alice")
    assert site.refusal(after) == "InvalidIdentityToken"
    site.iam.update_saml_provider(SAMLProviderArn=site.saml, SAMLMetadataDocument=metadata(OLD, NEW))
    site.assume(before)
    site.assume(after)
    site.iam.update_saml_provider(SAMLProviderArn=site.saml, SAMLMetadataDocument=site.provider.metadata())
    site.assume(after)
    assert site.refusal(before) == "InvalidIdentityToken"
