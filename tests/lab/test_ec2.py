"""EC2 as AWS answers it: pages, fields, instance profiles, images, regions."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.e2e

LINUX, WINDOWS = "ami-0c2023a1b2c3d4e5f", "ami-0fedcba9876543210"


def launch(ec2: Any, count: int, image: str = LINUX) -> list[str]:
    rows = ec2.run_instances(ImageId=image, InstanceType="t3.large", MinCount=count, MaxCount=count)["Instances"]
    return [row["InstanceId"] for row in rows]


def test_instances_volumes_and_interfaces_come_in_pages(client: Callable[..., Any]) -> None:
    ec2 = client("ec2")
    ids = set(launch(ec2, 13))
    pages = [page["Reservations"] for page in ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5})]
    assert [len(page) for page in pages] == [5, 5, 3]
    assert {one["InstanceId"] for page in pages for row in page for one in row["Instances"]} == ids
    volumes = [page["Volumes"] for page in ec2.get_paginator("describe_volumes").paginate(PaginationConfig={"PageSize": 6})]
    assert [len(page) for page in volumes] == [6, 6, 1]
    only = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "instance-state-name", "Values": ["running"]}], PaginationConfig={"PageSize": 10}
    )
    assert [len(page["Reservations"]) for page in only] == [10, 3]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"MaxResults": 4}, "InvalidParameterValue"),
        ({"MaxResults": 1001}, "InvalidParameterValue"),
        ({"MaxResults": 5, "NextToken": "garbage"}, "InvalidParameterValue"),
        ({"MaxResults": 5, "InstanceIds": ["i-0123456789abcdef0"]}, "InvalidParameterCombination"),
    ],
)
def test_bad_pages_are_refused(client: Callable[..., Any], parameters: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        client("ec2").describe_instances(**parameters)
    assert caught.value.response["Error"]["Code"] == code


def test_token_of_another_listing_is_refused(client: Callable[..., Any]) -> None:
    ec2 = client("ec2")
    launch(ec2, 6)
    token = ec2.describe_instances(MaxResults=5)["NextToken"]
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.describe_volumes(MaxResults=5, NextToken=token)


def test_instance_fields(client: Callable[..., Any]) -> None:
    ec2 = client("ec2")
    linux, windows = launch(ec2, 1)[0], launch(ec2, 1, WINDOWS)[0]
    ec2.stop_instances(InstanceIds=[linux])
    found = {one["InstanceId"]: one for row in ec2.describe_instances()["Reservations"] for one in row["Instances"]}
    one = found[linux]
    assert "Platform" not in one
    assert one["PlatformDetails"] == "Linux/UNIX"
    assert one["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert one["NetworkInterfaces"][0]["PrivateIpAddress"] == one["PrivateIpAddress"]
    assert one["MetadataOptions"]["HttpTokens"] == "required"
    assert one["CpuOptions"] == {"CoreCount": 1, "ThreadsPerCore": 2}
    assert one["EbsOptimized"] is False
    assert found[windows]["Platform"] == "windows"
    assert "StateReason" not in found[windows]
    ec2.modify_instance_metadata_options(InstanceId=windows, HttpTokens="optional")
    assert ec2.describe_instances(InstanceIds=[windows])["Reservations"][0]["Instances"][0]["MetadataOptions"]["HttpTokens"] == "optional"


def machine_role(iam: Any) -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    arn: str = iam.create_role(RoleName="Machine", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.create_instance_profile(InstanceProfileName="Machine")
    iam.add_role_to_instance_profile(InstanceProfileName="Machine", RoleName="Machine")
    return arn


def test_second_profile_is_an_incorrect_state(client: Callable[..., Any], account: str) -> None:
    ec2, iam = client("ec2"), client("iam")
    machine_role(iam)
    one, gone = launch(ec2, 2)
    ec2.associate_iam_instance_profile(InstanceId=one, IamInstanceProfile={"Name": "Machine"})
    profile = ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]["IamInstanceProfile"]
    assert profile["Arn"] == f"arn:aws:iam::{account}:instance-profile/Machine"
    assert profile["Id"].startswith("AIPA")
    with pytest.raises(ClientError, match="IncorrectState"):
        ec2.associate_iam_instance_profile(InstanceId=one, IamInstanceProfile={"Name": "Machine"})
    ec2.terminate_instances(InstanceIds=[gone])
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        ec2.associate_iam_instance_profile(InstanceId=gone, IamInstanceProfile={"Name": "Machine"})


def test_assigning_a_profile_needs_pass_role(client: Callable[..., Any]) -> None:
    iam = client("iam")
    arn = machine_role(iam)
    one = launch(client("ec2"), 1)[0]
    iam.create_user(UserName="operator")
    allow: dict[str, Any] = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="operator", PolicyName="p", PolicyDocument=json.dumps(allow))
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    operator = client("ec2", credentials={**key, "SessionToken": None})
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        operator.associate_iam_instance_profile(InstanceId=one, IamInstanceProfile={"Name": "Machine"})
    condition = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    allow["Statement"].append({"Effect": "Allow", "Action": "iam:PassRole", "Resource": arn, "Condition": condition})
    iam.put_user_policy(UserName="operator", PolicyName="p", PolicyDocument=json.dumps(allow))
    operator.associate_iam_instance_profile(InstanceId=one, IamInstanceProfile={"Name": "Machine"})


def test_own_images(client: Callable[..., Any], account: str) -> None:
    ec2 = client("ec2")
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    one = launch(ec2, 1)[0]
    tags = [{"ResourceType": "image", "Tags": [{"Key": "team", "Value": "a"}]}]
    image = ec2.create_image(InstanceId=one, Name="golden", TagSpecifications=tags)["ImageId"]
    found = ec2.describe_images(Owners=["self"])["Images"]
    assert [(row["ImageId"], row["OwnerId"], row["Tags"]) for row in found] == [(image, account, [{"Key": "team", "Value": "a"}])]
    assert image in [row["ImageId"] for row in ec2.describe_images()["Images"]]
    assert client("ec2", "eu-west-1").describe_images(Owners=["self"])["Images"] == []
    with pytest.raises(ClientError, match=r"InvalidAMIName\.Duplicate"):
        ec2.create_image(InstanceId=one, Name="golden")
    ec2.deregister_image(ImageId=image)
    assert ec2.describe_images(Owners=["self"])["Images"] == []


def test_account_attributes(client: Callable[..., Any]) -> None:
    rows = client("ec2").describe_account_attributes()["AccountAttributes"]
    assert {"supported-platforms", "default-vpc", "max-instances"} <= {row["AttributeName"] for row in rows}


def test_region_that_is_not_opted_in(client: Callable[..., Any]) -> None:
    ec2 = client("ec2")
    everything = {row["RegionName"]: row["OptInStatus"] for row in ec2.describe_regions(AllRegions=True)["Regions"]}
    assert everything["me-south-1"] == "not-opted-in"
    opened = [row["RegionName"] for row in ec2.describe_regions()["Regions"]]
    assert "me-south-1" not in opened
    assert len(opened) == len(everything) - 1
    closed = {"ec2": "AuthFailure", "sqs": "InvalidClientTokenId", "dynamodb": "UnrecognizedClientException", "sns": "InvalidClientTokenId"}
    calls = {"ec2": "describe_vpcs", "sqs": "list_queues", "dynamodb": "list_tables", "sns": "list_topics"}
    for service, code in closed.items():
        with pytest.raises(ClientError) as caught:
            getattr(client(service, "me-south-1"), calls[service])()
        assert caught.value.response["Error"]["Code"] == code
