"""The authentication template: a request becomes CloudFormation JSON.

It must stay below 51,200 bytes, what CreateStack takes as a body, so that nobody needs a bucket to deploy it. Account and partition stand
in it literally: it is made for one account. Names follow from the connector (`names`), since nothing can read stack outputs before trust
exists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.clouds.aws import names
from isthmus.clouds.aws.catalog import actions_for
from isthmus.clouds.aws.template.access import access_resources, access_statements, trail_file_statements
from isthmus.clouds.aws.template.assignment import assignment, assignment_parameters
from isthmus.clouds.aws.template.document import document
from isthmus.clouds.aws.template.federation import MAX_TRUST, add_directory
from isthmus.clouds.aws.template.request import OnboardingAsk, TemplateRequest
from isthmus.clouds.aws.template.roles import CONSENT, federated_trust, policies, role, service_trust, tags
from isthmus.clouds.aws.template.statements import Arns, Statement, statements

MAX_BYTES = 51_200
"""CreateStack's limit for `TemplateBody`."""

MAX_INLINE_POLICY = 10_240
"""IAM's limit for the inline policies of one role."""


def authentication_template(request: TemplateRequest, actions: Sequence[str] | None = None) -> dict[str, Any]:
    """The template that gives Isthmus its roles in one account, as a JSON object.

    `actions` are the IAM actions of the selected services; by default the catalog says. Raises ValueError when the result is larger than
    CreateStack takes.
    """
    granted = reasons(request, actions)
    template: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Isthmus connector {request.guid.lower()}: access to account {request.account} without any stored secret",
        "Parameters": _provider_parameter(request),
        "Conditions": {"MakeProvider": {"Fn::Equals": [{"Ref": "ExistingOidcProviderArn"}, ""]}},
        "Resources": {"OidcProvider": _provider(request)},
        "Outputs": {},
    }
    if request.inventory:
        _add_inventory(template, request, granted)
    if request.onboarding:
        _add_onboarding(template, request, request.onboarding, granted)
    if request.access:
        if request.access.directory is not None:
            add_directory(template, request, request.access)
        template["Resources"] |= access_resources(request, granted)
        template["Outputs"]["AccessRoleArn"] = {"Value": {"Fn::GetAtt": ["AccessRole", "Arn"]}}
    _check_policy_sizes(template["Resources"])
    _check_trust_sizes(template["Resources"])
    size = len(template_text(template).encode())
    if size > MAX_BYTES:
        raise ValueError(f"The template has {size} bytes, CloudFormation takes {MAX_BYTES}; select fewer services or global read.")
    return template


def _check_policy_sizes(resources: Mapping[str, Any]) -> None:
    """IAM counts the characters of all inline policies of a role together, blanks left out."""
    for logical_id, resource in resources.items():
        size = len(json.dumps(resource["Properties"].get("Policies", []), separators=(",", ":")))
        if resource["Type"] == "AWS::IAM::Role" and size > MAX_INLINE_POLICY:
            raise ValueError(f"The policies of {logical_id} have {size} characters, IAM takes {MAX_INLINE_POLICY}; select fewer services.")


def _check_trust_sizes(resources: Mapping[str, Any]) -> None:
    for logical_id, resource in resources.items():
        size = len(json.dumps(resource["Properties"].get("AssumeRolePolicyDocument", {}), separators=(",", ":")))
        if size > MAX_TRUST:
            raise ValueError(
                f"The trust policy of {logical_id} has {size} characters, IAM takes {MAX_TRUST}; name fewer groups in the mapping."
            )


def template_text(template: Mapping[str, Any]) -> str:
    """The template as it is handed out: JSON with one blank per level, readable and small."""
    return json.dumps(template, indent=1, ensure_ascii=False) + "\n"


def reasons(request: TemplateRequest, actions: Sequence[str] | None = None) -> tuple[Statement, ...]:
    """Why each permission of the template is there: every statement it grants, with its role, actions, resources and `reason`."""
    granted = statements(request, _actions(request) if actions is None else actions)
    if request.access is None:
        return granted
    asked, arns = request.access, Arns.of(request)
    files = trail_file_statements(arns, asked.trail_bucket, asked.trail_prefix) if asked.trail_bucket else []
    return (*granted, *access_statements(arns, asked), *files)


