"""The catalog: every AWS type that Isthmus reads, said once. What others need to know of types is derived here and nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from isthmus.clouds.aws.catalog import compute, containers, databases, ec2, iam, management, messaging, network, security, storage
from isthmus.clouds.aws.catalog.actions import action_of
from isthmus.clouds.aws.catalog.titles import SERVICE_TITLES
from isthmus.clouds.aws.catalog.types import HOME, PARENT, TAGGING, AwsType, Detail, Parent, path

__all__ = [
    "HOME",
    "PARENT",
    "SERVICE_TITLES",
    "TAGGING",
    "TYPES",
    "AwsType",
    "Detail",
    "Parent",
    "action_of",
    "actions_for",
    "operations",
    "path",
    "selected",
    "service_keys",
]

_MODULES = (compute, containers, databases, ec2, iam, management, messaging, network, security, storage)

TYPES: Mapping[str, AwsType] = MappingProxyType({entry.arm: entry for module in _MODULES for entry in module.TYPES})
"""Every type by its ARM name."""

CONTROL = (
    "cloudtrail:ListPublicKeys",
    "cloudtrail:LookupEvents",
    "ec2:DescribeInstances",
    "ec2:DescribeRegions",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicyVersion",
    "iam:GenerateCredentialReport",
    "iam:GetCredentialReport",
    "iam:GetOpenIDConnectProvider",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:GetSAMLProvider",
    "iam:ListAttachedRolePolicies",
    "iam:ListOpenIDConnectProviders",
    "iam:ListPolicyVersions",
    "iam:ListRolePolicies",
    "iam:ListRoles",
    "iam:ListSAMLProviders",
    "iam:SimulatePrincipalPolicy",
    "resourcegroupstaggingapi:GetResources",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:ListObjectsV2",
    "ssm:CancelCommand",
    "ssm:DescribeDocument",
    "ssm:DescribeInstanceInformation",
    "ssm:DescribeSessions",
    "ssm:GetCommandInvocation",
    "ssm:GetDocument",
    "ssm:ListCommandInvocations",
    "ssm:ListCommands",
    "ssm:SendCommand",
    "ssm:TerminateSession",
    "sts:AssumeRoleWithWebIdentity",
    "sts:GetAccessKeyInfo",
    "sts:GetCallerIdentity",
)
"""What the product calls besides reading types: trust, regions, permission tests, its own roles, Run Command, the end of access, whom an
account trusts, trails."""

EVERY_SCAN = ("ec2:DescribeRegions",)
"""What every scan needs, whatever is selected: the account's regions."""


def service_keys() -> tuple[str, ...]:
    """The values of `cloudProviderServiceTypes` that the catalog knows, sorted."""
    return tuple(sorted({entry.service for entry in TYPES.values()}))


def selected(services: Collection[str] | None) -> tuple[AwsType, ...]:
    """The types of these service keys (letter case does not matter); all types for None. Unknown keys select nothing."""
    if services is None:
        return tuple(TYPES.values())
    wanted = {key.strip().lower() for key in services}
    return tuple(entry for entry in TYPES.values() if entry.service in wanted)


def operations() -> tuple[str, ...]:
    """Every operation that the product calls, as `service:Operation`, sorted: what the wire has to be compiled for."""
    return tuple(sorted({operation for entry in TYPES.values() for operation in entry.operations} | set(CONTROL)))


def actions_for(services: Collection[str] | None) -> tuple[str, ...]:
    """The IAM actions that inventory needs for these service keys (None: all), sorted: a least-privilege statement."""
    needed = {operation for entry in selected(services) for operation in entry.operations} | set(EVERY_SCAN)
    return tuple(sorted({action_of(operation) for operation in needed}))
