"""From operations to IAM actions: the prefix of each service and the operations whose action has another name.

AWS's Service Authorization Reference is the source. Everything not named here is prefix and operation name.
"""

from __future__ import annotations

PREFIXES = {
    "accessanalyzer": "access-analyzer",
    "efs": "elasticfilesystem",
    "elbv2": "elasticloadbalancing",
    "emr": "elasticmapreduce",
    "opensearch": "es",
    "resourcegroupstaggingapi": "tag",
    "s3control": "s3",
}

NAMES = {
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
}

ONE_FOR_ALL = {"apigateway": "apigateway:GET"}
"""Services that have one action for all reads."""


def action_of(operation: str) -> str:
    """The IAM action that an operation (`service:Operation`) needs."""
    service, name = operation.split(":")
    if service in ONE_FOR_ALL:
        return ONE_FOR_ALL[service]
    return NAMES.get(operation) or f"{PREFIXES.get(service, service)}:{name}"
