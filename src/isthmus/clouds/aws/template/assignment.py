"""The auto-assignment of instance profiles in the template: its function, role, log and schedule, and the run at deployment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isthmus.clouds.aws import names
from isthmus.clouds.aws.template.document import document_hash
from isthmus.clouds.aws.template.lambda_source import lambda_source
from isthmus.clouds.aws.template.request import OnboardingAsk, TemplateRequest
from isthmus.clouds.aws.template.roles import policies, role, service_trust, tags
from isthmus.clouds.aws.template.statements import Arns, Statement


def assignment_parameters() -> dict[str, Any]:
    """The four parameters of Azure's connector, by their names. Foreign roles are not widened by default, which is our deviation."""
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


def assignment(request: TemplateRequest, ask: OnboardingAsk, granted: Sequence[Statement]) -> dict[str, Any]:
    """The resources of auto-assignment, by logical id."""
    name = f"IsthmusAssignment-{names.suffix(request.guid)}"
    return {
        "AssignmentRole": role(
            request,
            name,
            "Isthmus auto-assignment: gives instances a profile that Systems Manager can use",
            service_trust("lambda.amazonaws.com"),
            Policies=policies("AssignmentRole", granted),
        ),
        "AssignmentLog": {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {"LogGroupName": f"/aws/lambda/{name}", "RetentionInDays": 30, "Tags": tags(request)},
        },
        "AssignmentFunction": _function(request, ask, name),
        **_schedule(name),
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


def _function(request: TemplateRequest, ask: OnboardingAsk, name: str) -> dict[str, Any]:
    return {
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
            "Code": {"ZipFile": lambda_source()},
            "Tags": tags(request),
        },
    }


def _schedule(name: str) -> dict[str, Any]:
    return {
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
