"""Every entry of the catalog agrees with AWS's own models, and the lint says in plain words when one does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from isthmus.clouds.aws.catalog import TYPES, AwsType, Detail, Parent
from isthmus.clouds.aws.catalog.databases import TABLES
from isthmus.clouds.aws.catalog.iam import USER_DETAILS, USERS
from tests.clouds.aws.catalog.lint import problems

GOOD = AwsType(
    arm="ec2Volumes", service="ec2", cfn="AWS::EC2::Volume", list="ec2:DescribeVolumes", items="Volumes[]", id="VolumeId",
    arn="arn:{partition}:ec2:{region}:{account}:volume/{VolumeId}", tags="Tags", keep="Size Tags VolumeId",
)  # fmt: skip


@pytest.mark.parametrize("entry", [*TYPES.values(), USERS, USER_DETAILS, GOOD], ids=lambda entry: entry.arm)
def test_an_entry_agrees_with_the_models(entry: AwsType) -> None:
    assert list(problems(entry)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"list": "ec2:DescribeVolume"}, "knows no operation 'ec2:DescribeVolume'"),
        ({"list": "ec2:CreateVolume"}, "does not read"),
        ({"items": "Volume[]"}, "no member 'Volume' among"),
        ({"id": "VolumeID"}, "no member 'VolumeID' among"),
        ({"arn": "arn:{partition}:ec2:::{Volume}"}, "`arn`: no member 'Volume'"),
        ({"params": {"Volumes": []}}, "takes no parameter 'Volumes'"),
        ({"keep": "Sise"}, "AWS answers no member 'Sise'"),
        ({"keep": "State"}, "has no property 'state'"),
        ({"keep": ""}, "must say which members become properties"),
        ({"cfn": "AWS::EC2::Disk"}, "CloudFormation has no type 'AWS::EC2::Disk'"),
        ({"tags": "tagging"}, "`tagging` names the type"),
        ({"volatile": ("state",)}, "no property 'state'"),
        ({"list": "iam:ListPolicies", "items": "Policies[]", "params": {"Scope": "Mine"}}, "knows no Scope='Mine'"),
        ({"items": "Volumes[].VolumeId"}, "rows must be objects"),
        ({"parent": Parent(type=TABLES, params="{VolumeIds: TableArn}")}, "no member 'TableArn'"),
        ({"details": (Detail(operation="ec2:DescribeVolumes", batch=5, items="Volumes[]"),)}, "needs `key`"),
    ],
)
def test_the_lint_says_what_is_wrong(change: dict[str, Any], told: str) -> None:
    assert any(told in problem for problem in problems(replace(GOOD, **change))), list(problems(replace(GOOD, **change)))


def test_a_secret_that_would_be_stored_is_found() -> None:
    entry = replace(TYPES["lambdaFunctions"], secret=(), keep="FunctionName Environment")
    assert any("Environment may hold a secret" in problem for problem in problems(entry))


def test_required_parameters_are_missed() -> None:
    entry = replace(TYPES["apiGatewayStages"], parent=None)
    assert any("needs the parameter 'restApiId'" in problem for problem in problems(replace(entry, id="stageName", arn="stageName")))
