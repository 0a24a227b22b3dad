"""The authentication template: a request becomes CloudFormation JSON.

It must stay below 51,200 bytes, what CreateStack takes as a body, so that nobody needs a bucket to deploy it. Account and partition stand
in it literally: it is made for one account. Names follow from the connector (`names`), since nothing can read stack outputs before trust
exists. Trust policies allow `sts:AssumeRoleWithWebIdentity` alone and demand audience, subject and a session name with the connector's
GUID, so that neither another connector nor another solution of the same issuer can use a role.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.clouds.aws import names
from isthmus.clouds.aws.catalog import actions_for
from isthmus.clouds.aws.template.document import document, document_hash
from isthmus.clouds.aws.template.lambda_source import lambda_source
from isthmus.clouds.aws.template.request import OnboardingAsk, TemplateRequest
from isthmus.clouds.aws.template.statements import Arns, Statement, statements

MAX_BYTES = 51_200
"""CreateStack's limit for `TemplateBody`."""

MAX_INLINE_POLICY = 10_240
"""IAM's limit for the inline policies of one role."""

_CONSENT = "MayWidenRoles"


def authentication_template(request: TemplateRequest, actions: Sequence[str] | None = None) -> dict[str, Any]:
    """The template that gives Isthmus its roles in one account, as a JSON object.

    `actions` are the IAM actions of the selected services; by default the catalog says. Raises ValueError when the result is larger than
    CreateStack takes.
    """
    granted = statements(request, _actions(request) if actions is None else actions)
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
    _check_policy_sizes(template["Resources"])
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


def template_text(template: Mapping[str, Any]) -> str:
    """The template as it is handed out: JSON with one blank per level, readable and small."""
    return json.dumps(template, indent=1, ensure_ascii=False) + "\n"


def reasons(request: TemplateRequest, actions: Sequence[str] | None = None) -> tuple[Statement, ...]:
    """Why each permission of the template is there: every statement it grants, with its role, actions, resources and `reason`."""
    return statements(request, _actions(request) if actions is None else actions)


def _actions(request: TemplateRequest) -> Sequence[str]:
    return actions_for(request.inventory.services) if request.inventory else ()


def _tags(request: TemplateRequest) -> list[dict[str, str]]:
    return [{"Key": "isthmus-connector", "Value": request.guid.lower()}, {"Key": "isthmus-managed", "Value": "true"}]


def _provider_parameter(request: TemplateRequest) -> dict[str, Any]:
    return {
        "ExistingOidcProviderArn": {
            "Type": "String",
            "Default": "",
            "AllowedPattern": f"^({_escaped(request.provider_arn)})?$",
            "Description": (
                f"ARN of an OIDC provider for {request.issuer} that exists already (an issuer fits once into an account); "
                f"its audiences must include {names.audience(request.account)}. Empty: the stack makes one."
            ),
        }
    }


def _escaped(arn: str) -> str:
    return arn.replace(".", "[.]")


def _provider(request: TemplateRequest) -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::OIDCProvider",
        "Condition": "MakeProvider",
        "Properties": {"Url": request.issuer_url, "ClientIdList": [names.audience(request.account)], "Tags": _tags(request)},
    }


def _federated_trust(request: TemplateRequest, solution: str) -> dict[str, Any]:
    provider = {"Fn::If": ["MakeProvider", {"Ref": "OidcProvider"}, {"Ref": "ExistingOidcProviderArn"}]}
    demanded = {
        f"{request.issuer}:aud": names.audience(request.account),
        f"{request.issuer}:sub": names.subject(solution, request.guid),
        "sts:RoleSessionName": names.session_name(request.guid),
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": demanded},
            }
        ],
    }


def _service_trust(service: str) -> dict[str, Any]:
    allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [allowed]}


def _policy(name: str, granted: Sequence[Statement]) -> dict[str, Any]:
    return {
        "PolicyName": name,
        "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement.document() for statement in granted]},
    }


