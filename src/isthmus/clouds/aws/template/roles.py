"""Roles as CloudFormation resources: whom they trust, what they may do, and the tags that everything of a connector carries.

Trust policies of ours allow `sts:AssumeRoleWithWebIdentity` alone and demand audience, subject and a session name with the connector's
GUID, so that neither another connector nor another solution of the same issuer can use a role (confused deputy).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.clouds.aws import names
from isthmus.clouds.aws.template.request import TemplateRequest
from isthmus.clouds.aws.template.statements import Statement

CONSENT = "MayWidenRoles"
"""The template's condition under which statements that need consent are granted."""


def tags(request: TemplateRequest) -> list[dict[str, str]]:
    """Tags of every resource of a connector."""
    return [{"Key": "isthmus-connector", "Value": request.guid.lower()}, {"Key": "isthmus-managed", "Value": "true"}]


def federated_trust(request: TemplateRequest, solution: str) -> dict[str, Any]:
    """Trust in the tokens that Isthmus mints for one connector and one solution."""
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


def service_trust(service: str) -> dict[str, Any]:
    """Trust in an AWS service."""
    allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [allowed]}


def _policy(name: str, granted: Sequence[Statement]) -> dict[str, Any]:
    return {
        "PolicyName": name,
        "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement.document() for statement in granted]},
    }


def policies(role: str, granted: Sequence[Statement]) -> list[dict[str, Any]]:
    """The inline policies of a role; statements that need consent stand in one of their own, which exists only with it."""
    mine = [statement for statement in granted if statement.role == role]
    policies = [_policy("Isthmus", [statement for statement in mine if not statement.consent])]
    consented = [statement for statement in mine if statement.consent]
    if consented:
        policies.append({"Fn::If": [CONSENT, _policy("IsthmusConsented", consented), {"Ref": "AWS::NoValue"}]})
    return policies


def role(request: TemplateRequest, name: str, description: str, trust: Mapping[str, Any], **properties: Any) -> dict[str, Any]:
    """A role; `properties` are further ones of its resource."""
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": name,
            "Description": description,
            "AssumeRolePolicyDocument": trust,
            **properties,
            "Tags": tags(request),
        },
    }