def _actions(request: TemplateRequest) -> Sequence[str]:
    return actions_for(request.inventory.services) if request.inventory else ()


def _provider_parameter(request: TemplateRequest) -> dict[str, Any]:
    return {
        "ExistingOidcProviderArn": {
            "Type": "String",
            "Default": "",
            "AllowedPattern": f"^({_escaped(request.provider_arn)})?$",
            "Description": (
                f"ARN of an OIDC provider for {request.issuer} that exists already (an issuer fits once into an account); "
                f"its audiences must include {' and '.join(_audiences(request))}. Empty: the stack makes one."
            ),
        }
    }


def _audiences(request: TemplateRequest) -> list[str]:
    return [names.audience(request.account), *([names.people_audience(request.account)] if request.access else [])]


def _escaped(arn: str) -> str:
    return arn.replace(".", "[.]")


def _provider(request: TemplateRequest) -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::OIDCProvider",
        "Condition": "MakeProvider",
        "Properties": {"Url": request.issuer_url, "ClientIdList": _audiences(request), "Tags": tags(request)},
    }


def _add_inventory(template: dict[str, Any], request: TemplateRequest, granted: Sequence[Statement]) -> None:
    inventory = request.inventory
    managed = [Arns.of(request).managed("ReadOnlyAccess")] if inventory and inventory.global_read_only else []
    template["Resources"]["InventoryRole"] = role(
        request,
        names.inventory_role(request.guid),
        "Isthmus inventory: reads what exists, never what is stored in it",
        federated_trust(request, names.INVENTORY),
        **({"ManagedPolicyArns": managed} if managed else {}),
        Policies=policies("InventoryRole", granted),
    )
    template["Outputs"]["InventoryRoleArn"] = {"Value": {"Fn::GetAtt": ["InventoryRole", "Arn"]}}


def _add_onboarding(template: dict[str, Any], request: TemplateRequest, ask: OnboardingAsk, granted: Sequence[Statement]) -> None:
    machine = names.machine_profile(request.guid)
    template["Parameters"] |= assignment_parameters()
    template["Conditions"] |= {
        "Scheduled": {
            "Fn::And": [
                {"Fn::Equals": [{"Ref": "EC2SSMIAMRoleAutoAssignment"}, "true"]},
                {"Fn::Equals": [{"Ref": "EC2SSMIAMRoleAutoAssignmentSchedule"}, "Enable"]},
            ]
        },
        CONSENT: {"Fn::Equals": [{"Ref": "EC2SSMIAMRolePolicyUpdateAllowed"}, "true"]},
    }
    template["Resources"] |= {
        "OnboardingRole": role(
            request,
            names.onboarding_role(request.guid),
            "Isthmus onboarding: runs one Systems Manager document on instances",
            federated_trust(request, names.ONBOARDING),
            Policies=policies("OnboardingRole", granted),
        ),
        "OnboardingDocument": {
            "Type": "AWS::SSM::Document",
            "Properties": {
                "Name": names.onboarding_document(request.guid),
                "DocumentType": "Command",
                "DocumentFormat": "JSON",
                "UpdateMethod": "NewVersion",
                "Content": document(),
                "Tags": tags(request),
            },
        },
        "MachineRole": role(
            request,
            machine,
            "Isthmus: lets Systems Manager reach an instance",
            service_trust(Arns.of(request).ec2_principal),
            ManagedPolicyArns=[Arns.of(request).managed("AmazonSSMManagedInstanceCore")],
        ),
        "MachineProfile": {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"InstanceProfileName": machine, "Roles": [{"Ref": "MachineRole"}]},
        },
        **assignment(request, ask, granted),
    }
    template["Outputs"]["OnboardingRoleArn"] = {"Value": {"Fn::GetAtt": ["OnboardingRole", "Arn"]}}
