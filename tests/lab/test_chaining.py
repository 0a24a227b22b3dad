"""Sessions chained from a person's session: what they inherit, what they may not change, and that a revocation reaches them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from isthmus_lab.process import LabProcess
from tests.lab.issuer import FakeIssuer
from tests.lab.people import People, allow, deny, document

pytestmark = pytest.mark.e2e

TAG = {"Key": "team", "Value": "blue"}


@pytest.fixture(scope="module")
def issuer(lab: LabProcess) -> Iterator[FakeIssuer]:
    with FakeIssuer("chained.isthmus.test") as fake:
        lab.admin("POST", "/_lab/issuers", fake.told)
        yield fake


@pytest.fixture
def people(client: Callable[..., Any], account: str, issuer: FakeIssuer) -> People:
    return People(client, account, issuer)


def refusal(call: Callable[..., Any], *arguments: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def works(people: People, session: dict[str, Any]) -> bool:
    """Whether a session may do the harmless thing; any failure but a denial is one of the test."""
    sts = people.client("sts", credentials=session)
    try:
        sts.get_access_key_info(AccessKeyId=session["AccessKeyId"])
    except sts.exceptions.from_code("AccessDenied") as error:
        if "explicit deny" in str(error):
            return False
        raise
    return True


def test_a_chained_session_keeps_the_person_and_the_transitive_tags(people: People) -> None:
    answer = people.chain(people.enter(), people.inner())
    assert answer["SourceIdentity"] == "alice"
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{people.account}:assumed-role/Inner/chained"
    chained = answer["Credentials"]
    for condition, is_met in (
        ({"StringEquals": {"aws:SourceIdentity": "alice"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/grant": "G-1"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/team": "red"}}, False),
        ({"Null": {"aws:FederatedProvider": "false"}}, False),
    ):
        people.iam.put_role_policy(RoleName="Inner", PolicyName="deny", PolicyDocument=document(deny("sts:GetAccessKeyInfo", **condition)))
        assert works(people, chained) is not is_met, condition


def test_the_third_session_of_a_chain_still_knows_the_person(people: People) -> None:
    inner = people.inner()
    last = people.role("Last", {"Effect": "Allow", "Principal": {"AWS": inner}, "Action": "sts:*"})
    second = people.chain(people.enter(), inner)["Credentials"]
    answer = people.chain(second, last, Tags=[TAG], TransitiveTagKeys=["team"])
    assert answer["SourceIdentity"] == "alice"
    wanted = {"StringEquals": {"aws:PrincipalTag/grant": "G-1", "aws:PrincipalTag/team": "blue", "aws:SourceIdentity": "alice"}}
    people.iam.put_role_policy(RoleName="Last", PolicyName="deny", PolicyDocument=document(deny("sts:GetAccessKeyInfo", **wanted)))
    assert not works(people, answer["Credentials"])


def test_a_source_identity_is_set_once(people: People) -> None:
    session, inner = people.enter(), people.inner()
    assert refusal(people.chain, session, inner, SourceIdentity="mallory")[0] == "AccessDenied"
    assert people.chain(session, inner, SourceIdentity="alice")["SourceIdentity"] == "alice"
    nobody = people.role("Plain", {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{people.account}:root"}, "Action": "sts:*"})
    people.iam.create_user(UserName="carol")
    people.iam.put_user_policy(UserName="carol", PolicyName="all", PolicyDocument=document(allow("*")))
    carol = {**people.iam.create_access_key(UserName="carol")["AccessKey"], "SessionToken": None}
    assert "SourceIdentity" not in people.chain(carol, nobody)
    assert people.chain(carol, nobody, SourceIdentity="carol")["SourceIdentity"] == "carol"
    assert refusal(people.chain, carol, nobody, SourceIdentity="c a r o l")[0] == "ValidationError"


@pytest.mark.parametrize(("missing", "held"), [("sts:TagSession", "sts:SetSourceIdentity"), ("sts:SetSourceIdentity", "sts:TagSession")])
def test_stamps_need_permission_of_the_target_role(missing: str, held: str, people: People) -> None:
    code, message = refusal(people.chain, people.enter(), people.inner("Inner", held))
    assert code == "AccessDenied"
    assert missing in message
    assert ":role/Inner" in message


def test_conditions_of_the_trust_policy_see_what_is_set(people: People) -> None:
    condition = {
        "StringEquals": {"sts:SourceIdentity": "alice", "aws:SourceIdentity": "alice"},
        "StringLike": {"sts:RoleSessionName": "chain*"},
    }
    inner = people.inner("Inner", Condition=condition)
    assert people.chain(people.enter(), inner)["SourceIdentity"] == "alice"
    assert refusal(people.chain, people.enter("bob"), inner)[0] == "AccessDenied"
    tagged = people.inner(
        "Tagged", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}, "StringEquals": {"aws:RequestTag/team": "blue"}}
    )
    people.chain(people.enter(), tagged, Tags=[TAG])
    assert refusal(people.chain, people.enter(), tagged, Tags=[{**TAG, "Value": "red"}])[0] == "AccessDenied"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Tags": [{"Key": "grant", "Value": "G-2"}]}, "InvalidParameterValue"),
        ({"Tags": [TAG, {"Key": "Team", "Value": "x"}]}, "InvalidParameterValue"),
        ({"Tags": [TAG], "TransitiveTagKeys": ["other"]}, "ValidationError"),
        ({"Tags": [{"Key": "aws:x", "Value": "1"}]}, "ValidationError"),
        ({"DurationSeconds": 3601}, "ValidationError"),
        ({"RoleSessionName": "a b"}, "ValidationError"),
        ({"Policy": "{}"}, "MalformedPolicyDocument"),
    ],
)
def test_what_a_chained_session_cannot_ask_for(parameters: dict[str, Any], code: str, people: People) -> None:
    session = people.enter()
    inner = people.role("Inner", {"Effect": "Allow", "Principal": {"AWS": people.door}, "Action": "sts:*"}, MaxSessionDuration=43200)
    assert refusal(people.chain, session, inner, **parameters)[0] == code
    people.chain(session, inner, Tags=[TAG])


def test_a_role_that_is_missing_or_trusts_others_is_denied(people: People) -> None:
    session = people.enter()
    stranger = people.role("Stranger", {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "sts:*"})
    for role in (stranger, stranger.replace("Stranger", "Missing")):
        assert refusal(people.chain, session, role)[0] == "AccessDenied"


def test_a_session_policy_without_chaining_holds(people: People) -> None:
    inner = people.inner()
    lease = people.enter(Policy=document(allow("*"), deny("sts:AssumeRole")))
    code, message = refusal(people.chain, lease, inner)
    assert (code, "explicit deny" in message) == ("AccessDenied", True)
    assert works(people, lease)
    narrow = people.chain(people.enter(), inner, Policy=document(allow("sts:GetCallerIdentity")))["Credentials"]
    assert refusal(people.client("s3", credentials=narrow).list_buckets)[0] == "AccessDenied"


def test_a_revocation_by_a_managed_policy_reaches_chained_sessions_at_once(people: People) -> None:
    """One policy on both roles, switched by versions: the way to end the sessions of one person, and of nobody else."""
    iam, inner = people.iam, people.inner()
    nobody = document(deny("*", StringEquals={"aws:SourceIdentity": "nobody"}))
    policy = iam.create_policy(PolicyName="Revocations", PolicyDocument=nobody)["Policy"]["Arn"]
    for name in ("Door", "Inner"):
        iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    alice, bob = people.enter("alice"), people.enter("bob")
    sessions = {"alice": alice, "alice chained": people.chain(alice, inner)["Credentials"], "bob": bob}
    assert all(works(people, one) for one in sessions.values())

    moment = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    revoked = document(deny("*", StringEquals={"aws:SourceIdentity": ["alice", "carol"]}, DateLessThan={"aws:TokenIssueTime": moment}))
    version = iam.create_policy_version(PolicyArn=policy, PolicyDocument=revoked, SetAsDefault=True)["PolicyVersion"]["VersionId"]
    assert {name: works(people, one) for name, one in sessions.items()} == {"alice": False, "alice chained": False, "bob": True}
    assert refusal(people.chain, alice, inner)[0] == "AccessDenied"
    people.client("sts", credentials=alice).get_caller_identity()

    past = revoked.replace(moment, "2020-01-01T00:00:00Z")
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=past, SetAsDefault=True)
    assert works(people, alice), "a moment before the session began concerns earlier sessions only"
    iam.set_default_policy_version(PolicyArn=policy, VersionId=version)
    assert not works(people, sessions["alice chained"])


def test_versions_of_a_managed_policy_are_five(people: People) -> None:
    iam = people.iam
    policy = iam.create_policy(PolicyName="P", PolicyDocument=document(allow("ec2:*")))["Policy"]["Arn"]
    for number in range(4):
        iam.create_policy_version(PolicyArn=policy, PolicyDocument=document(allow(f"ec2:{number}*")), SetAsDefault=number == 2)
    wanted = {"PolicyArn": policy, "PolicyDocument": document(allow("ec2:x"))}
    assert refusal(iam.create_policy_version, **wanted)[0] == "LimitExceeded"
    versions = iam.list_policy_versions(PolicyArn=policy)["Versions"]
    assert [row["VersionId"] for row in versions if row["IsDefaultVersion"]] == ["v4"]
    assert {row["VersionId"] for row in versions} == {"v1", "v2", "v3", "v4", "v5"}
    assert refusal(iam.delete_policy_version, PolicyArn=policy, VersionId="v4")[0] == "DeleteConflict"
    iam.delete_policy_version(PolicyArn=policy, VersionId="v1")
    assert iam.create_policy_version(**wanted)["PolicyVersion"]["VersionId"] == "v6"
    assert refusal(iam.delete_policy_version, PolicyArn=policy, VersionId="v1")[0] == "NoSuchEntity"


def test_the_probe_needs_permission_unlike_caller_identity(people: People) -> None:
    session = people.enter(Policy=document(allow("ec2:*")))
    sts = people.client("sts", credentials=session)
    assert refusal(sts.get_access_key_info, AccessKeyId=session["AccessKeyId"])[0] == "AccessDenied"
    assert sts.get_caller_identity()["Account"] == people.account
    able = people.enter(Policy=document(allow("sts:GetAccessKeyInfo")))
    assert people.client("sts", credentials=able).get_access_key_info(AccessKeyId=able["AccessKeyId"])["Account"] == people.account