def _policies(role: str, granted: Sequence[Statement]) -> list[dict[str, Any]]:
    """The inline policies of a role; statements that need consent stand in one of their own, which exists only with it."""
    mine = [statement for statement in granted if statement.role == role]
    policies = [_policy("Isthmus", [statement for statement in mine if not statement.consent])]
    consented = [statement for statement in mine if statement.consent]
    if consented:
        policies.append({"Fn::If": [_CONSENT, _policy("IsthmusConsented", consented), {"Ref": "AWS::NoValue"}]})
    return policies


def _role(request: TemplateRequest, name: str, description: str, trust: Mapping[str, Any], **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": name,
            "Description": description,
            "AssumeRolePolicyDocument": trust,
            **properties,
            "Tags": _tags(request),
        },
    }


def _add_inventory(template: dict[str, Any], request: TemplateRequest, granted: Sequence[Statement]) -> None:
    inventory = request.inventory
    managed = [Arns.of(request).managed("ReadOnlyAccess")] if inventory and inventory.global_read_only else []
    template["Resources"]["InventoryRole"] = _role(
        request,
        names.inventory_role(request.guid),
        "Isthmus inventory: reads what exists, never what is stored in it",
        _federated_trust(request, names.INVENTORY),
        **({"ManagedPolicyArns": managed} if managed else {}),
        Policies=_policies("InventoryRole", granted),
    )
    template["Outputs"]["InventoryRoleArn"] = {"Value": {"Fn::GetAtt": ["InventoryRole", "Arn"]}}


def _add_onboarding(template: dict[str, Any], request: TemplateRequest, ask: OnboardingAsk, granted: Sequence[Statement]) -> None:
    machine = names.machine_profile(request.guid)
    template["Parameters"] |= _assignment_parameters()
    template["Conditions"] |= {
        "Scheduled": {
            "Fn::And": [
                {"Fn::Equals": [{"Ref": "EC2SSMIAMRoleAutoAssignment"}, "true"]},
                {"Fn::Equals": [{"Ref": "EC2SSMIAMRoleAutoAssignmentSchedule"}, "Enable"]},
            ]
        },
        _CONSENT: {"Fn::Equals": [{"Ref": "EC2SSMIAMRolePolicyUpdateAllowed"}, "true"]},
    }
    template["Resources"] |= {
        "OnboardingRole": _role(
            request,
            names.onboarding_role(request.guid),
            "Isthmus onboarding: runs one Systems Manager document on instances",
            _federated_trust(request, names.ONBOARDING),
            Policies=_policies("OnboardingRole", granted),
        ),
        "OnboardingDocument": {
            "Type": "AWS::SSM::Document",
            "Properties": {
                "Name": names.onboarding_document(request.guid),
                "DocumentType": "Command",
                "DocumentFormat": "JSON",
                "UpdateMethod": "NewVersion",
                "Content": document(),
                "Tags": _tags(request),
            },
        },
        "MachineRole": _role(
            request,
            machine,
            "Isthmus: lets Systems Manager reach an instance",
            _service_trust("ec2.amazonaws.com" + (".cn" if request.partition == "aws-cn" else "")),
            ManagedPolicyArns=[Arns.of(request).managed("AmazonSSMManagedInstanceCore")],
        ),
        "MachineProfile": {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"InstanceProfileName": machine, "Roles": [{"Ref": "MachineRole"}]},
        },
        **_assignment(request, ask, granted),
    }
    template["Outputs"]["OnboardingRoleArn"] = {"Value": {"Fn::GetAtt": ["OnboardingRole", "Arn"]}}


