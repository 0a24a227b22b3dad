"""testPermissions: IAM's own verdicts where it gives them, else a call per service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from isthmus.clouds.aws.catalog import actions_for
from isthmus.clouds.aws.permissions import test_permissions as run
from isthmus.clouds.aws.regions import enabled_regions
from isthmus.clouds.aws.template.statements import OWN_ROLE
from isthmus.clouds.aws.wire import AwsError
from isthmus.clouds.contract import Selection, Verdict
from tests.clouds.aws.fake_aws import ACCOUNT, TARGET, FakeAws, refuse, sessions_of, unreachable

SERVICES = ["sqs", "ec2", "lambda"]
ONBOARDING = replace(TARGET, solution="Microsoft.HybridCompute.Onboard")
OWN = f"arn:aws:iam::{ACCOUNT}:role/IsthmusInventory-5f2b7c1e"


def verdicts(aws: FakeAws) -> dict[str, Verdict]:
    found = asyncio.run(run(sessions_of(aws), TARGET, Selection(services=SERVICES)))
    assert [each.action for each in found] == sorted({*actions_for(SERVICES), *OWN_ROLE})
    return {each.action: each for each in found}


def onboarding(aws: FakeAws, *regions: str) -> dict[str, Verdict]:
    found = asyncio.run(run(sessions_of(aws), ONBOARDING, Selection(regions=regions or None)))
    assert [each.action for each in found] == sorted(each.action for each in found)
    return {each.action: each for each in found}


def simulator(params: Mapping[str, Any], _region: str) -> Mapping[str, Any]:
    rows = [{"EvalActionName": action, "EvalDecision": "allowed"} for action in params["ActionNames"]]
    for row in rows:
        if row["EvalActionName"] == "sqs:ListQueues":
            row["EvalDecision"] = "implicitDeny"
        if row["EvalActionName"] == "lambda:ListFunctions":
            row |= {"EvalDecision": "allowed", "OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}
    return {"EvaluationResults": rows}


def test_iam_is_asked_first() -> None:
    aws = FakeAws({"iam:SimulatePrincipalPolicy": simulator})
    found = verdicts(aws)
    assert not found["sqs:ListQueues"].allowed
    assert "CloudFormation" in found["sqs:ListQueues"].message
    assert "organization" in found["lambda:ListFunctions"].message
    assert {each for each, verdict in found.items() if not verdict.allowed} == {"sqs:ListQueues", "lambda:ListFunctions"}
    assert {operation for operation, _, _ in aws.calls} == {"sts:AssumeRoleWithWebIdentity", "iam:SimulatePrincipalPolicy"}


def test_a_role_is_asked_about_itself_by_its_own_name() -> None:
    aws = FakeAws({"iam:SimulatePrincipalPolicy": simulator})
    verdicts(aws)
    asked = [params for operation, _, params in aws.calls if operation == "iam:SimulatePrincipalPolicy"]
    assert {params["PolicySourceArn"] for params in asked} == {OWN}
    assert [params["ActionNames"] for params in asked if params["ResourceArns"] == [OWN]] == [list(OWN_ROLE)]


def test_without_the_simulator_each_service_is_called_once() -> None:
    def fault(operation: str, region: str) -> Exception | None:
        return refuse("AccessDenied", operation, region) if operation in ("iam:SimulatePrincipalPolicy", "sqs:ListQueues") else None

    aws = FakeAws({}, fault=fault)
    found = verdicts(aws)
    assert found["sqs:GetQueueAttributes"].allowed is False
    assert "judged by sqs:ListQueues" in found["sqs:GetQueueAttributes"].message
    assert found["lambda:ListFunctions"].allowed
    assert found["ec2:DescribeVpcs"].allowed
    assert found["iam:SimulatePrincipalPolicy"].allowed is False
    assert found["iam:GetRole"].allowed is None, "nobody asked"
    assert len(aws.calls) == 2 + len(SERVICES)


def test_an_unreachable_service_gives_no_verdict() -> None:
    def fault(operation: str, region: str) -> Exception | None:
        if operation == "iam:SimulatePrincipalPolicy":
            return refuse("AccessDenied", operation, region)
        return unreachable("dns", operation, region) if operation == "sqs:ListQueues" else None

    found = verdicts(FakeAws({}, fault=fault))
    assert (found["sqs:ListQueues"].allowed, found["ec2:DescribeVpcs"].allowed) == (None, True)


def test_a_role_that_cannot_be_assumed_is_told() -> None:
    aws = FakeAws({}, fault=lambda operation, region: refuse("AccessDenied", operation, region) if operation.startswith("sts:") else None)
    with pytest.raises(AwsError, match="AccessDenied"):
        verdicts(aws)


def test_onboarding_is_asked_about_the_resources_and_regions_of_its_statements() -> None:
    def answer(params: Mapping[str, Any], _region: str) -> Mapping[str, Any]:
        (resource,) = params["ResourceArns"]
        context = params.get("ContextEntries") or [{"ContextKeyValues": [""]}]
        denied = "instance/" in resource and context[0]["ContextKeyValues"] == ["us-east-1"]
        decision = "implicitDeny" if denied else "allowed"
        return {"EvaluationResults": [{"EvalActionName": action, "EvalDecision": decision} for action in params["ActionNames"]]}

    aws = FakeAws({"iam:SimulatePrincipalPolicy": answer})
    found = onboarding(aws, "us-east-1", "eu-west-1")
    asked = {resource for operation, _, params in aws.calls if "Simulate" in operation for resource in params["ResourceArns"]}
    assert asked == {
        "*",
        f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/i-00000000000000000",
        f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-00000000000000000",
        f"arn:aws:iam::{ACCOUNT}:role/IsthmusOnboarding-5f2b7c1e",
        f"arn:aws:ssm:eu-west-1:{ACCOUNT}:document/Isthmus-Onboarding-5f2b7c1e",
        f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/Isthmus-Onboarding-5f2b7c1e",
        f"arn:aws:ssm:eu-west-1:{ACCOUNT}:servicesetting/ssm/managed-instance/default-ec2-instance-management-role",
    }
    assert {action for action, verdict in found.items() if not verdict.allowed} == {"ssm:SendCommand"}
    assert "instance/i-00000000000000000 in us-east-1" in found["ssm:SendCommand"].message


def test_onboarding_without_the_simulator_sends_nothing() -> None:
    def fault(operation: str, region: str) -> Exception | None:
        if operation in ("iam:SimulatePrincipalPolicy", "ec2:DescribeImages"):
            return refuse("AccessDenied", operation, region)
        return refuse("InvalidDocument", operation, region) if operation == "ssm:GetDocument" else None

    aws = FakeAws({}, fault=fault)
    found = onboarding(aws)
    assert not {"ssm:SendCommand", "ssm:CancelCommand"} & {operation for operation, _, _ in aws.calls}
    assert found["ssm:SendCommand"].allowed is None
    assert "would act" in found["ssm:SendCommand"].message
    assert found["ec2:DescribeImages"].allowed is False
    assert found["ssm:GetDocument"].allowed is True, "refused for another reason than rights"
    assert found["ssm:ListCommands"] == Verdict(action="ssm:ListCommands", allowed=True)


def test_enabled_regions_are_those_of_the_account() -> None:
    sessions = sessions_of(FakeAws({}))
    assert asyncio.run(enabled_regions(sessions, TARGET, None)) == ("eu-west-1", "us-east-1")
    assert asyncio.run(enabled_regions(sessions, TARGET, ["me-south-1", "eu-west-1"])) == ("eu-west-1",)
    denied = sessions_of(
        FakeAws({}, fault=lambda name, region: refuse("UnauthorizedOperation", name, region) if "Regions" in name else None)
    )
    assert asyncio.run(enabled_regions(denied, TARGET, ["eu-west-9"])) == ("eu-west-9",)
    assert "us-east-1" in asyncio.run(enabled_regions(denied, TARGET, None))
