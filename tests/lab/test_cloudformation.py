"""Stacks: the resource types that the pack adds, names that are taken, and a Lambda-backed custom resource with the role's rights."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.support.waiting import STACK

pytestmark = pytest.mark.e2e

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}

CODE = """
import json, urllib.request, boto3
def handler(event, context):
    rows = boto3.client("ec2").describe_vpcs()["Vpcs"] if event["RequestType"] != "Delete" else []
    body = {"Status": "SUCCESS", "PhysicalResourceId": "census", "StackId": event["StackId"], "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"], "Data": {"Vpcs": str(len(rows))}}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), method="PUT", headers={"content-type": ""})
    urllib.request.urlopen(request)
"""


def provider(url: str = "https://issuer.isthmus.test/") -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::OIDCProvider",
        "Properties": {"Url": url, "ClientIdList": ["isthmus:aws:1"], "Tags": [{"Key": "a", "Value": "b"}]},
    }


def template() -> dict[str, Any]:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Federated": {"Ref": "Provider"}}, "Action": "sts:AssumeRoleWithWebIdentity"}],
    }
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}]}
    policies = [{"PolicyName": "look", "PolicyDocument": allow}]
    function = {"Code": {"ZipFile": CODE}, "Handler": "index.handler", "Runtime": "python3.12", "Role": {"Fn::GetAtt": ["Worker", "Arn"]}}
    return {
        "Resources": {
            "Provider": provider(),
            "Reader": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "Reader", "AssumeRolePolicyDocument": trust}},
            "Worker": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST, "Policies": policies}},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Census": {"Type": "Custom::Census", "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}}},
        },
        "Outputs": {
            "Provider": {"Value": {"Fn::GetAtt": ["Provider", "Arn"]}},
            "Reader": {"Value": {"Fn::GetAtt": ["Reader", "Arn"]}},
            "Vpcs": {"Value": {"Fn::GetAtt": ["Census", "Vpcs"]}},
        },
    }


def create(cloudformation: Any, name: str, body: dict[str, Any]) -> dict[str, Any]:
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(body), Capabilities=["CAPABILITY_NAMED_IAM"])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=STACK)
    stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return {row["OutputKey"]: row["OutputValue"] for row in stack.get("Outputs", [])}


def failure(cloudformation: Any, name: str, body: dict[str, Any]) -> str:
    with pytest.raises(WaiterError):
        create(cloudformation, name, body)
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return " ".join(event.get("ResourceStatusReason", "") for event in events if event["ResourceStatus"] == "CREATE_FAILED")


def test_stack_with_provider_role_and_custom_resource(client: Callable[..., Any], account: str) -> None:
    cloudformation, iam = client("cloudformation"), client("iam")
    outputs = create(cloudformation, "isthmus", template())
    arn = f"arn:aws:iam::{account}:oidc-provider/issuer.isthmus.test/"
    assert outputs == {"Provider": arn, "Reader": f"arn:aws:iam::{account}:role/Reader", "Vpcs": "1"}
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (found["ClientIDList"], found["Tags"]) == (["isthmus:aws:1"], [{"Key": "a", "Value": "b"}])
    trust = iam.get_role(RoleName="Reader")["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Principal"] == {"Federated": arn}

    changed = template()
    changed["Resources"]["Provider"]["Properties"]["ClientIdList"] = ["isthmus:aws:2"]
    cloudformation.update_stack(StackName="isthmus", TemplateBody=json.dumps(changed), Capabilities=["CAPABILITY_NAMED_IAM"])
    cloudformation.get_waiter("stack_update_complete").wait(StackName="isthmus", WaiterConfig=STACK)
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] == ["isthmus:aws:2"]

    cloudformation.delete_stack(StackName="isthmus")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="isthmus", WaiterConfig=STACK)
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    assert "Reader" not in [role["RoleName"] for role in iam.list_roles()["Roles"]]


def test_role_name_that_is_taken_fails_the_stack_and_keeps_the_role(client: Callable[..., Any]) -> None:
    iam = client("iam")
    old = iam.create_role(RoleName="Taken", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["RoleId"]
    body = {"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "Taken", "AssumeRolePolicyDocument": TRUST}}}}
    assert "Role with name Taken already exists" in failure(client("cloudformation"), "collides", body)
    assert iam.get_role(RoleName="Taken")["Role"]["RoleId"] == old


def test_provider_url_that_is_taken_fails_the_stack(client: Callable[..., Any]) -> None:
    client("iam").create_open_id_connect_provider(Url="https://issuer.isthmus.test/", ClientIDList=["x"])
    assert "already exists" in failure(client("cloudformation"), "second", {"Resources": {"P": provider()}})
    assert len(client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]) == 1


@pytest.mark.parametrize(
    "url", ["http://issuer.test", "https://issuer.test:8443", "https://issuer.test/?a=b", "https://issuer.test/" + "x" * 250, "issuer.test"]
)
def test_provider_url_by_the_rules(client: Callable[..., Any], url: str) -> None:
    with pytest.raises(ClientError, match="InvalidInput"):
        client("iam").create_open_id_connect_provider(Url=url)


def test_provider_limits(client: Callable[..., Any]) -> None:
    iam = client("iam")
    arn = iam.create_open_id_connect_provider(Url="https://issuer.test", ClientIDList=["a"])["OpenIDConnectProviderArn"]
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] == ["a", "b"]
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        iam.create_open_id_connect_provider(Url="https://issuer.test")
    with pytest.raises(ClientError, match="InvalidInput"):
        iam.create_open_id_connect_provider(Url="https://two.test", ThumbprintList=["a" * 40] * 6)
    with pytest.raises(ClientError, match="LimitExceeded"):
        iam.create_open_id_connect_provider(Url="https://two.test", ClientIDList=[str(n) for n in range(101)])
