"""Direct SAML on the lab with a third-party identity provider: from its metadata to a denial, and a change of its certificate."""

from __future__ import annotations

import base64
import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from isthmus.access import revocations
from isthmus.access.former import FORMER
from isthmus.access.leaving import offboard
from isthmus.clouds.aws.metadata import distilled, joined, read_metadata, without
from isthmus.store import Store
from isthmus_lab.process import LabProcess
from tests.access.direct import ALLOWED, Direct, direct_account, refusal
from tests.access.estate import ADMIN
from tests.access.test_instructions import application
from tests.lab.issuer import FakeIssuer
from tests.lab.saml import ATTRIBUTES, GROUPS, ISSUER, RECIPIENT, Key, assertion, encoded, response, sign
from tests.support.saml import SamlProvider, running_saml_provider

pytestmark = pytest.mark.e2e

_ACCOUNTS = itertools.count(720_000_000_001)
OLD, NEW = Key(), Key()
IDENTIFIER = application("720000000001")["Identifier (Entity ID)"]
AUDIENCE = IDENTIFIER.partition("#")[0]
"""What Entra makes of it in assertions."""
ALICE, BOB = str(uuid.UUID(int=0xA)), str(uuid.UUID(int=0xB))
MAPPING = {"groups": ["g-dev"], "requiresMfa": False, "statements": ALLOWED}


@pytest.fixture
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamlProvider]:
    keys = [OLD.pem(), NEW.pem()]
    folder = tmp_path_factory.mktemp("saml")
    with running_saml_provider(folder, issuer=ISSUER, recipient=RECIPIENT, audience=AUDIENCE, keys=keys, users={}) as made:
        yield made


@pytest.fixture
def direct(store: Store, lab: LabProcess, issuer: FakeIssuer, provider: SamlProvider) -> Iterator[Direct]:
    with direct_account(store, lab, str(next(_ACCOUNTS)), issuer) as made:
        made.settle({"federation": "saml", "samlMetadata": provider.metadata()}, {"Reader": MAPPING})
        provider.set({"alice": person(made, ALICE), "bob": person(made, BOB), "carol": person(made, BOB, "g-ops")})
        yield made


def person(direct: Direct, object_id: str, group: str = "g-dev") -> dict[str, str | list[str]]:
    """The attributes that the instructions ask for."""
    return {
        f"{ATTRIBUTES}Role": [f"{direct.role('Reader')},{direct.provider}"],
        f"{ATTRIBUTES}RoleSessionName": object_id,
        f"{ATTRIBUTES}SourceIdentity": object_id,
        f"{ATTRIBUTES}PrincipalTag:entra_oid": object_id,
        f"{ATTRIBUTES}SessionDuration": "3600",
        GROUPS: [group, "g-else"],
    }


def test_a_person_signs_in_calls_and_is_denied_everywhere_when_they_leave(direct: Direct, provider: SamlProvider) -> None:
    alice, bob = direct.by_saml(provider.sign_in("alice")), direct.by_saml(provider.sign_in("bob"))
    assert direct.client(alice, "sts").get_caller_identity()["Arn"].endswith(f"/{ALICE}")
    assert direct.client(alice, "ec2").describe_regions()["Regions"]
    assert refusal(lambda: direct.client(alice, "ec2").describe_instances()) == "UnauthorizedOperation"
    assert refusal(lambda: direct.by_saml(provider.sign_in("carol"))) == "AccessDenied", "another group"
    people = direct.people
    with people.engine.store.begin() as connection:
        made = offboard(connection, people.engine, ALICE, ADMIN, "left")
    assert people.run_jobs() == 1
    with people.engine.store.read() as connection:
        found = revocations.find(connection, made)
    assert found is not None
    [denial] = found.denials
    assert (denial.state, denial.denied_at is not None) == ("Denied", True), denial
    assert "disable the person there" in denial.detail
    assert refusal(lambda: direct.client(alice, "ec2").describe_regions()) == "UnauthorizedOperation"
    assert refusal(lambda: direct.client(alice, "sts").get_access_key_info(AccessKeyId=alice["AccessKeyId"])) == "AccessDenied"
    again = direct.by_saml(provider.sign_in("alice"))
    assert refusal(lambda: direct.client(again, "ec2").describe_regions()) == "UnauthorizedOperation", (
        "what the directory still begins, too"
    )
    assert direct.client(bob, "ec2").describe_regions()["Regions"], "a bystander notices nothing"
    with people.engine.store.begin() as connection:
        assert revocations.readmit(connection, people.engine, ALICE, ADMIN) == 1
    assert people.run_jobs() == 1
    assert refusal(lambda: direct.client(alice, "ec2").describe_regions()) == "UnauthorizedOperation", "sessions from before stay denied"


def test_who_leaves_between_the_settings_and_the_stack_is_denied(direct: Direct, provider: SamlProvider) -> None:
    """The settings say broker, and the account trusts the directory until somebody updates its stack."""
    alice, bob = direct.by_saml(provider.sign_in("alice")), direct.by_saml(provider.sign_in("bob"))
    direct.leave({})
    assert "Update the stack" in direct.compare()["details"]
    people = direct.people
    with people.engine.store.begin() as connection:
        offboard(connection, people.engine, ALICE, ADMIN, "left")
    assert people.run_jobs() == 1
    assert refusal(lambda: direct.client(alice, "ec2").describe_regions()) == "UnauthorizedOperation"
    again = direct.by_saml(provider.sign_in("alice"))
    assert refusal(lambda: direct.client(again, "ec2").describe_regions()) == "UnauthorizedOperation"
    assert direct.sync()["status"] == "Completed"
    assert refusal(lambda: direct.client(again, "ec2").describe_regions()) == "UnauthorizedOperation", "the sync writes no less"
    assert direct.client(bob, "ec2").describe_regions()["Regions"]
    direct.deploy()
    assert "for an hour more" in direct.compare()["details"]
    assert refusal(lambda: direct.by_saml(provider.sign_in("bob"))) == "InvalidIdentityToken", "the provider is gone"
    found = people.lookup.find(direct.id)
    assert found is not None
    assert [one["until"] is not None for one in found.properties[FORMER]] == [True]


