"""What is derived from the catalog: operations, IAM actions, service keys."""

from __future__ import annotations

import json
from pathlib import Path

import parliament
import pytest

from isthmus.clouds.aws.catalog import SERVICE_TITLES, TYPES, action_of, actions_for, operations, selected, service_keys
from isthmus.clouds.aws.wire import models


def known_actions() -> set[str]:
    """Every action of IAM, as the policy linter parliament knows them, in lower case."""
    services = json.loads((Path(parliament.__file__).parent / "iam_definition.json").read_text())
    return {f"{each['prefix']}:{privilege['privilege']}".lower() for each in services for privilege in each["privileges"]}


def test_every_operation_is_compiled_for_the_wire() -> None:
    assert set(operations()) <= set(models.names())


def test_every_action_exists() -> None:
    known = known_actions()
    assert [action for action in actions_for(None) if action.lower() not in known] == []


def test_no_action_can_change_or_reveal_anything() -> None:
    verbs = {action.partition(":")[2] for action in actions_for(None)} - {"GET"}
    assert [verb for verb in verbs if not verb.startswith(("List", "Describe", "Get", "BatchGet", "Simulate"))] == []
    assert not {"GetSecretValue", "GetParameter", "GetParameters", "GetObject", "GetFunction"} & verbs


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("ec2:DescribeVpcs", "ec2:DescribeVpcs"),
        ("elbv2:DescribeListeners", "elasticloadbalancing:DescribeListeners"),
        ("efs:DescribeFileSystems", "elasticfilesystem:DescribeFileSystems"),
        ("opensearch:DescribeDomains", "es:DescribeDomains"),
        ("s3:ListBuckets", "s3:ListAllMyBuckets"),
        ("s3:GetBucketEncryption", "s3:GetEncryptionConfiguration"),
        ("s3:GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("apigateway:GetStages", "apigateway:GET"),
        ("resourcegroupstaggingapi:GetResources", "tag:GetResources"),
    ],
)
def test_actions_are_named_as_iam_names_them(operation: str, action: str) -> None:
    assert action_of(operation) == action


def test_least_privilege_is_that_of_the_selected_services() -> None:
    assert actions_for(["SQS"]) == (
        "ec2:DescribeRegions",
        "sqs:GetQueueAttributes",
        "sqs:ListQueues",
        "tag:GetResources",
    )
    assert "iam:ListUsers" in actions_for(["iam"]), "a parent that is not projected has to be listed too"
    assert "tag:GetResources" not in actions_for(["ec2"])
    assert actions_for([]) == ("ec2:DescribeRegions",)
    assert set(actions_for(["ec2", "s3"])) == set(actions_for(["ec2"])) | set(actions_for(["s3"]))


def test_every_service_has_a_title() -> None:
    assert tuple(sorted(SERVICE_TITLES)) == service_keys()


def test_services_select_types() -> None:
    assert {each.service for each in selected(["ec2", " S3 ", "nosuch"])} == {"ec2", "s3"}
    assert selected(None) == tuple(TYPES.values())
    assert set(service_keys()) == {each.service for each in TYPES.values()}
    assert list(service_keys()) == sorted(service_keys())


def test_a_type_has_one_name() -> None:
    assert len({arm.lower() for arm in TYPES}) == len(TYPES), "ARM's type names ignore letter case"