def _assignment_parameters() -> dict[str, Any]:
    truth = {"Type": "String", "AllowedValues": ["true", "false"]}
    return {
        "EC2SSMIAMRoleAutoAssignment": {
            **truth,
            "Default": "true",
            "Description": "Give the instance profile of this stack to selected running instances that have none or a dead one.",
        },
        "EC2SSMIAMRoleAutoAssignmentSchedule": {
            "Type": "String",
            "AllowedValues": ["Enable", "Disable"],
            "Default": "Enable",
            "Description": "Enable: repeat at the interval below. Disable: only when the stack is deployed.",
        },
        "EC2SSMIAMRoleAutoAssignmentScheduleInterval": {
            "Type": "String",
            "Default": "1 day",
            "AllowedPattern": "^(1 (hour|day)|([2-9]|[1-9][0-9]{1,2}) (hours|days)|(1[5-9]|[2-9][0-9]|[1-9][0-9]{2,3}) minutes)$",
            "ConstraintDescription": "for example 15 minutes (the minimum), 1 hour, 6 hours, 1 day",
            "Description": "How often to look for instances without a profile.",
        },
        "EC2SSMIAMRolePolicyUpdateAllowed": {
            **truth,
            "Default": "false",
            "Description": "true: attach AmazonSSMManagedInstanceCore to roles whose instances cannot register. false: only report them.",
        },
    }


def _assignment(request: TemplateRequest, ask: OnboardingAsk, granted: Sequence[Statement]) -> dict[str, Any]:
    """The auto-assignment function with its role, log, schedule and the run at deployment."""
    name = f"IsthmusAssignment-{names.suffix(request.guid)}"
    source = lambda_source()
    return {
        "AssignmentRole": _role(
            request,
            name,
            "Isthmus auto-assignment: gives instances a profile that Systems Manager can use",
            _service_trust("lambda.amazonaws.com"),
            Policies=_policies("AssignmentRole", granted),
        ),
        "AssignmentLog": {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {"LogGroupName": f"/aws/lambda/{name}", "RetentionInDays": 30, "Tags": _tags(request)},
        },
        "AssignmentFunction": {
            "Type": "AWS::Lambda::Function",
            "DependsOn": "AssignmentLog",
            "Properties": {
                "FunctionName": name,
                "Description": "Isthmus: copies the onboarding document to the regions and gives instances a profile",
                "Runtime": "python3.12",
                "Handler": "index.lambda_handler",
                "Role": {"Fn::GetAtt": ["AssignmentRole", "Arn"]},
                "MemorySize": 256,
                "Timeout": 900,
                "Environment": {"Variables": _environment(request, ask)},
                "Code": {"ZipFile": source},
                "Tags": _tags(request),
            },
        },
        "AssignmentSchedule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Name": name,
                "Description": "Isthmus: when to look for instances without a profile",
                "ScheduleExpression": {"Fn::Sub": "rate(${EC2SSMIAMRoleAutoAssignmentScheduleInterval})"},
                "State": {"Fn::If": ["Scheduled", "ENABLED", "DISABLED"]},
                "Targets": [{"Id": "Assignment", "Arn": {"Fn::GetAtt": ["AssignmentFunction", "Arn"]}}],
            },
        },
        "AssignmentPermission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "AssignmentFunction"},
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["AssignmentSchedule", "Arn"]},
            },
        },
        "AssignmentRun": {
            "Type": "AWS::CloudFormation::CustomResource",
            "DependsOn": ["MachineProfile", "OnboardingDocument"],
            "Properties": {
                "ServiceToken": {"Fn::GetAtt": ["AssignmentFunction", "Arn"]},
                "ServiceTimeout": 900,
                "Document": document_hash(),
                "Assign": {"Ref": "EC2SSMIAMRoleAutoAssignment"},
                "Widen": {"Ref": "EC2SSMIAMRolePolicyUpdateAllowed"},
                "Regions": ",".join(ask.regions or ()),
                "FilterTag": ask.filter_tag,
            },
        },
    }


def _environment(request: TemplateRequest, ask: OnboardingAsk) -> dict[str, Any]:
    return {
        "ACCOUNT": request.account,
        "PROFILE": names.machine_profile(request.guid),
        "DOCUMENT": names.onboarding_document(request.guid),
        "REGIONS": ",".join(ask.regions or ()),
        "FILTER_TAG": ask.filter_tag,
        "ASSIGN": {"Ref": "EC2SSMIAMRoleAutoAssignment"},
        "WIDEN": {"Ref": "EC2SSMIAMRolePolicyUpdateAllowed"},
        "CORE_POLICY": Arns.of(request).managed("AmazonSSMManagedInstanceCore"),
    }
