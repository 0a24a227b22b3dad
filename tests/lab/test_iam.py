"""IAM as AWS answers it: pages, virtual MFA devices, policy sizes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.e2e

TRUST = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)


def test_roles_come_in_pages(client: Callable[..., Any]) -> None:
    iam = client("iam")
    names = {iam.create_role(RoleName=f"r{number:03}", AssumeRolePolicyDocument=TRUST)["Role"]["RoleName"] for number in range(104)}
    first = iam.list_roles()
    assert (len(first["Roles"]), first["IsTruncated"]) == (100, True)
    pages = [page["Roles"] for page in iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 40})]
    assert names <= {row["RoleName"] for page in pages for row in page}
    assert len({row["RoleName"] for page in pages for row in page}) == sum(len(page) for page in pages)
    with pytest.raises(ClientError, match="ValidationError"):
        iam.list_roles(Marker="garbage")
    sweep = iam.get_paginator("get_account_authorization_details").paginate(Filter=["Role", "User"], PaginationConfig={"PageSize": 30})
    assert names <= {row["RoleName"] for page in sweep for row in page["RoleDetailList"]}
    everything = [row["PolicyName"] for page in iam.get_paginator("list_policies").paginate(Scope="AWS") for row in page["Policies"]]
    assert "ReadOnlyAccess" in everything


def test_new_virtual_mfa_device_is_listed(client: Callable[..., Any]) -> None:
    iam = client("iam")
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="phone")["VirtualMFADevice"]["SerialNumber"]
    assert [row["SerialNumber"] for row in iam.list_virtual_mfa_devices()["VirtualMFADevices"]] == [serial]
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"] == []


def test_inline_policies_of_a_role_are_limited(client: Callable[..., Any]) -> None:
    iam = client("iam")
    iam.create_role(RoleName="big", AssumeRolePolicyDocument=TRUST)
    actions = [f"ec2:Describe{number:05}" for number in range(300)]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]})
    iam.put_role_policy(RoleName="big", PolicyName="a", PolicyDocument=policy)
    with pytest.raises(ClientError, match="LimitExceeded"):
        iam.put_role_policy(RoleName="big", PolicyName="b", PolicyDocument=policy)


def test_managed_policies_are_limited(client: Callable[..., Any]) -> None:
    iam = client("iam")

    def policy(size: int) -> str:
        bare = {"Version": "2012-10-17", "Statement": [{"Sid": "", "Effect": "Deny", "Action": "ec2:*", "Resource": "*"}]}
        bare["Statement"][0]["Sid"] = "x" * (size - len(json.dumps(bare, separators=(",", ":"))))  # type: ignore[index]
        return json.dumps(bare, indent=2)

    arn = iam.create_policy(PolicyName="full", PolicyDocument=policy(6144))["Policy"]["Arn"]
    with pytest.raises(ClientError, match="LimitExceeded"):
        iam.create_policy(PolicyName="over", PolicyDocument=policy(6145))
    with pytest.raises(ClientError, match="LimitExceeded"):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(6145))
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")


def test_a_simulation_is_about_the_region_that_it_names(client: Callable[..., Any], account: str) -> None:
    iam = client("iam")
    iam.create_role(RoleName="west", AssumeRolePolicyDocument=TRUST)
    condition = {"StringEquals": {"aws:RequestedRegion": ["eu-west-1"]}}
    statement = {"Effect": "Allow", "Action": "ssm:SendCommand", "Resource": "*", "Condition": condition}
    iam.put_role_policy(RoleName="west", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    def decision(region: str) -> str:
        entry = {"ContextKeyName": "aws:RequestedRegion", "ContextKeyType": "string", "ContextKeyValues": [region]}
        answer = iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{account}:role/west", ActionNames=["ssm:SendCommand"], ContextEntries=[entry]
        )
        return str(answer["EvaluationResults"][0]["EvalDecision"])

    assert (decision("eu-west-1"), decision("us-east-1")) == ("allowed", "implicitDeny")


def test_assume_role_keeps_to_names_and_durations(client: Callable[..., Any], account: str) -> None:
    iam = client("iam")
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [root]})
    for name, most in (("short", 3600), ("long", 43200)):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, MaxSessionDuration=most)
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.create_user(UserName="caller")
    iam.attach_user_policy(UserName="caller", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = {**iam.create_access_key(UserName="caller")["AccessKey"], "SessionToken": None}
    sts = client("sts", credentials=key)
    arn = f"arn:aws:iam::{account}:role/"
    for parameters in (
        {"RoleArn": arn + "short", "RoleSessionName": "x y"},
        {"RoleArn": arn + "short", "RoleSessionName": "name", "DurationSeconds": 3601},
    ):
        with pytest.raises(ClientError, match="ValidationError"):
            sts.assume_role(**parameters)
    session = sts.assume_role(RoleArn=arn + "long", RoleSessionName="name", DurationSeconds=43200)["Credentials"]
    chained = client("sts", credentials=session)
    with pytest.raises(ClientError, match="ValidationError"):
        chained.assume_role(RoleArn=arn + "long", RoleSessionName="again", DurationSeconds=3601)
    chained.assume_role(RoleArn=arn + "long", RoleSessionName="again", DurationSeconds=3600)
