"""Resources of calls for which ministack authorises on `*` although AWS names one: a policy with an exact ARN must allow them.

Source: AWS' Service Authorization Reference for EC2, IAM and Systems Manager.
"""

import json
from collections.abc import Callable

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.hooks import ResourceNamer


def resource_namer(adapter: Adapter) -> ResourceNamer:
    """Names the resource of a call, None where ministack's own answer is right."""

    def name(action: str, parameter: Callable[[str], str], body: bytes, region: str, account: str) -> str | None:
        match action:
            case "iam:GetInstanceProfile":
                return f"arn:aws:iam::{account}:instance-profile/{parameter('InstanceProfileName')}"
            case (
                "iam:DeleteSAMLProvider"
                | "iam:GetSAMLProvider"
                | "iam:TagSAMLProvider"
                | "iam:UntagSAMLProvider"
                | "iam:UpdateSAMLProvider"
            ):
                return parameter("SAMLProviderArn") or None
            case "iam:AddClientIDToOpenIDConnectProvider" | "iam:DeleteOpenIDConnectProvider" | "iam:GetOpenIDConnectProvider":
                return parameter("OpenIDConnectProviderArn") or None
            case "iam:SimulatePrincipalPolicy":
                return parameter("PolicySourceArn") or None
            case "ec2:ReplaceIamInstanceProfileAssociation":
                instance = adapter.ec2.instance_of_association(parameter("AssociationId"))
                return f"arn:aws:ec2:{region}:{account}:instance/{instance}" if instance else None
            case "ec2:CreateTags" | "ec2:DeleteTags":
                # AWS asks for each of them; the lab for the first, where it is an instance.
                first = parameter("ResourceId.1")
                return f"arn:aws:ec2:{region}:{account}:instance/{first}" if first.startswith("i-") else None
            case "ssm:GetServiceSetting":
                return f"arn:aws:ssm:{region}:{account}:servicesetting/{_setting(body)}"
        return None

    return name


def _setting(body: bytes) -> str:
    try:
        return str(json.loads(body)["SettingId"]).lstrip("/")
    except (ValueError, KeyError, TypeError):
        return ""
