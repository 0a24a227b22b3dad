"""What the AWS account's administrator does: deploy the authentication template with CloudFormation."""

import json
import time
from collections.abc import Mapping
from typing import Any

from isthmus_lab.estate.builder import Builder

PATIENCE = 120.0
HOME = "us-east-1"


class DeploymentFailedError(RuntimeError):
    """The stack did not become complete; the message has CloudFormation's reasons."""


def deploy(endpoint: str, account: str, template: Mapping[str, Any], stack: str) -> None:
    """Create the stack as the account's root and wait until it is complete; raises DeploymentFailedError."""
    formation = Builder(endpoint, account).client("cloudformation", HOME)
    body = json.dumps(template, separators=(",", ":"))
    formation.create_stack(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    deadline = time.monotonic() + PATIENCE
    while True:
        state = str(formation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
        if state == "CREATE_COMPLETE":
            return
        if not state.endswith("_IN_PROGRESS") or state.startswith("ROLLBACK") or time.monotonic() > deadline:
            raise DeploymentFailedError(f"The stack {stack} ended as {state}. {_reasons(formation, stack)}")
        time.sleep(0.2)


def _reasons(formation: Any, stack: str) -> str:
    events = formation.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in events if "FAILED" in event["ResourceStatus"]
    ]
    return " ".join(failed[:5])
