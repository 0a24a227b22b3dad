"""CloudTrail of the lab: who is named, what is shown of a call, how events are looked up."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from isthmus_lab.process import LabProcess
from tests.lab.issuer import FakeIssuer
from tests.lab.people import AUDIENCE, PERSON, People, allow, document

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def issuer(lab: LabProcess) -> Iterator[FakeIssuer]:
    with FakeIssuer("trailed.isthmus.test") as fake:
        lab.admin("POST", "/_lab/issuers", fake.told)
        yield fake


@pytest.fixture
def people(client: Callable[..., Any], account: str, issuer: FakeIssuer) -> People:
    return People(client, account, issuer)


def events(client: Callable[..., Any], key: str = "", value: str = "", **more: Any) -> list[dict[str, Any]]:
    """Whole events, newest first."""
    wanted = {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]} if key else {}
    pages = client("cloudtrail").get_paginator("lookup_events").paginate(**wanted, **more)
    return [json.loads(row["CloudTrailEvent"]) for page in pages for row in page["Events"]]


def test_a_person_s_sign_in_and_every_call_after_it_join(people: People, client: Callable[..., Any]) -> None:
    session = people.enter("alice", DurationSeconds=1800)
    people.client("ec2", credentials=session).describe_vpcs()
    key = session["AccessKeyId"]
    [came] = events(client, "ResourceName", key)
    assert came["eventName"] == "AssumeRoleWithWebIdentity"
    assert came["userIdentity"] == {
        "type": "WebIdentityUser",
        "principalId": f"{people.provider}:{AUDIENCE}:{PERSON}",
        "userName": PERSON,
        "identityProvider": people.provider,
    }
    assert came["requestParameters"] == {
        "roleArn": people.door,
        "roleSessionName": "session-alice",
        "sourceIdentity": "alice",
        "principalTags": {"grant": "G-1", "team": "red"},
        "transitiveTagKeys": ["grant"],
        "durationSeconds": 1800,
    }
    answer = came["responseElements"]
    assert set(answer["credentials"]) == {"accessKeyId", "expiration"}
    assert (answer["credentials"]["accessKeyId"], answer["sourceIdentity"], answer["provider"]) == (key, "alice", people.provider)
    assert answer["subjectFromWebIdentityToken"] == PERSON
    assert came["additionalEventData"]["RoleAuthorizedByIdp"] is False
    [used] = events(client, "AccessKeyId", key)
    who = used["userIdentity"]
    assert (used["eventName"], used["eventSource"], used["readOnly"]) == ("DescribeVpcs", "ec2.amazonaws.com", True)
    assert (who["type"], who["accessKeyId"], who["accountId"]) == ("AssumedRole", key, people.account)
    context = who["sessionContext"]
    role = people.iam.get_role(RoleName="Door")["Role"]
    assert context["sessionIssuer"] == {
        "type": "Role",
        "principalId": role["RoleId"],
        "arn": role["Arn"],
        "accountId": people.account,
        "userName": "Door",
    }
    assert context["sourceIdentity"] == "alice"
    assert context["webIdFederationData"] == {"federatedProvider": people.provider, "attributes": {}}
    made = datetime.datetime.fromisoformat(context["attributes"]["creationDate"]).timestamp()
    assert abs(made - time.time()) < 60
    assert who["principalId"] == f"{role['RoleId']}:session-alice"
    assert session["SecretAccessKey"] not in json.dumps(came)
    assert session["SessionToken"] not in json.dumps(came)


def test_the_roles_claim_shows_as_authorised_by_the_identity_provider(people: People, client: Callable[..., Any]) -> None:
    session = people.enter(claims={"https://aws.amazon.com/roles": [people.door]})
    [came] = events(client, "ResourceName", session["AccessKeyId"])
    assert came["additionalEventData"]["RoleAuthorizedByIdp"] is True
    assert "principalTags" not in came["requestParameters"]


def test_a_chained_session_is_traced_to_the_person(people: People, client: Callable[..., Any]) -> None:
    session, inner = people.enter("alice"), people.inner()
    chained = people.chain(session, inner, Tags=[{"Key": "team", "Value": "blue"}])["Credentials"]
    people.client("s3", credentials=chained).list_buckets()
    [chain] = events(client, "ResourceName", chained["AccessKeyId"])
    assert (chain["eventName"], chain["readOnly"], chain["userIdentity"]["accessKeyId"]) == ("AssumeRole", True, session["AccessKeyId"])
    assert chain["requestParameters"]["tags"] == [{"key": "team", "value": "blue"}]
    assert chain["responseElements"]["sourceIdentity"] == "alice"
    [used] = events(client, "AccessKeyId", chained["AccessKeyId"])
    assert (used["eventName"], used["eventSource"]) == ("ListBuckets", "s3.amazonaws.com")
    context = used["userIdentity"]["sessionContext"]
    assert (context["sourceIdentity"], context["webIdFederationData"]) == ("alice", {})


def test_a_call_into_another_account_is_recorded_in_both(people: People, client: Callable[..., Any], lab: LabProcess) -> None:
    session = people.enter("alice")
    other = "999000111222"

    def theirs(service: str) -> Any:
        return boto3.client(service, **lab.client_arguments(other, "us-east-1"))

    trust = {"Effect": "Allow", "Principal": {"AWS": people.door}, "Action": "sts:*"}
    role = theirs("iam").create_role(RoleName="Foreign", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    made = people.chain(session, role)["Credentials"]["AccessKeyId"]
    [ours] = events(client, "ResourceName", made)
    [foreign_event] = events(theirs, "ResourceName", made)
    assert ours["userIdentity"]["type"] == "AssumedRole"
    assert (ours["recipientAccountId"], foreign_event["recipientAccountId"]) == (people.account, other)
    assert foreign_event["userIdentity"] == {
        "type": "AWSAccount",
        "principalId": ours["userIdentity"]["principalId"],
        "accountId": people.account,
    }
    assert ours["sharedEventID"] == foreign_event["sharedEventID"]
    assert ours["eventID"] != foreign_event["eventID"]
    with pytest.raises(ClientError, match="AccessDenied"):
        people.chain(people.enter("alice"), role, SourceIdentity="bob")
    assert len(events(theirs, "EventName", "AssumeRole")) == 1
    assert len(events(client, "EventName", "AssumeRole")) == 2


def test_denials_are_recorded_in_every_protocol(people: People, client: Callable[..., Any]) -> None:
    session = people.enter(Policy=document(allow("sts:GetCallerIdentity")))
    for service, operation in (("ec2", "describe_vpcs"), ("iam", "list_roles"), ("dynamodb", "list_tables"), ("s3", "list_buckets")):
        with pytest.raises(ClientError):
            getattr(people.client(service, credentials=session), operation)()
    found = {one["eventName"]: (one["errorCode"], one["errorMessage"]) for one in events(client, "AccessKeyId", session["AccessKeyId"])}
    codes = {name: code for name, (code, _) in found.items()}
    assert codes == {
        "DescribeVpcs": "Client.UnauthorizedOperation",
        "ListRoles": "AccessDenied",
        "ListTables": "AccessDeniedException",
        "ListBuckets": "AccessDenied",
    }
    assert "session-alice is not authorized to perform: iam:ListRoles" in found["ListRoles"][1]


def test_a_refused_sign_in_names_who_tried(people: People, client: Callable[..., Any]) -> None:
    closed = people.role("Closed", {"Effect": "Deny", "Principal": {"Federated": people.provider}, "Action": "sts:*"})
    with pytest.raises(ClientError, match="AccessDenied"):
        people.enter("alice", role=closed)
    [refused] = [one for one in events(client, "EventName", "AssumeRoleWithWebIdentity") if one["requestParameters"]["roleArn"] == closed]
    assert (refused["errorCode"], refused["userIdentity"]["userName"]) == ("AccessDenied", PERSON)
    assert refused["responseElements"] is None
    assert [one["eventID"] for one in events(client, "ResourceName", "nothing")] == []


def test_users_and_root_are_told_apart(people: People, client: Callable[..., Any], account: str) -> None:
    people.iam.create_user(UserName="carol")
    people.iam.put_user_policy(UserName="carol", PolicyName="all", PolicyDocument=document(allow("*")))
    key = people.iam.create_access_key(UserName="carol")["AccessKey"]
    client("ec2", credentials={**key, "SessionToken": None}).create_key_pair(KeyName="k")
    [made] = events(client, "AccessKeyId", key["AccessKeyId"])
    assert (made["userIdentity"]["type"], made["userIdentity"]["userName"]) == ("IAMUser", "carol")
    assert (made["readOnly"], made["requestParameters"]["keyName"]) == (False, "k")
    created = events(client, "EventName", "CreateUser")[0]
    assert created["userIdentity"] == {
        "type": "Root",
        "principalId": account,
        "arn": f"arn:aws:iam::{account}:root",
        "accountId": account,
        "accessKeyId": account,
    }
    assert created["requestParameters"] == {"userName": "carol"}
    assert [one["userIdentity"]["userName"] for one in events(client, "Username", "carol")] == ["carol"]


def test_secrets_of_requests_are_hidden(client: Callable[..., Any]) -> None:
    client("secretsmanager").create_secret(Name="s", SecretString="hush-hush")
    client("ssm").put_parameter(Name="p", Value="hush-hush", Type="SecureString")
    found = events(client)
    assert {"CreateSecret", "PutParameter"} <= {one["eventName"] for one in found}
    assert "hush-hush" not in json.dumps(found)


def test_what_is_not_recorded(people: People, client: Callable[..., Any], issuer: FakeIssuer) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket=f"b-{people.account}")
    s3.put_object(Bucket=f"b-{people.account}", Key="k", Body=b"x")
    s3.get_object(Bucket=f"b-{people.account}", Key="k")
    with pytest.raises(ClientError):
        client("s3", credentials={"AccessKeyId": "AKIANOBODYNOBODY0000", "SecretAccessKey": "x", "SessionToken": None}).list_buckets()
    with pytest.raises(ClientError):
        client("s3", credentials={**people.enter(), "SecretAccessKey": "wrong"}).list_buckets()
    names = [one["eventName"] for one in events(client, "EventSource", "s3.amazonaws.com")]
    assert names == ["CreateBucket"]


def test_pages_go_from_the_newest_to_the_oldest(client: Callable[..., Any]) -> None:
    for number in range(5):
        client("ec2").create_key_pair(KeyName=f"k{number}")
    trail = client("cloudtrail")
    wanted = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateKeyPair"}], "MaxResults": 2}
    seen, token = [], {}
    while True:
        page = trail.lookup_events(**wanted, **token)
        seen.append([json.loads(row["CloudTrailEvent"])["requestParameters"]["keyName"] for row in page["Events"]])
        client("ec2").create_key_pair(KeyName=f"later{len(seen)}")
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert seen == [["k4", "k3"], ["k2", "k1"], ["k0"]]
    with pytest.raises(ClientError, match="InvalidNextToken"):
        trail.lookup_events(NextToken=token["NextToken"])
    [row] = trail.lookup_events(MaxResults=1)["Events"]
    assert trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventId", "AttributeValue": row["EventId"]}])["Events"] == [row]


def test_lookups_by_time_region_and_kind(client: Callable[..., Any]) -> None:
    client("ec2").create_key_pair(KeyName="here")
    client("ec2", "eu-west-1").create_key_pair(KeyName="there")
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    created = ("EventName", "CreateKeyPair")
    assert len(events(client, *created, StartTime=now - hour, EndTime=now + hour)) == 1
    assert events(client, *created, StartTime=now + hour) == []
    assert events(client, *created, EndTime=now - hour) == []
    assert [one["awsRegion"] for one in events(lambda name: client(name, "eu-west-1"), *created)] == ["eu-west-1"]
    client("iam", "eu-west-1").list_roles()
    assert [one["awsRegion"] for one in events(client, "EventName", "ListRoles")] == ["us-east-1"]
    assert {one["eventName"] for one in events(client, "ReadOnly", "false")} == {"CreateKeyPair"}


def test_lookups_by_resource(client: Callable[..., Any], account: str) -> None:
    iam, s3 = client("iam"), client("s3")
    policy = iam.create_policy(PolicyName="p", PolicyDocument=document(allow("ec2:*")))["Policy"]["Arn"]
    iam.get_policy(PolicyArn=policy)
    s3.create_bucket(Bucket=f"bucket-{account}")
    client("dynamodb").list_tables()
    assert [one["eventName"] for one in events(client, "ResourceName", policy)] == ["GetPolicy"]
    assert [one["eventName"] for one in events(client, "ResourceType", "AWS::IAM::Policy")] == ["GetPolicy"]
    assert [one["eventName"] for one in events(client, "ResourceName", f"bucket-{account}")] == ["CreateBucket"]
    assert [one["eventName"] for one in events(client, "ResourceType", "AWS::S3::Bucket")] == ["CreateBucket"]
    assert events(client, "ResourceName", policy[:-1]) == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"MaxResults": 51}, "InvalidMaxResultsException"),
        ({"NextToken": "garbage"}, "InvalidNextTokenException"),
        ({"LookupAttributes": [{"AttributeKey": "Colour", "AttributeValue": "red"}]}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "A"}] * 2}, "InvalidLookupAttributesException"),
        ({"StartTime": 2000, "EndTime": 1000}, "InvalidTimeRangeException"),
    ],
)
def test_lookups_that_break_a_rule(request_: dict[str, Any], code: str, client: Callable[..., Any]) -> None:
    with pytest.raises(ClientError) as caught:
        client("cloudtrail", parameter_validation=False).lookup_events(**request_)
    assert caught.value.response["Error"]["Code"] == code
