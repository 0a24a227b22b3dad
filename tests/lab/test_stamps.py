"""Session tags and the source identity of web identity tokens: who may set them, what they are good for, which are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from isthmus_lab.process import LabProcess
from tests.lab.issuer import FakeIssuer
from tests.lab.test_webidentity import Account

pytestmark = pytest.mark.e2e

TAGS = "https://aws.amazon.com/tags"
IDENTITY = "https://aws.amazon.com/source_identity"
NESTED = {TAGS: {"principal_tags": {"grant": ["G-1"], "team": ["red"]}, "transitive_tag_keys": ["grant"]}}
FLAT = {f"{TAGS}/principal_tags/grant": "G-1", f"{TAGS}/principal_tags/team": "red", f"{TAGS}/transitive_tag_keys": ["grant"]}


@pytest.fixture(scope="module")
def issuer(lab: LabProcess) -> Iterator[FakeIssuer]:
    with FakeIssuer("stamps.isthmus.test") as fake:
        lab.admin("POST", "/_lab/issuers", fake.told)
        yield fake


@pytest.fixture
def stamping(client: Callable[..., Any], account: str, issuer: FakeIssuer) -> Account:
    """A role whose trust allows stamps, of grants only that begin with `G-`."""
    made = Account(client, account, issuer)
    trust = client("iam").get_role(RoleName="Reader")["Role"]["AssumeRolePolicyDocument"]
    condition = {
        "StringLike": {"aws:RequestTag/grant": "G-*", "sts:SourceIdentity": "?*"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["grant", "team"]},
    }
    stamp = {"Effect": "Allow", "Principal": {"Federated": made.provider}, "Action": ["sts:TagSession", "sts:SetSourceIdentity"]}
    trust["Statement"].append({**stamp, "Condition": condition})
    client("iam").update_assume_role_policy(RoleName="Reader", PolicyDocument=json.dumps(trust))
    return made


def token(issuer: FakeIssuer, **more: Any) -> str:
    return issuer.token(raw=json.dumps(issuer.claims(**more)))


def denied_when(account: Account, action: str, **condition: Any) -> None:
    rule = {"Effect": "Deny", "Action": action, "Resource": "*", "Condition": condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    account.client("iam").put_role_policy(RoleName="Reader", PolicyName="deny", PolicyDocument=document)


@pytest.mark.parametrize("tags", [NESTED, FLAT], ids=["nested", "flat"])
def test_tags_and_source_identity_stay_with_the_session(tags: dict[str, Any], stamping: Account, issuer: FakeIssuer) -> None:
    answer = stamping.assume(token(issuer, **tags, **{IDENTITY: "person-1"}))
    assert answer["SourceIdentity"] == "person-1"
    session = answer["Credentials"]
    s3 = stamping.client("s3", credentials=session)
    s3.list_buckets()
    denied_when(stamping, "s3:*", StringEquals={"aws:PrincipalTag/team": "red"})
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_buckets()
    denied_when(stamping, "s3:*", StringEquals={"aws:PrincipalTag/team": "blue"})
    s3.list_buckets()
    denied_when(stamping, "s3:*", StringEquals={"aws:SourceIdentity": ["person-2", "person-1"]})
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_buckets()


def test_a_revocation_by_source_identity_and_issue_time_ends_earlier_sessions_only(stamping: Account, issuer: FakeIssuer) -> None:
    stamped = token(issuer, **NESTED, **{IDENTITY: "person-1"})
    s3 = stamping.client("s3", credentials=stamping.assume(stamped)["Credentials"])
    for moment, is_denied in (("2020-01-01T00:00:00Z", False), ("2999-01-01T00:00:00Z", True)):
        denied_when(stamping, "*", StringEquals={"aws:SourceIdentity": "person-1"}, DateLessThan={"aws:TokenIssueTime": moment})
        if is_denied:
            with pytest.raises(ClientError, match="AccessDenied"):
                s3.list_buckets()
        else:
            s3.list_buckets()
    other = stamping.assume(token(issuer, **NESTED, **{IDENTITY: "person-2"}))["Credentials"]
    stamping.client("s3", credentials=other).list_buckets()


def test_trust_that_does_not_speak_of_stamps_refuses_them(client: Callable[..., Any], account: str, issuer: FakeIssuer) -> None:
    plain = Account(client, account, issuer)
    plain.assume(token(issuer))
    assert plain.refusal(token(issuer, **NESTED)) == "AccessDenied"
    assert plain.refusal(token(issuer, **{IDENTITY: "person-1"})) == "AccessDenied"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({TAGS: {"principal_tags": {"grant": ["X-1"]}}, IDENTITY: "person-1"}, "AccessDenied"),
        ({TAGS: {"principal_tags": {"grant": ["G-1"], "other": ["x"]}}, IDENTITY: "person-1"}, "AccessDenied"),
        ({TAGS: {"principal_tags": {"grant": ["G-1"]}}}, "AccessDenied"),
        ({TAGS: {"principal_tags": {"grant": ["G-1", "G-2"]}}, IDENTITY: "person-1"}, "InvalidIdentityToken"),
        ({TAGS: {"principal_tags": {"grant": ["G-1"], "Grant": ["G-1"]}}, IDENTITY: "person-1"}, "InvalidIdentityToken"),
        ({TAGS: {"principal_tags": {"grant": ["G" * 257]}}, IDENTITY: "person-1"}, "InvalidIdentityToken"),
        ({TAGS: {"principal_tags": {"aws:x": ["1"]}}, IDENTITY: "person-1"}, "InvalidIdentityToken"),
        ({TAGS: {"principal_tags": {f"k{n}": ["1"] for n in range(51)}}, IDENTITY: "person-1"}, "InvalidIdentityToken"),
        ({TAGS: {"principal_tags": {"grant": ["G-1"]}, "transitive_tag_keys": ["team"]}, IDENTITY: "p1"}, "InvalidIdentityToken"),
        ({TAGS: ["grant"], IDENTITY: "person-1"}, "InvalidIdentityToken"),
        ({**NESTED, IDENTITY: "p"}, "InvalidIdentityToken"),
        ({**NESTED, IDENTITY: "per son"}, "InvalidIdentityToken"),
        ({**NESTED, IDENTITY: ["person-1"]}, "InvalidIdentityToken"),
        ({**NESTED, IDENTITY: "p" * 65}, "InvalidIdentityToken"),
    ],
)
def test_stamps_that_are_not_allowed_or_broken(claims: dict[str, Any], code: str, stamping: Account, issuer: FakeIssuer) -> None:
    assert stamping.refusal(token(issuer, **claims)) == code
