"""Adding an account as the wizard does: a draft, its template deployed first, the stack seen to arrive, creation, and later drift."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.stack import FILTER, INVENTORY, ONBOARDING, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LEAST = {"awsGlobalReadOnly": "false", "cloudProviderServiceTypes": "ec2, s3"}
DRAFT = {
    "step": "template",
    "basics": {"resourceGroup": "clouds", "connectorName": "aws", "location": "eastus"},
    "solutions": {
        "inventory": {"enabled": True, "settings": LEAST},
        "onboarding": {"enabled": True, "settings": {"cloudProviderRegions": "eu-central-1, eu-west-1", **FILTER}},
    },
}


def deploy(stack: Stack, template: Any) -> None:
    """Create the stack as the account's administrator."""
    formation = stack.aws("cloudformation")
    formation.create_stack(StackName="Isthmus", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_NAMED_IAM"])

    def end() -> str:
        state = str(formation.describe_stacks(StackName="Isthmus")["Stacks"][0]["StackStatus"])
        return "" if state.endswith("_IN_PROGRESS") else state

    assert until(end) == "CREATE_COMPLETE"


def compared(stack: Stack) -> dict[str, dict[str, Any]]:
    answer = stack.client.wait(stack.client.post(f"{stack.connector}/compareTemplate"), pause=0.2)
    return {one["solutionType"]: one for one in answer["solutionTypes"]}


def permissions_of(stack: Stack) -> dict[str, dict[str, Any]]:
    answer = stack.client.wait(stack.client.post(f"{stack.connector}/testPermissions"), pause=0.2)
    return {one["solutionType"]: one for one in answer["solutionTypes"]}


def arrive(stack: Stack) -> None:
    """From a draft whose template is deployed first to its connector."""
    client, draft = stack.client, f"{stack.root}/providers/Isthmus.Connect/drafts/first"
    typed = {**DRAFT, "basics": {**DRAFT["basics"], "accountId": stack.account}}  # type: ignore[dict-item]
    client.put(draft, {"properties": typed})

    def arrivals() -> dict[str, str]:
        return {kind: one["status"] for kind, one in client.get(draft)["properties"].get("arrivals", {}).items()}

    assert client.wait(client.post(f"{draft}/detect"), pause=0.2)["arrivals"][INVENTORY]["status"] == "Waiting"
    told = client.post(f"{draft}/template").body
    deploy(stack, told["template"])
    # The timetable sees the stack arrive, without anybody asking.
    until(lambda: arrivals() == {INVENTORY: "Arrived", ONBOARDING: "Arrived"}, seconds=40, what="the stack is seen")
    assert client.post(f"{draft}/validate").body["isReady"] is True
    assert client.post(f"{draft}/create").body["id"] == stack.connector


def test_from_a_draft_to_a_connector_and_its_drift(new_stack: Callable[..., Stack]) -> None:
    stack = new_stack(estate=False)
    arrive(stack)
    verdicts = permissions_of(stack)
    for kind, one in verdicts.items():
        assert (one["status"], one["remedy"]) == ("Connected", ""), (kind, one)
        assert [action for action in one["actions"] if action["allowed"] is not True] == []
    assert {"s3:ListAllMyBuckets", "iam:GetRole"} <= {one["action"] for one in verdicts[INVENTORY]["actions"]}
    assert "ssm:SendCommand" in {one["action"] for one in verdicts[ONBOARDING]["actions"]}
    assert {kind: one["status"] for kind, one in compared(stack).items()} == {INVENTORY: "InStep", ONBOARDING: "InStep"}

    # Somebody edits a policy, attaches another one, and takes a right away.
    iam = stack.aws("iam")
    role = compared(stack)[ONBOARDING]["role"]
    policy = iam.get_role_policy(RoleName=role, PolicyName="Isthmus")["PolicyDocument"]
    for statement in policy["Statement"]:
        if statement["Sid"] == "FollowCommands":
            statement["Action"].remove("ssm:CancelCommand")
    iam.put_role_policy(RoleName=role, PolicyName="Isthmus", PolicyDocument=json.dumps(policy))
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    found = compared(stack)
    assert (found[INVENTORY]["status"], found[ONBOARDING]["status"]) == ("InStep", "Drifted")
    assert [(one["what"], one["kind"]) for one in found[ONBOARDING]["differences"]] == [
        ("managed policy arn:aws:iam::aws:policy/ReadOnlyAccess", "extra"),
        ("policy Isthmus, statement FollowCommands", "changed"),
    ]
    denied = {one["action"] for one in permissions_of(stack)[ONBOARDING]["actions"] if one["allowed"] is False}
    assert denied == {"ssm:CancelCommand"}
    iam.detach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")

    # The connector wants more than its deployed template gives.
    more = {**LEAST, "cloudProviderServiceTypes": "ec2, s3, sqs"}
    stack.client.wait(stack.client.patch(stack.solution("inventory"), {"properties": {"solutionSettings": more}}))
    (difference,) = compared(stack)[INVENTORY]["differences"]
    assert difference["what"] == "policy Isthmus, statement ListSelectedServices"
    assert "actions missing: sqs:getqueueattributes, sqs:listqueues" in difference["detail"]

    # A role that may not look at itself, and one that is not there.
    inventory = found[INVENTORY]["role"]
    iam.put_role_policy(
        RoleName=inventory, PolicyName="Isthmus", PolicyDocument=json.dumps({**policy, "Statement": policy["Statement"][:1]})
    )
    found = compared(stack)
    assert found[INVENTORY]["status"] == "Unreadable"
    assert "iam:GetRole" in found[INVENTORY]["details"]
    stack.aws("cloudformation").delete_stack(StackName="Isthmus")
    until(lambda: not [one for one in iam.list_roles()["Roles"] if one["RoleName"].startswith("Isthmus")], what="the stack is gone")
    assert {one["status"] for one in compared(stack).values()} == {"NotDeployed"}
    assert {one["status"] for one in permissions_of(stack).values()} == {"Disconnected"}
