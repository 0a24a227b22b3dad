"""testPermissions: IAM's own verdicts where it gives them, else a call per service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from isthmus.clouds.aws.catalog import actions_for
from isthmus.clouds.aws.permissions import Verdict
from isthmus.clouds.aws.permissions import test_permissions as run
from isthmus.clouds.aws.regions import enabled_regions
from tests.clouds.aws.fake_aws import TARGET, FakeAws, refuse, sessions_of

SERVICES = ["sqs", "ec2", "lambda"]


def verdicts(aws: FakeAws) -> dict[str, Verdict]:
    found = asyncio.run(run(sessions_of(aws), TARGET, SERVICES))
    assert [each.action for each in found] == list(actions_for(SERVICES))
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


def test_without_the_simulator_each_service_is_called_once() -> None:
    def fault(operation: str, region: str) -> Exception | None:
        return refuse("AccessDenied", operation, region) if operation in ("iam:SimulatePrincipalPolicy", "sqs:ListQueues") else None

    aws = FakeAws({}, fault=fault)
    found = verdicts(aws)
    assert not found["sqs:GetQueueAttributes"].allowed
    assert "judged by sqs:ListQueues" in found["sqs:GetQueueAttributes"].message
    assert found["lambda:ListFunctions"].allowed
    assert found["ec2:DescribeVpcs"].allowed
    assert not found["iam:SimulatePrincipalPolicy"].allowed
    assert len(aws.calls) == 2 + len(SERVICES)


def test_a_role_that_cannot_be_assumed_allows_nothing() -> None:
    aws = FakeAws({}, fault=lambda operation, region: refuse("AccessDenied", operation, region) if operation.startswith("sts:") else None)
    found = verdicts(aws)
    assert not any(each.allowed for each in found.values())
    assert all("cannot be assumed" in each.message for each in found.values())


def test_enabled_regions_are_those_of_the_account() -> None:
    sessions = sessions_of(FakeAws({}))
    assert asyncio.run(enabled_regions(sessions, TARGET, None)) == ("eu-west-1", "us-east-1")
    assert asyncio.run(enabled_regions(sessions, TARGET, ["me-south-1", "eu-west-1"])) == ("eu-west-1",)
    denied = sessions_of(
        FakeAws({}, fault=lambda name, region: refuse("UnauthorizedOperation", name, region) if "Regions" in name else None)
    )
    assert asyncio.run(enabled_regions(denied, TARGET, ["eu-west-9"])) == ("eu-west-9",)
    assert "us-east-1" in asyncio.run(enabled_regions(denied, TARGET, None))
