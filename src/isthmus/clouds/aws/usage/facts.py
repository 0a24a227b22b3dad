"""What was reviewed by hand of CloudTrail and IAM: the services whose management events are complete, and where names differ.

Sources: CloudTrail User Guide ("Logging management events", "Logging data events"); S3 User Guide ("Amazon S3 account- and bucket-level
actions tracked by CloudTrail logging", "Required permissions for Amazon S3 API operations"); AWS KMS and EC2 Auto Scaling user guides.
What is not said here is never taken away from anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SERVICES: Final[Mapping[str, tuple[str, ...]]] = {
    "autoscaling": ("autoscaling",),
    "cloudformation": ("cloudformation",),
    "ec2": ("ec2",),
    "elasticloadbalancing": ("elb", "elbv2"),
    "iam": ("iam",),
    "kms": ("kms",),
    "rds": ("rds",),
    "s3": ("s3",),
    "secretsmanager": ("secretsmanager",),
    "sts": ("sts",),
}
"""IAM prefix, which is also the event source's, and botocore's services with that endpoint. Their management calls are all logged."""

PREFIXES: Final[Mapping[str, str]] = {"api.ecr": "ecr", "email": "ses", "monitoring": "cloudwatch", "tagging": "tag"}
"""Event sources (before `.amazonaws.com`) that are spelled unlike their IAM prefix."""

LOGGED_ONLY: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset(
        {
            "CreateBucket",
            "DeleteBucket",
            "DeleteBucketPolicy",
            "DeleteBucketWebsite",
            "GetBucketAcl",
            "GetBucketCORS",
            "GetBucketLogging",
            "GetBucketNotification",
            "GetBucketPolicy",
            "GetBucketPolicyStatus",
            "GetBucketPublicAccessBlock",
            "GetBucketRequestPayment",
            "GetBucketVersioning",
            "GetBucketWebsite",
            "GetEncryptionConfiguration",
            "GetLifecycleConfiguration",
            "GetReplicationConfiguration",
            "ListAllMyBuckets",
            "PutBucketAcl",
            "PutBucketCORS",
            "PutBucketLogging",
            "PutBucketNotification",
            "PutBucketPolicy",
            "PutBucketPublicAccessBlock",
            "PutBucketRequestPayment",
            "PutBucketVersioning",
            "PutBucketWebsite",
            "PutEncryptionConfiguration",
            "PutLifecycleConfiguration",
            "PutReplicationConfiguration",
        }
    )
}
"""Services of which only these actions are proven by management events: the rest is data, or is asked for by several operations."""

KEPT: Final[Mapping[str, frozenset[str]]] = {
    # Asked for by other services in the caller's name, which keep data keys for a while and then leave no event.
    "kms": frozenset(
        {
            "CreateGrant",
            "Decrypt",
            "DescribeKey",
            "Encrypt",
            "GenerateDataKey",
            "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext",
            "GenerateDataKeyWithoutPlaintext",
            "ReEncryptFrom",
            "ReEncryptTo",
        }
    ),
    # What Isthmus itself calls with a person's session.
    "sts": frozenset({"GetAccessKeyInfo", "GetCallerIdentity"}),
}
"""Actions that events would prove in principle, and that are kept all the same."""

EXCEPTIONS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "kms": {"ReEncrypt": ("ReEncryptFrom", "ReEncryptTo")},
    "s3": {
        "DeleteBucketCors": ("PutBucketCORS",),
        "DeleteBucketEncryption": ("PutEncryptionConfiguration",),
        "DeleteBucketLifecycle": ("PutLifecycleConfiguration",),
        "DeleteBucketPublicAccessBlock": ("PutBucketPublicAccessBlock",),
        "DeleteBucketReplication": ("PutReplicationConfiguration",),
        "DeleteBucketTagging": ("PutBucketTagging",),
        "GetBucketCors": ("GetBucketCORS",),
        "GetBucketEncryption": ("GetEncryptionConfiguration",),
        "GetBucketLifecycle": ("GetLifecycleConfiguration",),
        "GetBucketLifecycleConfiguration": ("GetLifecycleConfiguration",),
        "GetBucketNotificationConfiguration": ("GetBucketNotification",),
        "GetBucketReplication": ("GetReplicationConfiguration",),
        "HeadBucket": ("ListBucket",),
        "ListBuckets": ("ListAllMyBuckets",),
        "PutBucketCors": ("PutBucketCORS",),
        "PutBucketEncryption": ("PutEncryptionConfiguration",),
        "PutBucketLifecycle": ("PutLifecycleConfiguration",),
        "PutBucketLifecycleConfiguration": ("PutLifecycleConfiguration",),
        "PutBucketNotificationConfiguration": ("PutBucketNotification",),
        "PutBucketReplication": ("PutReplicationConfiguration",),
    },
}
"""Event names that are no action of the same name: what they prove."""

_LAUNCHES: Final = ("ec2:DescribeLaunchTemplateVersions", "ec2:DescribeLaunchTemplates", "ec2:RunInstances")
IMPLIED: Final[Mapping[str, tuple[str, ...]]] = {
    "autoscaling:CreateAutoScalingGroup": _LAUNCHES,
    "autoscaling:StartInstanceRefresh": _LAUNCHES,
    "autoscaling:UpdateAutoScalingGroup": _LAUNCHES,
    "ec2:CreateFleet": _LAUNCHES,
    "ec2:ModifyFleet": _LAUNCHES,
    "ec2:ModifySpotFleetRequest": _LAUNCHES,
    "ec2:RequestSpotFleet": _LAUNCHES,
    "ec2:RequestSpotInstances": _LAUNCHES,
    "s3:CreateBucket": ("s3:PutBucketAcl", "s3:PutBucketVersioning"),
    "secretsmanager:BatchGetSecretValue": ("secretsmanager:GetSecretValue", "secretsmanager:ListSecrets"),
}
"""What an action asks for without an event of its own, besides what IAM's own table says (dependent actions)."""
