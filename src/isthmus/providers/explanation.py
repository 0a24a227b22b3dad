"""The authentication template explained: every permission with its reason, the stack's parameters, and how to deploy it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from isthmus.clouds.aws import names
from isthmus.clouds.aws.template import Statement, TemplateRequest, reasons, template_text
from isthmus.clouds.aws.template.access import WITNESS
from isthmus.clouds.aws.template.federation import PROVIDER
from isthmus.solutions.templates import made_template

FILE = "template.json"
"""The name under which commands expect the template."""
STACK_SET = "AzureArcMultiCloudStackset"
"""Azure's fixed name of the StackSet of an organization."""
_HOMES = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_CONSOLES = {"aws": "console.aws.amazon.com", "aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
_TRUST = (
    "Only tokens that this server signs for this account, this connector and this solution are exchanged; the session's name carries the "
    "connector's GUID, so that no other connector can be made to act here (confused deputy)."
)
_PEOPLE_TRUST = (
    "Tokens that this server makes for one person, one role and one exchange; every session names its person and its grant, or it is not "
    "given."
)
_DIRECT_TRUST = (
    "Your directory vouches for people here, without this server: AWS looks at what it signs, and at the group or application that the "
    "role demands."
)
_SERVICE_TRUST = "An AWS service runs under this role; nobody outside the account can take it."


def explain(request: TemplateRequest, template_url: str, *, is_organization: bool = False) -> dict[str, Any]:
    """The template and what there is to say about it, as the API answers it. Raises ArmError 409 `TemplateNotPossible`.

    `bytes` is the size of `text` in UTF-8, which is what CreateStack counts. `launchUrl` is empty unless `template_url` is set.
    """
    template = made_template(request)
    text = template_text(template)
    return {
        "template": template,
        "text": text,
        "bytes": len(text.encode()),
        "roles": _roles(template, reasons(request)),
        "parameters": [_parameter(name, declared) for name, declared in template["Parameters"].items()],
        "commands": _commands(request, template["Parameters"], is_organization=is_organization),
        "launchUrl": _launch_url(request, template_url),
    }


def stack_name(guid: str) -> str:
    """The name that we propose for the stack of a connector."""
    return f"Isthmus-{names.suffix(guid)}"


def _roles(template: Mapping[str, Any], granted: Sequence[Statement]) -> list[dict[str, Any]]:
    """Every role of the template with what it may do."""
    found = []
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        role = resource["Properties"]
        trust = role["AssumeRolePolicyDocument"]["Statement"][0]
        federated = "Federated" in trust["Principal"]
        direct = federated and PROVIDER in json.dumps(trust["Principal"])
        found.append(
            {
                "role": role["RoleName"],
                "logicalId": logical_id,
                "description": role["Description"],
                "trust": {
                    "principal": "the provider of your directory"
                    if direct
                    else "the OIDC provider of this server"
                    if federated
                    else trust["Principal"]["Service"],
                    "action": trust["Action"],
                    "conditions": trust.get("Condition", {}),
                    "reason": _DIRECT_TRUST
                    if direct
                    else _PEOPLE_TRUST
                    if logical_id.startswith(("Person", WITNESS))
                    else _TRUST
                    if federated
                    else _SERVICE_TRUST,
                },
                "managedPolicies": [_managed(template, one) for one in role.get("ManagedPolicyArns", ())],
                "statements": [_statement(statement) for statement in granted if statement.role == logical_id],
            }
        )
    return found


def _managed(template: Mapping[str, Any], policy: Any) -> str:
    """ARN of a managed policy, or the name of one that the template makes."""
    return policy if isinstance(policy, str) else str(template["Resources"][policy["Ref"]]["Properties"]["ManagedPolicyName"])


def _statement(statement: Statement) -> dict[str, Any]:
    return {
        "sid": statement.sid,
        "effect": statement.effect,
        "actions": list(statement.actions),
        "resources": list(statement.resources),
        "besides": statement.is_besides,
        "conditions": {operator: dict(keys) for operator, keys in statement.conditions.items()},
        "reason": statement.reason,
        "consent": statement.consent,
    }


def _parameter(name: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "default": declared["Default"],
        "description": declared["Description"],
        "allowedValues": list(declared.get("AllowedValues", ())),
        "allowedPattern": declared.get("AllowedPattern", ""),
    }


def _commands(request: TemplateRequest, parameters: Mapping[str, Any], *, is_organization: bool) -> list[dict[str, str]]:
    """Commands of the AWS CLI. The stack lies in one region; what it allows does not."""
    region = f"--region {_HOMES[request.partition]}"
    if is_organization:
        return _for_organization(region, _HOMES[request.partition])
    stack = f"--stack-name {stack_name(request.guid)} {region}"
    body = f"--template-body file://{FILE} --capabilities CAPABILITY_NAMED_IAM"
    defaults = {name: str(declared["Default"]) for name, declared in parameters.items() if declared["Default"]}
    overrides = "".join(f" {_quoted(f'{name}={value}')}" for name, value in defaults.items())
    chosen = "".join(f" {_quoted(f'ParameterKey={name},ParameterValue={value}')}" for name, value in defaults.items())
    overrides = f" --parameter-overrides{overrides}" if overrides else ""
    chosen = f" --parameters{chosen}" if chosen else ""
    file = f"--template-file {FILE} --capabilities CAPABILITY_NAMED_IAM"
    return [
        {"title": "Deploy (create or update)", "text": f"aws cloudformation deploy {stack} {file}{overrides}"},
        {"title": "Create the stack", "text": f"aws cloudformation create-stack {stack} {body}{chosen}"},
        {"title": "Wait until it is complete", "text": f"aws cloudformation wait stack-create-complete {stack}"},
        {"title": "Update the stack", "text": f"aws cloudformation update-stack {stack} {body}{chosen}"},
        {"title": "Delete the stack", "text": f"aws cloudformation delete-stack {stack}"},
    ]


def _for_organization(region: str, home: str) -> list[dict[str, str]]:
    """A StackSet of the organization, from its management account; ROOT stands for the organization's root or a unit (r-… or ou-…)."""
    named = f"--stack-set-name {STACK_SET} {region}"
    body = f"--template-body file://{FILE} --capabilities CAPABILITY_NAMED_IAM"
    rollout = "--permission-model SERVICE_MANAGED --auto-deployment Enabled=true,RetainStacksOnAccountRemoval=false"
    there = f"--deployment-targets OrganizationalUnitIds=ROOT --regions {home}"
    return [
        {"title": "Create the StackSet", "text": f"aws cloudformation create-stack-set {named} {body} {rollout}"},
        {"title": "Deploy it to the organization", "text": f"aws cloudformation create-stack-instances {named} {there}"},
        {"title": "Update the StackSet", "text": f"aws cloudformation update-stack-set {named} {body}"},
        {"title": "Remove it from the accounts", "text": f"aws cloudformation delete-stack-instances {named} {there} --no-retain-stacks"},
        {"title": "Delete the StackSet", "text": f"aws cloudformation delete-stack-set {named}"},
    ]


def _quoted(word: str) -> str:
    """A word for a shell; defaults of parameters hold blanks at most."""
    return f"'{word}'" if " " in word else word


def _launch_url(request: TemplateRequest, template_url: str) -> str:
    """CloudFormation's page that creates a stack from a template in S3 with one click."""
    if not template_url:
        return ""
    home, console = _HOMES[request.partition], _CONSOLES[request.partition]
    query = urlencode({"templateURL": template_url.replace("{guid}", request.guid.lower()), "stackName": stack_name(request.guid)})
    return f"https://{console}/cloudformation/home?region={home}#/stacks/quickcreate?{query}"
