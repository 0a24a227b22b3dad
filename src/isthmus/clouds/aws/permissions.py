"""May we? Tests the actions that a solution needs: by IAM's own simulator, else by harmless calls. What would act is never called.

Onboarding's questions derive from the statements of the template, so that a test asks for exactly what a stack of today grants; a resource
that a statement names by pattern is asked about by an example. Inventory's derive from the catalog, whatever policy grants them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from isthmus.clouds.aws import names
from isthmus.clouds.aws.catalog import action_of, actions_for, selected
from isthmus.clouds.aws.outcomes import judge
from isthmus.clouds.aws.session import HOMES, Sessions
from isthmus.clouds.aws.template.access import access_statements
from isthmus.clouds.aws.template.request import AccessAsk
from isthmus.clouds.aws.template.statements import HOST_MANAGEMENT, OWN_ROLE, Arns, Statement, onboarding_statements
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import ScanTarget, Selection, Verdict

SIMULATE: Final = "iam:SimulatePrincipalPolicy"
AT_ONCE: Final = 50
"""Actions asked about in one simulation."""
EXAMPLE: Final = "i-00000000000000000"
"""An instance id that no instance has: statements that cover every instance cover it."""
UPDATE: Final = "Update the CloudFormation stack from the present template."


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """May the role do `action` to `resource`, in `region` where a statement names regions?"""

    action: str
    resource: str = "*"
    region: str = ""


async def test_permissions(sessions: Sessions, target: ScanTarget, selection: Selection) -> list[Verdict]:
    """A verdict on every action that the target's solution needs for this selection, sorted by action.

    Raises AwsError or AwsTransportError when the role cannot be assumed, nothing else.
    """
    await sessions.check(target)
    asked = questions(target, selection)
    try:
        found = await _simulate(sessions, target, asked)
    except (AwsError, AwsTransportError) as error:
        actions = sorted({question.action for question in asked} - {SIMULATE})
        found = await _try(sessions, target, selection, actions)
        found[SIMULATE] = Verdict(action=SIMULATE, allowed=False, message=judge(error).reason)
    wanted = sorted({question.action for question in asked} | set(found))
    return [found.get(action) or Verdict(action=action, allowed=None, message="IAM's simulator gave no verdict.") for action in wanted]


def questions(target: ScanTarget, selection: Selection) -> tuple[Question, ...]:
    """What there is to ask for a solution. Pure."""
    own = names.role_arn(target.account, names.role_for(target.solution, target.guid), target.partition)
    if target.solution == names.ONBOARDING:
        return _of_onboarding(target, sorted(selection.regions or ()))
    if target.solution == names.ACCESS:
        statements = access_statements(Arns.at(target.partition, target.account, target.guid), AccessAsk())
        return _asked(target, statements, ())
    own_role = tuple(Question(action=action, resource=own) for action in OWN_ROLE)
    return (*(Question(action=action) for action in actions_for(selection.services)), *own_role)


def _of_onboarding(target: ScanTarget, regions: Sequence[str]) -> tuple[Question, ...]:
    statements = onboarding_statements(Arns.at(target.partition, target.account, target.guid), regions)
    return _asked(target, statements, regions)


def _asked(target: ScanTarget, statements: Sequence[Statement], regions: Sequence[str]) -> tuple[Question, ...]:
    somewhere = regions[0] if regions else HOMES[target.partition]
    return tuple(
        Question(action=action, resource=_example(resource, region or somewhere), region=region)
        for statement in statements
        for resource in statement.resources
        for region in (regions if statement.conditions else ("",))
        for action in statement.actions
    )


def _example(resource: str, region: str) -> str:
    """A resource that the pattern covers, since the simulator takes patterns for names."""
    if resource == "*":
        return resource
    parts = resource.split(":", 5)
    return ":".join([*parts[:3], region if parts[3] == "*" else parts[3], parts[4], parts[5].replace("*", EXAMPLE)])


async def _simulate(sessions: Sessions, target: ScanTarget, asked: Sequence[Question]) -> dict[str, Verdict]:
    """The worst verdict of each action over everything that was asked about it."""
    own = names.role_arn(target.account, names.role_for(target.solution, target.guid), target.partition)
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for question in asked:
        groups[question.resource, question.region].append(question.action)
    found: dict[str, Verdict] = {}
    for (resource, region), actions in groups.items():
        for at in range(0, len(actions), AT_ONCE):
            params: dict[str, Any] = {"PolicySourceArn": own, "ActionNames": actions[at : at + AT_ONCE], "ResourceArns": [resource]}
            if region:
                context = {"ContextKeyName": "aws:RequestedRegion", "ContextKeyType": "string", "ContextKeyValues": [region]}
                params["ContextEntries"] = [context]
            async for page in sessions.pages(target, SIMULATE, params, region=HOMES[target.partition]):
                for row in page.get("EvaluationResults") or ():
                    verdict = _verdict(row, resource, region)
                    if found.get(verdict.action) is None or not verdict.allowed:
                        found[verdict.action] = verdict
    return found


def _verdict(row: Mapping[str, Any], resource: str, region: str) -> Verdict:
    action = str(row["EvalActionName"])
    where = "" if resource == "*" else f" on {resource}"
    where += f" in {region}" if region else ""
    organization = row.get("OrganizationsDecisionDetail")
    if isinstance(organization, dict) and organization.get("AllowedByOrganizations") is False:
        return Verdict(action=action, allowed=False, message=f"A policy of the organization forbids it{where}; our role is not at fault.")
    if row.get("EvalDecision") == "allowed":
        return Verdict(action=action, allowed=True)
    why = "denied by a statement" if row.get("EvalDecision") == "explicitDeny" else "allowed by no statement"
    return Verdict(action=action, allowed=False, message=f"The action is {why} of the role's policies{where}. {UPDATE}")


async def _try(sessions: Sessions, target: ScanTarget, selection: Selection, actions: Sequence[str]) -> dict[str, Verdict]:
    if target.solution == names.ONBOARDING:
        found = await _try_onboarding(sessions, target, sorted(selection.regions or ()))
    else:
        found = await _try_services(sessions, target, selection.services, actions)
    return {action: found.get(action) or _untested(action) for action in actions}


async def _try_services(
    sessions: Sessions, target: ScanTarget, services: Collection[str] | None, actions: Sequence[str]
) -> dict[str, Verdict]:
    """One list per service; the service's other actions share its verdict and say so."""
    found: dict[str, Verdict] = {}
    for entry in selected(services):
        first = action_of(entry.list) if entry.list else ""
        prefix = first.partition(":")[0]
        if not first or entry.parent or any(action.startswith(f"{prefix}:") for action in found):
            continue
        verdict = await _call(sessions, target, first, entry.list, dict(entry.params), HOMES[target.partition])
        found[first] = verdict
        for action in actions:
            if action.startswith(f"{prefix}:") and action != first and action not in OWN_ROLE:
                message = f"Not tested by itself; judged by {first}. {verdict.message}".strip()
                found[action] = Verdict(action=action, allowed=verdict.allowed, message=message)
    return found


