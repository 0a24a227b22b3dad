"""Shells of people on machines: Session Manager and EC2 Instance Connect under real policies, in the trail and in a machine's record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from isthmus_lab.pack.pushed_keys import PushedKeys
from isthmus_lab.process import LabProcess
from tests.lab.issuer import FakeIssuer
from tests.lab.people import People, allow, document
from tests.support.waiting import until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def issuer(lab: LabProcess) -> Iterator[FakeIssuer]:
    with FakeIssuer("shells.isthmus.test") as fake:
        lab.admin("POST", "/_lab/issuers", fake.told)
        yield fake


@pytest.fixture
def people(client: Callable[..., Any], account: str, issuer: FakeIssuer) -> People:
    return People(client, account, issuer)


@pytest.fixture
def machine(people: People, lab: LabProcess) -> str:
    """A machine that SSM reaches."""
    people.role("Machine", {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
    people.iam.create_instance_profile(InstanceProfileName="P")
    people.iam.add_role_to_instance_profile(InstanceProfileName="P", RoleName="Machine")
    ec2 = people.client("ec2")
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "red"}]}]
    made = ec2.run_instances(
        ImageId="ami-0c2023a1b2c3d4e5f", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "P"}, TagSpecifications=tags
    )
    identity = str(made["Instances"][0]["InstanceId"])
    ssm = people.client("ssm")
    until(lambda: ssm.get_connection_status(Target=identity)["Status"] == "connected", 20, what="somebody else boots the machine")
    return identity


def record(lab: LabProcess, machine: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.admin("GET", f"/_lab/machines/{machine}")
    return found


def code(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_a_shell_of_a_person_is_found_by_owner_and_ended_by_somebody_else(people: People, machine: str, lab: LabProcess) -> None:
    session = people.enter("alice")
    made = people.client("ssm", credentials=session).start_session(Target=machine, Reason="G-42")
    assert made["SessionId"].startswith("session-alice-0")
    owner = f"arn:aws:sts::{people.account}:assumed-role/Door/session-alice"
    ssm = people.client("ssm")
    [row] = ssm.describe_sessions(State="Active", Filters=[{"key": "Owner", "value": owner}])["Sessions"]
    assert (row["SessionId"], row["Reason"], row["Status"]) == (made["SessionId"], "G-42", "Connected")
    assert record(lab, machine)["sessions"] == [made["SessionId"]]
    ssm.terminate_session(SessionId=made["SessionId"])
    assert ssm.describe_sessions(State="Active")["Sessions"] == []
    assert record(lab, machine)["sessions"] == []
    attribute = {"AttributeKey": "AccessKeyId", "AttributeValue": session["AccessKeyId"]}
    [event] = people.client("cloudtrail").lookup_events(LookupAttributes=[attribute])["Events"]
    told = json.loads(event["CloudTrailEvent"])
    assert (told["eventName"], told["requestParameters"]) == ("StartSession", {"target": machine, "reason": "G-42"})


def test_policies_hold_for_shells(people: People, machine: str) -> None:
    tagged = {"StringEquals": {"ssm:resourceTag/team": "red"}}
    for condition, may in ((tagged, True), ({"StringEquals": {"ssm:resourceTag/team": "blue"}}, False)):
        session = people.enter(Policy=document(allow("ssm:StartSession", Condition=condition)))
        ssm = people.client("ssm", credentials=session)
        if may:
            made = ssm.start_session(Target=machine)
            assert code(ssm.terminate_session, SessionId=made["SessionId"]) == "AccessDeniedException"
        else:
            assert code(ssm.start_session, Target=machine) == "AccessDeniedException"
    own = f"arn:aws:ssm:*:{people.account}:session/session-alice-*"
    ending = {"Effect": "Allow", "Action": "ssm:TerminateSession", "Resource": own}
    people.client("ssm", credentials=people.enter(Policy=document(ending))).terminate_session(SessionId=made["SessionId"])


def public_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def test_an_ssh_key_lives_for_a_minute(people: People, machine: str, lab: LabProcess) -> None:
    key = public_key()
    connect = people.client("ec2-instance-connect", credentials=people.enter("alice"))
    assert connect.send_ssh_public_key(InstanceId=machine, InstanceOSUser="alice", SSHPublicKey=key)["Success"] is True
    [shown] = record(lab, machine)["sshKeys"]
    assert (shown["user"], shown["key"]) == ("alice", key)
    assert 50 < shown["until"] - time.time() <= 60


def test_an_ssh_key_is_gone_after_a_minute() -> None:
    now = [1000.0]
    keys = PushedKeys(lambda: now[0])
    keys.push("i-1", "alice", "k1")
    now[0] += 30
    keys.push("i-1", "bob", "k2")
    assert [one["user"] for one in keys.facts("i-1")["sshKeys"]] == ["alice", "bob"]
    now[0] += 30
    assert keys.facts("i-1") == {"sshKeys": [{"user": "bob", "key": "k2", "until": 1090.0}]}
    assert keys.facts("i-2") == {"sshKeys": []}


def test_policies_hold_for_ssh_keys(people: People, machine: str, lab: LabProcess) -> None:
    only = allow(
        "ec2-instance-connect:SendSSHPublicKey", Condition={"StringEquals": {"ec2:osuser": "alice", "aws:ResourceTag/team": "red"}}
    )
    connect = people.client("ec2-instance-connect", credentials=people.enter(Policy=document(only)))
    push = connect.send_ssh_public_key
    push(InstanceId=machine, InstanceOSUser="alice", SSHPublicKey=public_key())
    assert code(push, InstanceId=machine, InstanceOSUser="root", SSHPublicKey=public_key()) == "AccessDeniedException"
    assert [one["user"] for one in record(lab, machine)["sshKeys"]] == ["alice"]


def test_ssh_keys_that_are_refused(people: People, machine: str) -> None:
    push = people.client("ec2-instance-connect").send_ssh_public_key
    good = {"InstanceId": machine, "InstanceOSUser": "alice", "SSHPublicKey": public_key()}
    assert code(push, **{**good, "SSHPublicKey": "x" * 100}) == "InvalidArgsException"
    assert code(push, **{**good, "InstanceOSUser": "al ice"}) == "InvalidArgsException"
    assert code(push, **{**good, "InstanceId": "i-0123456789abcdef0"}) == "EC2InstanceNotFoundException"
    people.client("ec2").stop_instances(InstanceIds=[machine])
    assert code(push, **good) == "EC2InstanceStateInvalidException"
