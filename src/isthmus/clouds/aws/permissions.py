"""May we? Tests the actions that inventory needs: by IAM's own simulator, else by one cheap call per service."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from isthmus.clouds.aws.catalog import action_of, actions_for, selected
from isthmus.clouds.aws.names import role_arn, role_for
from isthmus.clouds.aws.outcomes import judge
from isthmus.clouds.aws.session import HOMES, Sessions
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import ScanTarget

SIMULATE = "iam:SimulatePrincipalPolicy"
AT_ONCE = 50
"""Actions asked about in one simulation."""


class Verdict(NamedTuple):
    """Whether an action is allowed, and a sentence about it; `message` is empty when there is nothing to say."""

    action: str
    allowed: bool
    message: str


async def test_permissions(sessions: Sessions, target: ScanTarget, services: Collection[str] | None) -> list[Verdict]:
    """A verdict on every action that these service keys need (None: all), sorted by action. Never raises for what AWS answers."""
    actions = actions_for(services)
    try:
        await sessions.credentials(target)
    except (AwsError, AwsTransportError) as error:
        return [Verdict(action, False, f"The role cannot be assumed: {error}") for action in actions]
    try:
        found = await _simulate(sessions, target, actions)
    except (AwsError, AwsTransportError) as error:
        found = await _try(sessions, target, services, actions)
        found.setdefault(SIMULATE, Verdict(SIMULATE, False, judge(error).reason))
    return [found.get(action) or Verdict(action, False, "IAM's simulator gave no verdict.") for action in actions]


async def _simulate(sessions: Sessions, target: ScanTarget, actions: Sequence[str]) -> dict[str, Verdict]:
    arn = role_arn(target.account, role_for(target.solution, target.guid), target.partition)
    found = {}
    for at in range(0, len(actions), AT_ONCE):
        params = {"PolicySourceArn": arn, "ActionNames": list(actions[at : at + AT_ONCE])}
        async for page in sessions.pages(target, SIMULATE, params, region=HOMES[target.partition]):
            for row in page.get("EvaluationResults") or ():
                found[row["EvalActionName"]] = _verdict(row)
    return found


def _verdict(row: Mapping[str, object]) -> Verdict:
    action = str(row["EvalActionName"])
    organization = row.get("OrganizationsDecisionDetail")
    if isinstance(organization, dict) and organization.get("AllowedByOrganizations") is False:
        return Verdict(action, False, "A policy of the organization forbids it; our role is not at fault.")
    if row.get("EvalDecision") == "allowed":
        return Verdict(action, True, "")
    why = "denied by a statement" if row.get("EvalDecision") == "explicitDeny" else "allowed by no statement"
    return Verdict(action, False, f"The action is {why} of the role's policies: update the CloudFormation stack from the present template.")


async def _try(sessions: Sessions, target: ScanTarget, services: Collection[str] | None, actions: Sequence[str]) -> dict[str, Verdict]:
    """One list per service; the service's other actions share its verdict and say so."""
    found: dict[str, Verdict] = {}
    for entry in selected(services):
        first = action_of(entry.list) if entry.list else ""
        prefix = first.partition(":")[0]
        if not first or entry.parent or any(action.startswith(f"{prefix}:") for action in found):
            continue
        verdict = await _call(sessions, target, entry.list, dict(entry.params))
        found[first] = Verdict(first, *verdict)
        for action in actions:
            if action.startswith(f"{prefix}:") and action != first:
                found[action] = Verdict(action, verdict[0], f"Not tested by itself; judged by {first}. {verdict[1]}".strip())
    found.pop(SIMULATE, None)
    return found


async def _call(sessions: Sessions, target: ScanTarget, operation: str, params: Mapping[str, object]) -> tuple[bool, str]:
    try:
        await sessions.call(target, operation, params, region=HOMES[target.partition])
    except (AwsError, AwsTransportError) as error:
        failure = judge(error)
        return failure.outcome not in ("denied", "scp"), failure.reason
    return True, ""