@pytest.mark.parametrize("mark", ["RoleSessionName", "SourceIdentity", "PrincipalTag:entra_oid"])
def test_each_mark_alone_is_enough_to_be_denied(direct: Direct, provider: SamlProvider, mark: str) -> None:
    """Directories that were set up by halves: only one attribute names the person."""
    half = {**person(direct, ALICE), f"{ATTRIBUTES}RoleSessionName": "someone", f"{ATTRIBUTES}SourceIdentity": "someone"}
    half[f"{ATTRIBUTES}PrincipalTag:entra_oid"] = "someone"
    provider.set({"alice": {**half, f"{ATTRIBUTES}{mark}": ALICE}})
    session = direct.by_saml(provider.sign_in("alice"))
    ec2 = direct.client(session, "ec2")
    assert ec2.describe_regions()["Regions"]
    with direct.people.engine.store.begin() as connection:
        offboard(connection, direct.people.engine, ALICE, ADMIN, "left")
    direct.people.run_jobs()
    assert refusal(ec2.describe_regions) == "UnauthorizedOperation"


def test_who_is_denied_changes_neither_the_policy_nor_the_provider(direct: Direct, provider: SamlProvider) -> None:
    everything = [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]
    direct.settle({"federation": "saml", "samlMetadata": provider.metadata()}, {"Reader": {**MAPPING, "statements": everything}})
    iam = direct.client(direct.by_saml(provider.sign_in("alice")), "iam")
    assert iam.list_roles()["Roles"]
    own = distilled(provider.metadata())
    assert refusal(lambda: iam.update_saml_provider(SAMLProviderArn=direct.provider, SAMLMetadataDocument=own)) == "AccessDenied"
    assert refusal(lambda: iam.delete_saml_provider(SAMLProviderArn=direct.provider)) == "AccessDenied"
    policy = f"arn:aws:iam::{direct.account}:policy/IsthmusRevocations-aa5f1c9e"
    assert refusal(lambda: iam.set_default_policy_version(PolicyArn=policy, VersionId="v1")) == "AccessDenied"
    role = direct.role("Reader").rpartition("/")[2]
    assert refusal(lambda: iam.detach_role_policy(RoleName=role, PolicyArn=policy)) == "AccessDenied"
    assert refusal(lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument="{}")) == "AccessDenied"


def test_tampered_misdirected_and_unassigned_sign_ins_are_refused(direct: Direct, provider: SamlProvider) -> None:
    genuine = base64.b64decode(provider.sign_in("carol")).decode()
    forged = base64.b64encode(genuine.replace("g-ops", "g-dev").encode()).decode()
    assert refusal(lambda: direct.by_saml(forged)) == "InvalidIdentityToken"
    assert provider.refuses("mallory")
    moved = base64.b64encode(genuine.replace(RECIPIENT, "https://evil.test/saml").encode()).decode()
    assert refusal(lambda: direct.by_saml(moved)) == "InvalidIdentityToken"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"issued": -900, "until": -400}, "ExpiredTokenException"),
        ({"recipient": "https://evil.test/saml"}, "InvalidIdentityToken"),
        ({"recipient": "https://eu-west-1.signin.aws.amazon.com/saml"}, "AccessDenied"),
        ({"issuer": "https://sts.windows.net/99999999-2222-3333-4444-555555555555/"}, "InvalidIdentityToken"),
        ({"audience": "urn:somebody:else"}, "InvalidIdentityToken"),
        ({"audience": AUDIENCE}, ""),
        ({"audience": IDENTIFIER}, "InvalidIdentityToken"),
    ],
)
def test_what_the_directory_signed_for_another_time_or_place_is_refused(direct: Direct, changes: dict[str, Any], code: str) -> None:
    """Signed with the genuine key."""
    attributes = {name: [value] if isinstance(value, str) else value for name, value in person(direct, ALICE).items()}
    made = encoded(response(sign(assertion(attributes, **changes), OLD)))
    assert refusal(lambda: direct.by_saml(made)) == code


def test_a_certificate_changes_without_a_failed_sign_in(direct: Direct, provider: SamlProvider) -> None:
    first = distilled(provider.metadata())
    [old] = read_metadata(first).certificates
    before = provider.sign_in("alice")
    provider.rotate()
    coming = provider.metadata()
    assert refusal(lambda: direct.by_saml(provider.sign_in("alice"))) == "InvalidIdentityToken", "without overlap it would fail"
    both = joined(first, coming)
    direct.settle({"federation": "saml", "samlMetadata": both}, {"Reader": MAPPING})
    assert direct.by_saml(before)
    assert direct.by_saml(provider.sign_in("alice"))
    shown = direct.sync()["federation"]
    assert [(one["inTemplate"], one["inAccount"]) for one in shown["certificates"]] == [(True, True)] * 2
    late = without(both, old.fingerprint)
    direct.settle({"federation": "saml", "samlMetadata": late}, {"Reader": MAPPING})
    assert refusal(lambda: direct.by_saml(before)) == "InvalidIdentityToken", "the old one fails only now"
    assert direct.by_saml(provider.sign_in("alice"))
    [left] = direct.sync()["federation"]["certificates"]
    assert left["fingerprint"] != old.fingerprint