async def _try_onboarding(sessions: Sessions, target: ScanTarget, regions: Sequence[str]) -> dict[str, Verdict]:
    """What only reads is called once, in one region; sending and cancelling commands are left alone."""
    document = {"Name": names.onboarding_document(target.guid)}
    harmless: Mapping[str, Mapping[str, Any]] = {
        "ec2:DescribeImages": {"Owners": ["self"]},
        "ec2:DescribeInstances": {"MaxResults": 5},
        "ec2:DescribeRegions": {},
        "ssm:DescribeDocument": document,
        "ssm:DescribeInstanceInformation": {"MaxResults": 5},
        "ssm:GetDocument": document,
        "ssm:GetServiceSetting": {"SettingId": f"/{HOST_MANAGEMENT.removeprefix('servicesetting/')}"},
        "ssm:ListCommandInvocations": {"MaxResults": 1},
        "ssm:ListCommands": {"MaxResults": 1},
    }
    region = regions[0] if regions else HOMES[target.partition]
    return {action: await _call(sessions, target, action, action, params, region) for action, params in harmless.items()}


def _untested(action: str) -> Verdict:
    why = "Not tested: the role may not ask IAM's simulator, and calling it would act."
    return Verdict(action=action, allowed=None, message=f"{why} {UPDATE}")


async def _call(sessions: Sessions, target: ScanTarget, action: str, operation: str, params: Mapping[str, object], region: str) -> Verdict:
    """Whatever AWS answers but a denial shows that the call was allowed; no answer shows nothing."""
    try:
        await sessions.call(target, operation, params, region=region)
    except AwsTransportError as error:
        return Verdict(action=action, allowed=None, message=judge(error).reason)
    except AwsError as error:
        failure = judge(error)
        if failure.outcome in ("denied", "scp"):
            return Verdict(action=action, allowed=False, message=failure.reason)
        return Verdict(action=action, allowed=True, message=f"Allowed; AWS answered: {failure.reason}")
    return Verdict(action=action, allowed=True)
