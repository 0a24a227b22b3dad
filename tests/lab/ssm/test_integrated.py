"""Systems Manager in the running lab, through boto3: permissions, fall-through, and the onboarding document on real machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from isthmus.clouds.aws.template.document import document_hash, document_text
from isthmus_lab.process import LabProcess
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

Client = Callable[..., Any]
IMAGE = "ami-0c2023a1b2c3d4e5f"
DHMC = "/ssm/managed-instance/default-ec2-instance-management-role"


def trust(service: str = "ec2.amazonaws.com", account: str = "") -> str:
    principal = {"AWS": f"arn:aws:iam::{account}:root"} if account else {"Service": service}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def profile(client: Client) -> str:
    iam = client("iam")
    iam.create_role(RoleName="Machine", AssumeRolePolicyDocument=trust())
    iam.attach_role_policy(RoleName="Machine", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
    iam.create_instance_profile(InstanceProfileName="Machine")
    iam.add_role_to_instance_profile(InstanceProfileName="Machine", RoleName="Machine")
    return "Machine"


def launch(client: Client, count: int, profile: str | None = None, **settings: Any) -> list[str]:
    if profile:
        settings["IamInstanceProfile"] = {"Name": profile}
    answer = client("ec2").run_instances(ImageId=IMAGE, MinCount=count, MaxCount=count, InstanceType="t3.micro", **settings)
    return [instance["InstanceId"] for instance in answer["Instances"]]


def nodes(client: Client) -> dict[str, str]:
    pages = client("ssm").get_paginator("describe_instance_information").paginate(MaxResults=50)
    return {row["InstanceId"]: row["PingStatus"] for page in pages for row in page["InstanceInformationList"]}


def run(ssm: Any, ids: list[str], seconds: float = 20, **request: Any) -> list[dict[str, Any]]:
    command_id = ssm.send_command(InstanceIds=ids, **request)["Command"]["CommandId"]
    until(lambda: ssm.list_commands(CommandId=command_id)["Commands"][0]["Status"] not in ("Pending", "InProgress"), seconds)
    rows: list[dict[str, Any]] = ssm.list_command_invocations(CommandId=command_id, Details=True)["CommandInvocations"]
    return rows


def test_the_onboarding_document_gets_keys_from_real_machines(client: Client, profile: str) -> None:
    ids = launch(client, 3, profile)
    until(lambda: set(nodes(client)) == set(ids))
    ssm = client("ssm")
    made = ssm.create_document(Name="Isthmus-Onboarding-0a1b2c3d", Content=document_text(), DocumentType="Command")
    assert made["DocumentDescription"]["Hash"] == document_hash()
    request: dict[str, Any] = {
        "DocumentName": "Isthmus-Onboarding-0a1b2c3d",
        "DocumentHash": document_hash(),
        "DocumentHashType": "Sha256",
        "Parameters": {"action": ["genkey"], "endpoint": ["https://localhost:8443"], "generation": ["1"]},
    }
    rows = run(ssm, ids, **request)
    outputs = [next(plugin["Output"] for plugin in row["CommandPlugins"] if plugin["Name"] == "linux") for row in rows]
    lines = [output.splitlines() for output in outputs]
    assert {row["Status"] for row in rows} == {"Success"}, outputs
    assert all(line[0] == "-----BEGIN ISTHMUS KEY-----" and line[2] == "-----END ISTHMUS KEY-----" for line in lines)
    assert len({line[1] for line in lines}) == 3
    request["Parameters"] = {"action": ["connect"], "endpoint": ["https://localhost:1"], "generation": ["1"]}
    (row,) = run(ssm, ids[:1], **request)
    assert row["CommandPlugins"][0]["ResponseCode"] == 203  # this instance is not among the machines of the command


def test_only_reachable_instances_are_nodes(client: Client, profile: str) -> None:
    (bare,), (managed,) = launch(client, 1), launch(client, 1, profile)
    until(lambda: set(nodes(client)) == {managed})
    ssm, ec2 = client("ssm"), client("ec2")
    assert ssm.get_service_setting(SettingId=DHMC)["ServiceSetting"]["SettingValue"] == "$None"  # ministack answers this one
    with pytest.raises(ClientError, match="not in a valid state for account"):
        ssm.send_command(InstanceIds=[bare], DocumentName="AWS-RunShellScript", Parameters={"commands": ["true"]})
    ssm.update_service_setting(SettingId=DHMC, SettingValue="Machine")
    until(lambda: set(nodes(client)) == {managed, bare})
    ec2.stop_instances(InstanceIds=[managed])
    until(lambda: set(nodes(client)) == {bare})
    ec2.terminate_instances(InstanceIds=[bare])
    until(lambda: nodes(client) == {})


def test_a_role_may_run_one_document_only(client: Client, profile: str, account: str) -> None:
    (instance,) = launch(client, 1, profile)
    until(lambda: set(nodes(client)) == {instance})
    client("ssm").create_document(Name="Own", Content=document_text(), DocumentType="Command")
    resources = [f"arn:aws:ssm:*:{account}:document/Own", f"arn:aws:ec2:*:{account}:instance/*"]
    statements = [
        {"Effect": "Allow", "Action": "ssm:SendCommand", "Resource": resources},
        {"Effect": "Allow", "Action": ["ssm:ListCommands", "ssm:ListCommandInvocations"], "Resource": "*"},
    ]
    iam = client("iam")
    iam.create_role(RoleName="Sender", AssumeRolePolicyDocument=trust(account=account))
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName="Sender", PolicyName="send", PolicyDocument=policy)
    session = client("sts").assume_role(RoleArn=f"arn:aws:iam::{account}:role/Sender", RoleSessionName="test")["Credentials"]
    ssm = client("ssm", credentials=session)
    parameters = {"action": ["genkey"], "endpoint": ["https://localhost:8443"], "generation": ["1"]}
    (row,) = run(ssm, [instance], DocumentName="Own", Parameters=parameters)
    assert row["Status"] == "Success"
    with pytest.raises(ClientError, match=r"AccessDenied.*is not authorized to perform: ssm:SendCommand on resource: .*AWS-RunShellScript"):
        ssm.send_command(InstanceIds=[instance], DocumentName="AWS-RunShellScript", Parameters={"commands": ["true"]})
    with pytest.raises(ClientError, match="AccessDenied"):
        ssm.describe_instance_information()
    with pytest.raises(ClientError, match="AccessDenied"):
        ssm.get_document(Name="Own")


def test_faults_over_the_admin_path(client: Client, profile: str, lab: LabProcess) -> None:
    (instance,) = launch(client, 1, profile)
    until(lambda: set(nodes(client)) == {instance})
    request: dict[str, Any] = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["azcmagent genkey"]}}
    assert run(client("ssm"), [instance], **request)[0]["CommandPlugins"][0]["Output"].startswith("MII")
    lab.admin("POST", f"/_lab/machines/{instance}/break-key-output", {})
    assert "MII" not in run(client("ssm"), [instance], **request)[0]["CommandPlugins"][0]["Output"]
    rows = lab.admin("GET", "/_lab/machines")["machines"]
    assert [row["mode"] for row in rows if row["instanceId"] == instance] == ["noisy"]
