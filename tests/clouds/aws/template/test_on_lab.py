"""The template as a real stack on the lab: it deploys with authorisation on, and its function does its work under its own role."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from isthmus.clouds.aws.template import InventoryAsk, OnboardingAsk, TemplateRequest, authentication_template, template_text
from isthmus.clouds.aws.template.document import same_content
from isthmus_lab.process import LabProcess
from tests.support.waiting import STACK, until

pytestmark = pytest.mark.e2e

ACCOUNT = "700000000007"
GUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
REGIONS = ("eu-west-1", "us-east-1")
NAME = "isthmus"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Root clients of the account on a lab of this module."""
    with LabProcess(tmp_path_factory.mktemp("lab"), port=0) as lab:
        yield lambda service, region="us-east-1": boto3.client(
            service, config=Config(retries={"total_max_attempts": 1}), **lab.client_arguments(ACCOUNT, region)
        )


def text_of(onboarding: OnboardingAsk) -> str:
    wanted = TemplateRequest(
        account=ACCOUNT,
        guid=GUID,
        issuer_url="https://issuer.isthmus.test",
        inventory=InventoryAsk(global_read_only=False),
        onboarding=onboarding,
    )
    return template_text(authentication_template(wanted))


def run_instance(ec2: Any, **tags: str) -> str:
    marked = [{"Key": key, "Value": value} for key, value in tags.items()]
    made = ec2.run_instances(
        ImageId=ec2.describe_images()["Images"][0]["ImageId"],
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": marked}],
    )
    return str(made["Instances"][0]["InstanceId"])


def profile_of(ec2: Any, instance: str) -> str:
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return str(found.get("IamInstanceProfile", {}).get("Arn", ""))


def until_running(ec2: Any, instances: list[str]) -> None:
    def states() -> set[str]:
        found = ec2.describe_instances(InstanceIds=instances)["Reservations"]
        return {instance["State"]["Name"] for reservation in found for instance in reservation["Instances"]}

    until(lambda: states() == {"running"}, 10, what="instances run")


def wait(cloudformation: Any, waiter: str) -> None:
    cloudformation.get_waiter(waiter).wait(StackName=NAME, WaiterConfig=STACK)


def invoke(client: Callable[..., Any], **event: Any) -> dict[str, Any]:
    answer = client("lambda").invoke(FunctionName="IsthmusAssignment-3f2504e0", Payload=json.dumps(event).encode())
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "errorMessage" not in result, result
    return result


def test_the_life_of_a_stack(client: Callable[..., Any]) -> None:
    west, east, cloudformation, iam = client("ec2", "eu-west-1"), client("ec2"), client("cloudformation"), client("iam")
    ours = f"arn:aws:iam::{ACCOUNT}:instance-profile/IsthmusMachine-3f2504e0"
    wanted, other, far = run_instance(west, env="Prod"), run_instance(west, env="dev"), run_instance(client("ec2", "us-west-2"), env="prod")
    until_running(west, [wanted, other])

    cloudformation.create_stack(
        StackName=NAME, TemplateBody=text_of(OnboardingAsk(regions=REGIONS, filter_tag="ENV:prod")), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    wait(cloudformation, "stack_create_complete")
    outputs = {one["OutputKey"]: one["OutputValue"] for one in cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]["Outputs"]}
    assert outputs["OnboardingRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/IsthmusOnboarding-3f2504e0"
    assert outputs["InventoryRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/IsthmusInventory-3f2504e0"
    for region in REGIONS:
        assert same_content(client("ssm", region).get_document(Name="Isthmus-Onboarding-3f2504e0")["Content"])
    assert profile_of(west, wanted) == ours
    assert profile_of(west, other) == ""
    assert profile_of(client("ec2", "us-west-2"), far) == ""

    # Later: a new instance without profile, one whose profile died, one with a profile of its own that cannot reach SSM.
    iam.create_instance_profile(InstanceProfileName="dying")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    iam.create_role(RoleName="ShopRole", AssumeRolePolicyDocument=json.dumps(trust | {"Version": "2012-10-17"}))
    iam.create_instance_profile(InstanceProfileName="shop")
    iam.add_role_to_instance_profile(InstanceProfileName="shop", RoleName="ShopRole")
    fresh, dying, shop = (run_instance(east, Env="PROD") for _ in range(3))
    until_running(east, [fresh, dying, shop])
    east.associate_iam_instance_profile(InstanceId=dying, IamInstanceProfile={"Name": "dying"})
    east.associate_iam_instance_profile(InstanceId=shop, IamInstanceProfile={"Name": "shop"})
    iam.delete_instance_profile(InstanceProfileName="dying")
    planned, done = invoke(client, dryRun=True), invoke(client)
    assert done["regions"] == dict.fromkeys(REGIONS, "ok")
    rows = {row["instance"]: row for row in done["rows"]}
    assert {id_: row["action"] for id_, row in rows.items()} == {
        fresh: "associate", dying: "replace", shop: "propose", wanted: "none", other: "none",
    }  # fmt: skip
    assert [(row["instance"], row["action"]) for row in planned["rows"]] == [(row["instance"], row["action"]) for row in done["rows"]]
    assert rows[shop]["code"] == "PROFILE_NO_SSM"
    assert (profile_of(east, fresh), profile_of(east, dying)) == (ours, ours)
    assert profile_of(east, shop).endswith("/shop")

    cloudformation.delete_stack(StackName=NAME)
    wait(cloudformation, "stack_delete_complete")
    for region in REGIONS:
        with pytest.raises(client("ssm", region).exceptions.InvalidDocument):
            client("ssm", region).get_document(Name="Isthmus-Onboarding-3f2504e0")
    left = {role["RoleName"] for role in iam.list_roles()["Roles"]}
    assert not any(name.startswith("Isthmus") for name in left)


def test_the_template_of_another_account_is_rolled_back(client: Callable[..., Any]) -> None:
    cloudformation = client("cloudformation")
    foreign = text_of(OnboardingAsk(regions=REGIONS)).replace(ACCOUNT, "700000000008")
    cloudformation.create_stack(StackName="foreign", TemplateBody=foreign, Capabilities=["CAPABILITY_NAMED_IAM"])

    def end() -> str:
        status = str(cloudformation.describe_stacks(StackName="foreign")["Stacks"][0]["StackStatus"])
        return "" if status.endswith("IN_PROGRESS") else status

    assert until(end, 20, what="the stack is there, or not") == "ROLLBACK_COMPLETE"
    reasons = [event.get("ResourceStatusReason", "") for event in cloudformation.describe_stack_events(StackName="foreign")["StackEvents"]]
    assert any("belongs to account 700000000008" in reason for reason in reasons)
