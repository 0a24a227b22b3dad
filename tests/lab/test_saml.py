"""AssumeRoleWithSAML: the attack corpus, what a session is worth, rotation, and a third-party identity provider."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from lxml import etree
from signxml import DigestAlgorithm, SignatureMethod

from tests.lab.people import allow, deny, document
from tests.lab.saml import ATTRIBUTES, GROUPS, ISSUER, NS, RECIPIENT, Key, assertion, encoded, metadata, response, sign

pytestmark = pytest.mark.e2e

KEY, OTHER_KEY = Key(), Key()
STAMPS = ["sts:TagSession", "sts:SetSourceIdentity"]


class Federation:
    """An account that trusts the provider, and two roles that members of a group may have."""

    def __init__(self, client: Callable[..., Any], account: str, *keys: Key) -> None:
        self.client, self.account, self.iam = client, account, client("iam")
        self.provider = self.iam.create_saml_provider(Name="Entra", SAMLMetadataDocument=metadata(*keys))["SAMLProviderArn"]
        condition = {
            "StringEquals": {"SAML:aud": RECIPIENT, "SAML:iss": ISSUER, "SAML:sub_type": "persistent"},
            "ForAnyValue:StringEquals": {"SAML:edupersonentitlement": ["g-dev"]},
        }
        self.trust = {"Effect": "Allow", "Principal": {"Federated": self.provider}, "Action": ["sts:AssumeRoleWithSAML", *STAMPS]}
        self.role = self.make_role("Dev", {**self.trust, "Condition": condition})

    def make_role(self, name: str, *trust: dict[str, Any]) -> str:
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(*trust))["Role"]["Arn"]
        self.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document(allow("*")))
        return str(made)

    def attributes(self, **changes: Any) -> dict[str, list[str]]:
        plain = {
            f"{ATTRIBUTES}Role": [f"{self.role},{self.provider}", f"{self.provider},{self.role}2"],
            f"{ATTRIBUTES}RoleSessionName": ["alice@corp.test"],
            f"{ATTRIBUTES}SourceIdentity": ["alice@corp.test"],
            f"{ATTRIBUTES}PrincipalTag:team": ["red"],
            f"{ATTRIBUTES}PrincipalTag:grant": ["G-1"],
            f"{ATTRIBUTES}TransitiveTagKeys": ["grant"],
            GROUPS: ["g-dev", "g-ops"],
        }
        named = {name if ":" in name else f"{ATTRIBUTES}{name}": values for name, values in changes.items()}
        return {name: values for name, values in {**plain, **named}.items() if values is not None}

    def signed(self, attributes: dict[str, Any] | None = None, key: Key = KEY, **changes: Any) -> str:
        return sign(assertion(self.attributes(**(attributes or {})), **changes), key)

    def assume(self, text: str, **parameters: Any) -> dict[str, Any]:
        wanted = {"RoleArn": self.role, "PrincipalArn": self.provider, "SAMLAssertion": encoded(text), **parameters}
        found: dict[str, Any] = self.client("sts", signature_version=UNSIGNED).assume_role_with_saml(**wanted)
        return found

    def refusal(self, text: str, **parameters: Any) -> str:
        with pytest.raises(ClientError) as caught:
            self.assume(text, **parameters)
        return str(caught.value.response["Error"]["Code"])


@pytest.fixture
def federation(client: Callable[..., Any], account: str) -> Federation:
    return Federation(client, account, KEY)


def test_a_good_response_gives_a_session_as_aws_makes_it(federation: Federation) -> None:
    answer = federation.assume(response(federation.signed()), DurationSeconds=1800)
    assert (answer["Subject"], answer["SubjectType"], answer["Issuer"]) == ("alice@corp.test", "persistent", ISSUER)
    assert (answer["Audience"], answer["SourceIdentity"]) == (RECIPIENT, "alice@corp.test")
    qualified = f"{ISSUER}{federation.account}/Entra".encode()
    assert answer["NameQualifier"] == b64encode(hashlib.sha1(qualified).digest()).decode()
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{federation.account}:assumed-role/Dev/alice@corp.test"
    session = answer["Credentials"]
    assert 1700 < session["Expiration"].timestamp() - time.time() <= 1800
    sts = federation.client("sts", credentials=session)
    assert sts.get_caller_identity()["Account"] == federation.account
    for condition, is_met in (
        ({"StringEquals": {"aws:SourceIdentity": "alice@corp.test", "aws:PrincipalTag/team": "red", "SAML:sub": "alice@corp.test"}}, True),
        ({"Null": {"SAML:edupersonentitlement": "false"}}, False),
        ({"StringEquals": {"aws:FederatedProvider": federation.provider}}, True),
    ):
        federation.iam.put_role_policy(
            RoleName="Dev", PolicyName="deny", PolicyDocument=document(deny("sts:GetAccessKeyInfo", **condition))
        )
        if is_met:
            with pytest.raises(ClientError, match="explicit deny"):
                sts.get_access_key_info(AccessKeyId=session["AccessKeyId"])
        else:
            sts.get_access_key_info(AccessKeyId=session["AccessKeyId"])


def test_a_signature_around_the_whole_response_counts(federation: Federation) -> None:
    whole = sign(response(assertion(federation.attributes())), KEY)
    assert federation.assume(whole)["Subject"] == "alice@corp.test"
    assert federation.assume(sign(response(federation.signed()), KEY))["Subject"] == "alice@corp.test"


# ── the corpus: no forged role may ever be read ──


def evil(federation: Federation, **changes: Any) -> str:
    return assertion(federation.attributes(SourceIdentity=["mallory"], RoleSessionName=["mallory"]), **{"id": "_evil", **changes})


def unsigned(federation: Federation) -> str:
    return response(evil(federation))


def wrapped_before(federation: Federation) -> str:
    return response(evil(federation), federation.signed())


def wrapped_after(federation: Federation) -> str:
    return response(federation.signed(), evil(federation))


def original_in_object(federation: Federation) -> str:
    """The forged assertion carries the genuine signature, and in it the element that the signature is about."""
    genuine = etree.fromstring(federation.signed())
    signature = genuine.find("d:Signature", NS)
    assert signature is not None
    genuine.remove(signature)
    holder = etree.SubElement(signature, f"{{{NS['d']}}}Object")
    holder.append(genuine)
    forged = etree.fromstring(evil(federation))
    forged.insert(1, signature)
    return response(etree.tostring(forged).decode())


def duplicate_id(federation: Federation) -> str:
    return response(federation.signed(), more=f'<p:Extensions><x ID="_a1" xmlns="urn:x">{evil(federation, id="_a1")}</x></p:Extensions>')


def duplicate_id_elsewhere(federation: Federation) -> str:
    return response(federation.signed(), more='<p:Extensions><x ID="_a1" xmlns="urn:x"/></p:Extensions>')


def doctype(federation: Federation) -> str:
    return "<!DOCTYPE p [<!ENTITY e 'mallory'>]>" + response(federation.signed())


def own_key(federation: Federation) -> str:
    return response(sign(evil(federation), OTHER_KEY))


def by_hmac(federation: Federation) -> str:
    """Signed with the public certificate as if it were a shared secret."""
    root = etree.fromstring(federation.signed())
    method = root.find(".//d:SignatureMethod", NS)
    assert method is not None
    method.set("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
    info = root.find(".//d:SignedInfo", NS)
    value = root.find(".//d:SignatureValue", NS)
    assert info is not None
    assert value is not None
    secret = KEY.certificate.public_bytes(serialization.Encoding.PEM)
    value.text = b64encode(hmac.new(secret, etree.tostring(info, method="c14n", exclusive=True), hashlib.sha256).digest()).decode()
    return response(etree.tostring(root).decode())


def tampered(federation: Federation) -> str:
    return response(federation.signed().replace(">alice@corp.test</a:AttributeValue>", ">mallory</a:AttributeValue>"))


def by_sha1(federation: Federation) -> str:
    """A signature of the genuine key over a digest that is too weak."""
    return response(federation.signed().replace("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"))


def by_another_algorithm(federation: Federation) -> str:
    return response(sign(evil(federation), KEY, method=SignatureMethod.RSA_SHA512, digest=DigestAlgorithm.SHA512))


FORGERIES = [
    unsigned,
    wrapped_before,
    wrapped_after,
    original_in_object,
    duplicate_id,
    duplicate_id_elsewhere,
    doctype,
    own_key,
    by_hmac,
    tampered,
    by_sha1,
    by_another_algorithm,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_forged_responses_are_refused(forge: Callable[[Federation], str], federation: Federation) -> None:
    assert federation.refusal(forge(federation)) == "InvalidIdentityToken"
    assert federation.assume(response(federation.signed()))["Subject"] == "alice@corp.test"


@pytest.mark.parametrize("whole", ["alice@corp.test.evil.test", "alice@corp.testx"])
def test_a_comment_cannot_cut_a_value_short(whole: str, federation: Federation) -> None:
    """Comments are not signed: one that an attacker puts into his own long name must not make a short one of it."""
    said = federation.signed({"SourceIdentity": [whole]}, subject=whole)
    cut = response(said.replace(f">{whole}<", f">alice@corp.test<!-- -->{whole.removeprefix('alice@corp.test')}<"))
    assert cut.count("<!-- -->") == 2
    answer = federation.assume(cut)
    assert (answer["Subject"], answer["SourceIdentity"]) == (whole, whole)


# ── conditions ──

BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another recipient": ({}, {"recipient": "https://signin.evil.test/saml"}, "InvalidIdentityToken"),
    "recipient that only begins well": ({}, {"recipient": "https://signin.aws.amazon.com.evil.test/saml"}, "InvalidIdentityToken"),
    "two confirmations": ({}, {"confirmations": 2}, "InvalidIdentityToken"),
    "no confirmation": ({}, {"confirmations": 0}, "InvalidIdentityToken"),
    "expired": ({}, {"until": -61}, "ExpiredTokenException"),
    "too old to redeem": ({}, {"issued": -365}, "ExpiredTokenException"),
    "from the future": ({}, {"starts": 120}, "InvalidIdentityToken"),
    "another issuer": ({}, {"issuer": "https://sts.windows.net/other/"}, "InvalidIdentityToken"),
    "another audience": ({}, {"audience": "urn:other"}, "InvalidIdentityToken"),
    "no name": ({}, {"subject": ""}, "InvalidIdentityToken"),
    "session over": ({}, {"session_until": -10}, "ExpiredTokenException"),
    "no session name": ({"RoleSessionName": None}, {}, "InvalidIdentityToken"),
    "session name with blanks": ({"RoleSessionName": ["a b"]}, {}, "InvalidIdentityToken"),
    "two session names": ({"RoleSessionName": ["aa", "bb"]}, {}, "InvalidIdentityToken"),
    "two values of a tag": ({"PrincipalTag:team": ["red", "blue"]}, {}, "InvalidIdentityToken"),
    "transitive tag that is none": ({"TransitiveTagKeys": ["other"]}, {}, "InvalidIdentityToken"),
    "source identity with blanks": ({"SourceIdentity": ["a b"]}, {}, "InvalidIdentityToken"),
    "no role": ({"Role": None}, {}, "AccessDenied"),
    "role of another provider": ({"Role": ["arn:aws:iam::1:role/Dev,arn:aws:iam::1:saml-provider/Entra"]}, {}, "AccessDenied"),
    "not in the group": ({GROUPS: ["g-ops"]}, {}, "AccessDenied"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_signed_responses_that_do_not_fit(case: str, federation: Federation) -> None:
    attributes, changes, code = BROKEN[case]
    named = {f"{ATTRIBUTES}{name}" if not name.startswith(("urn:", "http")) else name: values for name, values in attributes.items()}
    assert federation.refusal(response(federation.signed(named, **changes))) == code


def test_the_session_ends_with_the_identity_provider_s(federation: Federation) -> None:
    answer = federation.assume(response(federation.signed(session_until=1000)))
    assert 900 < answer["Credentials"]["Expiration"].timestamp() - time.time() <= 1000


def test_what_the_request_may_not_ask_for(federation: Federation) -> None:
    good = response(federation.signed())
    assert federation.refusal(good, DurationSeconds=3601) == "ValidationError"
    assert federation.refusal(good, RoleArn=federation.role + "2") == "AccessDenied"
    assert federation.refusal(good, PrincipalArn=federation.provider + "2") == "InvalidIdentityToken"
    assert federation.refusal("no xml") == "InvalidIdentityToken"
    narrow = federation.assume(good, Policy=document(allow("ec2:*")))["Credentials"]
    with pytest.raises(ClientError, match="AccessDenied"):
        federation.client("s3", credentials=narrow).list_buckets()


@pytest.mark.parametrize("missing", STAMPS)
def test_stamps_need_permission_of_the_trust_policy(missing: str, federation: Federation) -> None:
    held = [action for action in federation.trust["Action"] if action != missing]
    federation.iam.update_assume_role_policy(RoleName="Dev", PolicyDocument=document({**federation.trust, "Action": held}))
    assert federation.refusal(response(federation.signed())) == "AccessDenied"


def test_a_change_of_the_signing_key_needs_both_certificates_for_a_while(federation: Federation) -> None:
    before, after = response(federation.signed()), response(federation.signed(key=OTHER_KEY))
    assert federation.refusal(after) == "InvalidIdentityToken"
    update = federation.iam.update_saml_provider
    update(SAMLProviderArn=federation.provider, SAMLMetadataDocument=metadata(KEY, OTHER_KEY))
    assert federation.assume(before)["Subject"] == federation.assume(after)["Subject"] == "alice@corp.test"
    update(SAMLProviderArn=federation.provider, SAMLMetadataDocument=metadata(OTHER_KEY))
    assert federation.refusal(before) == "InvalidIdentityToken"
    federation.assume(after)


def test_iam_takes_no_notice_of_a_certificate_s_expiry(client: Callable[..., Any], account: str) -> None:
    key = Key(is_expired=True)
    federation = Federation(client, account, key)
    assert federation.assume(response(federation.signed(key=key)))["Subject"] == "alice@corp.test"


@pytest.mark.parametrize(
    "text",
    ["<x/>", "x" * 2000, metadata(KEY).replace(KEY.bare, "AAAA" * 300), metadata() + " " * 1000, "<!DOCTYPE x>" + metadata(KEY)],
    ids=["short", "no xml", "no certificate", "no key", "doctype"],
)
def test_metadata_that_iam_refuses(text: str, client: Callable[..., Any]) -> None:
    with pytest.raises(ClientError) as caught:
        client("iam").create_saml_provider(Name="Bad", SAMLMetadataDocument=text if len(text) > 1000 else text + " " * 1000)
    assert caught.value.response["Error"]["Code"] == "InvalidInput"


def test_the_trail_names_the_person_and_the_assertion(federation: Federation) -> None:
    answer = federation.assume(response(federation.signed(id="_seen")))
    key = answer["Credentials"]["AccessKeyId"]
    federation.client("s3", credentials=answer["Credentials"]).list_buckets()
    trail = federation.client("cloudtrail")

    def event(kind: str) -> dict[str, Any]:
        [row] = trail.lookup_events(LookupAttributes=[{"AttributeKey": kind, "AttributeValue": key}])["Events"]
        found: dict[str, Any] = json.loads(row["CloudTrailEvent"])
        return found

    came, used = event("ResourceName"), event("AccessKeyId")
    assert came["userIdentity"] == {
        "type": "SAMLUser",
        "principalId": f"{answer['NameQualifier']}:alice@corp.test",
        "userName": "alice@corp.test",
        "identityProvider": ISSUER,
    }
    wanted = came["requestParameters"]
    assert (wanted["sAMLAssertionID"], wanted["principalArn"], wanted["sourceIdentity"]) == (
        "_seen",
        federation.provider,
        "alice@corp.test",
    )
    assert wanted["principalTags"] == {"team": "red", "grant": "G-1"}
    assert used["userIdentity"]["sessionContext"]["sourceIdentity"] == "alice@corp.test"
    assert used["userIdentity"]["sessionContext"]["webIdFederationData"] == {}
