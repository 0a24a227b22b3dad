"""What onboarding does in an account, through the lab alone: document by stack, least-privilege role, profile, command."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.waiting import STACK, until

pytestmark = pytest.mark.e2e

NAME = "Isthmus-Onboarding-00000000"


def content(line: str) -> dict[str, Any]:
    step = {"action": "aws:runShellScript", "name": "run", "inputs": {"runCommand": ["#!/bin/bash", line]}}
    return {"schemaVersion": "2.2", "description": "test", "parameters": {}, "mainSteps": [step]}


def template(line: str) -> str:
    properties = {"Name": NAME, "DocumentType": "Command", "UpdateMethod": "NewVersion", "Content": content(line)}
    return json.dumps({"Resources": {"Document": {"Type": "AWS::SSM::Document", "Properties": properties}}})


def wait(cloudformation: Any, kind: str) -> None:
    cloudformation.get_waiter(kind).wait(StackName="isthmus", WaiterConfig=STACK)


def test_document_of_a_stack_is_created_updated_and_deleted(client: Callable[..., Any]) -> None:
    cloudformation, ssm = client("cloudformation"), client("ssm")
    cloudformation.create_stack(StackName="isthmus", TemplateBody=template("echo one"))
    wait(cloudformation, "stack_create_complete")
    first = ssm.describe_document(Name=NAME)["Document"]
    assert (first["DocumentVersion"], first["Status"]) == ("1", "Active")
    cloudformation.update_stack(StackName="isthmus", TemplateBody=template("echo two"))
    wait(cloudformation, "stack_update_complete")
    second = ssm.describe_document(Name=NAME)["Document"]
    assert second["LatestVersion"] == "2"
    assert second["Hash"] != first["Hash"]
    cloudformation.delete_stack(StackName="isthmus")
    wait(cloudformation, "stack_delete_complete")
    with pytest.raises(ClientError, match="InvalidDocument"):
        ssm.describe_document(Name=NAME)


def session_of(client: Callable[..., Any], account: str) -> dict[str, Any]:
    """A role that may run one document on any instance, as our template grants."""
    iam = client("iam")
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="onboarding", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [root]}))
    statements = [
        {
            "Effect": "Allow",
            "Action": "ssm:SendCommand",
            "Resource": [f"arn:aws:ssm:*:{account}:document/{NAME}", f"arn:aws:ec2:*:{account}:instance/*"],
        },
        {"Effect": "Allow", "Action": ["ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation"], "Resource": "*"},
    ]
    iam.put_role_policy(
        RoleName="onboarding", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements})
    )
    iam.create_user(UserName="caller")
    allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    iam.put_user_policy(UserName="caller", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    key = {**iam.create_access_key(UserName="caller")["AccessKey"], "SessionToken": None}
    role = f"arn:aws:iam::{account}:role/onboarding"
    credentials: dict[str, Any] = client("sts", credentials=key).assume_role(RoleArn=role, RoleSessionName="lab")["Credentials"]
    return credentials


def test_command_runs_on_a_machine_with_least_privilege(client: Callable[..., Any], account: str) -> None:
    ec2, ssm, iam = client("ec2"), client("ssm"), client("iam")
    ssm.create_document(Name=NAME, DocumentType="Command", Content=json.dumps(content("echo hello from $AWS_SSM_INSTANCE_ID")))
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="machine", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    iam.attach_role_policy(RoleName="machine", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
    iam.create_instance_profile(InstanceProfileName="machine")
    iam.add_role_to_instance_profile(InstanceProfileName="machine", RoleName="machine")
    one = ec2.run_instances(ImageId="ami-0c2023a1b2c3d4e5f", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    session = session_of(client, account)
    onboarding = client("ssm", credentials=session)
    assert onboarding.describe_instance_information()["InstanceInformationList"] == []
    ec2.associate_iam_instance_profile(InstanceId=one, IamInstanceProfile={"Name": "machine"})
    until(lambda: onboarding.describe_instance_information()["InstanceInformationList"], 20)
    command = onboarding.send_command(DocumentName=NAME, InstanceIds=[one])["Command"]["CommandId"]
    found = until(lambda: invocation(onboarding, command, one), 20)
    assert found is not None
    assert found["Status"] == "Success"
    assert found["StandardOutputContent"].strip() == f"hello from {one}"
    with pytest.raises(ClientError, match="AccessDenied"):
        onboarding.send_command(DocumentName="AWS-RunShellScript", InstanceIds=[one], Parameters={"commands": ["id"]})
    with pytest.raises(ClientError, match="AccessDenied"):
        onboarding.create_document(Name="mine", DocumentType="Command", Content=json.dumps(content("id")))


def invocation(ssm: Any, command: str, instance: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = ssm.get_command_invocation(CommandId=command, InstanceId=instance)
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvocationDoesNotExist":
            raise
        return None
    return None if found["Status"] in ("Pending", "InProgress", "Delayed") else found
