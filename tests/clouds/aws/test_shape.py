"""Shapes: names as Azure spells them, enums wrapped, maps and documents left alone, secrets gone, digests stable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clouds.aws.catalog import TYPES
from isthmus.clouds.aws.shape import Projector, Verbatim, camel, decode, drop, flatten_tags
from isthmus.clouds.contract import Cell, Item


def item(arm: str, row: dict[str, Any], *, region: str = "eu-west-1", tags: dict[str, str] | None = None) -> Item:
    projector = Projector(TYPES[arm], "aws", "us-east-1")
    cell = Cell(account="1", region="" if TYPES[arm].is_global else region, type=arm)
    return projector.item(cell, projector.clean(row), tags or {})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("VpcId", "vpcId"),
        ("vpcId", "vpcId"),
        ("DBInstanceIdentifier", "dbInstanceIdentifier"),
        ("CACertificateIdentifier", "caCertificateIdentifier"),
        ("DbiResourceId", "dbiResourceId"),
        ("ARN", "arn"),
        ("OKActions", "okActions"),
        ("S3BucketName", "s3BucketName"),
        ("IPV6Enabled", "ipv6Enabled"),
        ("customIAMInstanceProfile", "customIAMInstanceProfile"),
    ],
)
def test_names_are_spelt_as_azure_publishes_them(name: str, expected: str) -> None:
    assert camel(name) == expected
    assert camel(camel(name)) == expected


def test_sdk_shape_wraps_every_enum_and_nothing_else() -> None:
    row = {
        "InstanceId": "i-1",
        "InstanceType": "t3.micro",
        "State": {"Code": 16, "Name": "running"},
        "Placement": {"AvailabilityZone": "eu-west-1a", "Tenancy": "default"},
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"Status": "attached", "VolumeId": "vol-1"}}],
        "Tags": [{"Key": "Name", "Value": "buoy"}, {"Key": "Team", "Value": "sea"}],
        "KeyName": None,
    }
    properties = item("ec2Instances", row, tags={"Name": "buoy"}).properties
    assert properties == {
        "instanceId": "i-1",
        "instanceType": {"value": "t3.micro"},
        "state": {"code": 16, "name": {"value": "running"}},
        "placement": {"availabilityZone": "eu-west-1a", "tenancy": {"value": "default"}},
        "blockDeviceMappings": [{"deviceName": "/dev/sda1", "ebs": {"status": {"value": "attached"}, "volumeId": "vol-1"}}],
        "tags": [{"key": "Name", "value": "buoy"}, {"key": "Team", "value": "sea"}],
    }


def test_cloudformation_shape_keeps_what_the_schema_knows() -> None:
    row = {
        "GroupId": "sg-1",
        "GroupName": "web",
        "Description": "d",
        "OwnerId": "9",
        "VpcId": "vpc-1",
        "IpPermissions": [
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}],
                "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
                "UserIdGroupPairs": [{"GroupId": "sg-2"}],
            }
        ],
    }
    found = item("ec2SecurityGroups", row)
    port = {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    assert found.arn == "arn:aws:ec2:eu-west-1:9:security-group/sg-1"
    assert found.properties == {
        "groupId": "sg-1",
        "groupName": "web",
        "vpcId": "vpc-1",
        "id": "sg-1",
        "groupDescription": "d",
        "securityGroupIngress": [
            port | {"cidrIp": "10.0.0.0/8", "description": "inside"},
            port | {"cidrIpv6": "::/0"},
            port | {"sourceSecurityGroupId": "sg-2"},
        ],
        "securityGroupEgress": [],
        "tags": [],
    }


def test_keys_of_maps_and_documents_are_data() -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Condition": {"StringEquals": {"AWS:SourceArn": "x"}}}]}
    role = item("iamRoles", {"RoleName": "r", "Arn": "arn:r", "AssumeRolePolicyDocument": policy, "RolePolicyList": [
        {"PolicyName": "p", "PolicyDocument": policy}
    ]})  # fmt: skip
    assert role.properties["assumeRolePolicyDocument"] == policy
    assert role.properties["policies"] == [{"policyName": "p", "policyDocument": policy}]
    container = {
        "name": "c",
        "dockerLabels": {"Com.Example": "V"},
        "logConfiguration": {"logDriver": "awslogs", "options": {"Awslogs-Group": "g"}},
    }
    task = item("ecsTaskDefinitions", {"taskDefinitionArn": "arn:t", "family": "f", "containerDefinitions": [container]})
    assert task.properties["containerDefinitions"] == [container]


def test_policies_that_aws_answers_as_text_are_read() -> None:
    found = item("s3BucketPolicies", {"PolicyDocument": '{"Statement": []}', "Parent": {"Bucket": "b", "Region": "eu-west-1"}})
    assert found.properties == {"policyDocument": {"Statement": []}, "bucket": "b"}
    assert (found.region, found.cell.region) == ("eu-west-1", "")
    row = {"encoded": "%7B%22A%22%3A1%7D", "plain": "no json", "list": [{"text": '{"B": 2}'}]}
    for dotted in ("encoded", "plain", "missing", "list[].text", "list[].missing"):
        decode(row, dotted)
    assert row == {"encoded": {"A": 1}, "plain": "no json", "list": [{"text": {"B": 2}}]}
    assert isinstance(row["encoded"], Verbatim)


@pytest.mark.parametrize(
    ("arm", "row"),
    [
        ("lambdaFunctions", {"FunctionName": "f", "FunctionArn": "arn:f", "Environment": {"Variables": {"TOKEN": "hush"}}}),
        ("ecsTaskDefinitions", {"taskDefinitionArn": "t", "containerDefinitions": [{"environment": [{"name": "TOKEN", "value": "hush"}]}]}),
        ("codeBuildProjects", {"name": "p", "environment": {"environmentVariables": [{"name": "TOKEN", "value": "hush"}]}}),
        ("cloudFormationStacks", {"StackId": "s", "Parameters": [{"ParameterValue": "hush"}], "Outputs": [{"OutputValue": "hush"}]}),
        ("apiGatewayStages", {"stageName": "s", "variables": {"TOKEN": "hush"}, "Parent": {"restApiId": "r"}}),
        ("iamVirtualMFADevices", {"SerialNumber": "s", "Base32StringSeed": "hush", "QRCodePNG": "hush"}),
        (
            "snsSubscriptions",
            {"SubscriptionArn": "arn:s", "TopicArn": "arn:t", "Protocol": "https", "Endpoint": "https://me:hush@h.test/x"},
        ),
        ("ssmParameters", {"Name": "/p", "Value": "hush"}),
        (
            "elasticLoadBalancingV2Listeners",
            {"ListenerArn": "l", "DefaultActions": [{"AuthenticateOidcConfig": {"ClientId": "c", "ClientSecret": "hush"}}]},
        ),
    ],
)
def test_secret_material_never_reaches_an_item(arm: str, row: dict[str, Any]) -> None:
    assert "hush" not in repr(item(arm, row))


def test_tags_inside_properties_are_always_a_list() -> None:
    api = item("apiGatewayRestApis", {"id": "a", "name": "n", "tags": {"Team": "sea"}}, tags={"Team": "sea"})
    assert api.properties["tags"] == [{"key": "Team", "value": "sea"}]
    queue = item("sqsQueues", {"QueueUrl": "https://sqs/1/q"}, tags={"Team": "sea"})
    assert queue.properties["tags"] == [{"key": "Team", "value": "sea"}]


@pytest.mark.parametrize(
    "value",
    [
        {"a": "1", "b": ""},
        [{"Key": "a", "Value": "1"}, {"Key": "b"}],
        [{"key": "a", "value": "1"}, {"key": "b", "value": None}],
        [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": ""}],
    ],
)
def test_every_form_of_tags_is_flattened(value: Any) -> None:
    assert flatten_tags(value) == {"a": "1", "b": ""}


def test_no_tags() -> None:
    assert flatten_tags(None) == {}


def test_arns_are_made_where_aws_answers_none() -> None:
    assert item("ec2Volumes", {"VolumeId": "vol-1"}).arn == "arn:aws:ec2:eu-west-1:1:volume/vol-1"
    assert item("ec2Images", {"ImageId": "ami-1"}).arn == "arn:aws:ec2:eu-west-1::image/ami-1"
    assert item("ssmParameters", {"Name": "/a/b"}).arn == "arn:aws:ssm:eu-west-1:1:parameter/a/b"
    china = Projector(TYPES["sqsQueues"], "aws-cn", "cn-north-1")
    assert china.arn({"QueueName": "q"}, Cell(account="1", region="cn-north-1", type="sqsQueues")) == "arn:aws-cn:sqs:cn-north-1:1:q"


def test_names_fall_back_to_ids() -> None:
    assert item("ec2Volumes", {"VolumeId": "vol-1", "Tags": [{"Key": "Name", "Value": "disk"}]}).name == "disk"
    assert item("ec2Volumes", {"VolumeId": "vol-1", "Tags": []}).name == "vol-1"


def test_a_bucket_lies_in_its_own_region() -> None:
    assert item("s3Buckets", {"Name": "b", "BucketRegion": "eu-west-3"}).region == "eu-west-3"
    assert item("s3Buckets", {"Name": "b"}).region == "us-east-1"


def test_the_digest_ignores_what_is_volatile_and_nothing_else() -> None:
    row = {"InstanceId": "i-1", "PingStatus": "Online", "LastPingDateTime": "2026-01-01T00:00:00Z"}
    first = item("ssmInstanceInformations", dict(row))
    assert first.properties["lastPingDateTime"] == "2026-01-01T00:00:00Z"
    assert item("ssmInstanceInformations", row | {"LastPingDateTime": "2026-01-02T00:00:00Z"}).digest == first.digest
    assert item("ssmInstanceInformations", row | {"PingStatus": "ConnectionLost"}).digest != first.digest
    assert item("ssmInstanceInformations", dict(row), tags={"a": "b"}).digest != first.digest
    entry = replace(TYPES["ec2Volumes"], volatile=("size",))
    assert Projector(entry, "aws", "us-east-1").item(first.cell, {"VolumeId": "v", "Size": 1}, {}).properties["size"] == 1


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["a", "b", "c"]), inner, max_size=3)), st.sampled_from(["a", "a.b", "a[].b", "a[].b[].c", "c"]))  # fmt: skip
def test_dropping_is_total_and_idempotent(value: Any, dotted: str) -> None:
    drop(value, dotted)
    before = repr(value)
    drop(value, dotted)
    assert repr(value) == before
    decode(value, dotted)
