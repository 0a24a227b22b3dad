"""What our role in an account holds at this moment: trust, inline policies, managed policies. The role reads itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.clouds.aws import names
from isthmus.clouds.aws.outcomes import judge
from isthmus.clouds.aws.session import HOMES, Sessions
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import DeployedRole, ScanTarget, Unreadable


async def read_role(sessions: Sessions, target: ScanTarget) -> DeployedRole:
    """The target's role. Raises AwsError or AwsTransportError when it cannot be assumed, Unreadable when it may not look at itself."""
    await sessions.check(target)
    name, home = names.role_for(target.solution, target.guid), HOMES[target.partition]
    asked = {"RoleName": name}
    try:
        role = (await sessions.call(target, "iam:GetRole", asked, region=home))["Role"]
        inline = [
            str(policy)
            async for page in sessions.pages(target, "iam:ListRolePolicies", asked, region=home)
            for policy in page.get("PolicyNames") or ()
        ]
        managed = [
            str(policy["PolicyArn"])
            async for page in sessions.pages(target, "iam:ListAttachedRolePolicies", asked, region=home)
            for policy in page.get("AttachedPolicies") or ()
        ]
        policies = {}
        for policy in inline:
            held = await sessions.call(target, "iam:GetRolePolicy", {**asked, "PolicyName": policy}, region=home)
            policies[policy] = _document(held["PolicyDocument"])
    except (AwsError, AwsTransportError) as error:
        failure = judge(error)
        raise Unreadable(failure.action, failure.reason) from error
    return DeployedRole(
        name=name,
        trust=_document(role["AssumeRolePolicyDocument"]),
        policies=policies,
        managed=tuple(sorted(managed)),
        boundary=str((role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", "")),
    )


def _document(held: Any) -> Mapping[str, Any]:
    """A policy as the wire decoded it. What is no JSON object is an empty policy."""
    return held if isinstance(held, dict) else {}
