"""A small AWS estate for scans: paged lists, batches, sweeps, parents that are not projected, and chains of parents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.clouds.aws.fake_aws import ACCOUNT, Answer, paged

SERVICES = ("ec2", "sqs", "ecs", "iam", "s3", "dynamodb")
REGIONS = ("eu-west-1", "us-east-1")
CLUSTERS = 3
SERVICES_PER_CLUSTER = 23
QUEUES = 5
TABLES = 4
USERS = 3
BUCKETS = ("alpha", "beta", "gamma")


def _cluster(region: str, number: int) -> str:
    return f"arn:aws:ecs:{region}:{ACCOUNT}:cluster/c{number}"


def _service(region: str, cluster: str, number: int) -> str:
    return f"arn:aws:ecs:{region}:{ACCOUNT}:service/{cluster.rsplit('/', 1)[-1]}/s{number}"


def _queue(region: str, number: int) -> str:
    return f"https://sqs.{region}.amazonaws.com/{ACCOUNT}/q{number}"


def _services_of(params: Mapping[str, Any], region: str) -> list[str]:
    return [_service(region, params["cluster"], number) for number in range(SERVICES_PER_CLUSTER)]


def _table_numbers(_params: Mapping[str, Any], _region: str) -> list[str]:
    return [f"t{number}" for number in range(TABLES)]


def answers() -> dict[str, Answer]:
    """What AWS answers for the estate."""
    vpcs = lambda _params, region: [{"VpcId": f"vpc-{region}-{n}", "CidrBlock": "10.0.0.0/16", "OwnerId": ACCOUNT} for n in range(5)]  # noqa: E731
    return {
        "ec2:DescribeVpcs": paged(vpcs, "Vpcs", "NextToken", "NextToken", 2),
        "sqs:ListQueues": paged(lambda _p, r: [_queue(r, n) for n in range(QUEUES)], "QueueUrls", "NextToken", "NextToken", 3),
        "sqs:GetQueueAttributes": lambda p, r: {"Attributes": {"DelaySeconds": "7", "QueueArn": p["QueueUrl"]}},
        "ecs:ListClusters": paged(lambda _p, r: [_cluster(r, n) for n in range(CLUSTERS)], "clusterArns", "nextToken", "nextToken", 100),
        "ecs:DescribeClusters": lambda p, r: {"clusters": [{"clusterArn": arn, "clusterName": arn[-2:]} for arn in p["clusters"]]},
        "ecs:ListServices": paged(_services_of, "serviceArns", "nextToken", "nextToken", 100),
        "ecs:DescribeServices": lambda p, r: {"services": [{"serviceArn": arn, "serviceName": arn[-2:]} for arn in p["services"]]},
        "iam:ListUsers": paged([{"UserName": f"u{n}", "Arn": f"arn:u{n}"} for n in range(USERS)], "Users", "Marker", "Marker", 2),
        "iam:ListAccessKeys": lambda p, r: {
            "AccessKeyMetadata": [{"UserName": p["UserName"], "AccessKeyId": f"AKIA{p['UserName']}", "Status": "Active"}]
        },
        "iam:GetAccessKeyLastUsed": lambda p, r: {"UserName": p["AccessKeyId"][4:], "AccessKeyLastUsed": {"Region": "us-east-1"}},
        "iam:ListRoles": paged([{"RoleName": f"r{n}", "Arn": f"arn:r{n}", "Path": "/"} for n in range(3)], "Roles", "Marker", "Marker", 2),
        "iam:GetAccountAuthorizationDetails": _authorization,
        "s3:ListBuckets": lambda p, r: {"Buckets": [{"Name": name, "BucketRegion": "eu-west-1"} for name in BUCKETS]},
        "s3:GetBucketPolicy": lambda p, r: {"Policy": '{"Statement": [{"Effect": "Deny"}]}'},
        "s3:GetBucketAcl": lambda p, r: {"Owner": {"ID": "o"}, "Grants": []},
        "dynamodb:ListTables": paged(_table_numbers, "TableNames", "ExclusiveStartTableName", "LastEvaluatedTableName", 3),
        "dynamodb:DescribeTable": lambda p, r: {"Table": {"TableName": p["TableName"], "TableArn": f"arn:{p['TableName']}"}},
        "dynamodb:DescribeContinuousBackups": lambda p, r: {"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED"}},
        "resourcegroupstaggingapi:GetResources": _tags,
    }


def _authorization(params: Mapping[str, Any], _region: str) -> Mapping[str, Any]:
    if params["Filter"] == ["Role"]:
        return {"RoleDetailList": [{"RoleName": f"r{n}", "Tags": [{"Key": "team", "Value": f"t{n}"}]} for n in range(3)]}
    if params["Filter"] == ["User"]:
        policies = [{"PolicyName": "p", "PolicyDocument": {"Statement": []}}]
        return {"UserDetailList": [{"UserName": f"u{n}", "Arn": f"arn:u{n}", "UserPolicyList": policies} for n in range(USERS)]}
    versions = [
        {"VersionId": "v1", "IsDefaultVersion": True, "Document": {"Statement": []}},
        {"VersionId": "v2", "IsDefaultVersion": False},
    ]
    return {"Policies": [{"PolicyName": "mine", "Arn": "arn:mine", "PolicyVersionList": versions}]}


def _tags(_params: Mapping[str, Any], region: str) -> Mapping[str, Any]:
    arn = f"arn:aws:sqs:{region}:{ACCOUNT}:q1"
    return {"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": [{"Key": "team", "Value": "sea"}]}]}


def truth() -> dict[tuple[str, str], set[str]]:
    """The ids of every cell that is not empty, by (type, region)."""
    found: dict[tuple[str, str], set[str]] = {
        ("iamRoles", ""): {f"arn:r{n}" for n in range(3)},
        ("iamManagedPolicies", ""): {"arn:mine"},
        ("iamPolicyVersions", ""): {"arn:mine/v1", "arn:mine/v2"},
        ("iamUserPolicies", ""): {f"arn:u{n}/p" for n in range(USERS)},
        ("iamAccessKeyMetaData", ""): {f"AKIAu{n}" for n in range(USERS)},
        ("iamAccessKeyLastUseds", ""): {f"AKIAu{n}" for n in range(USERS)},
        ("s3Buckets", ""): set(BUCKETS),
        ("s3BucketPolicies", ""): set(BUCKETS),
        ("s3AccessControlPolicies", ""): set(BUCKETS),
    }
    for region in REGIONS:
        clusters = [_cluster(region, n) for n in range(CLUSTERS)]
        found |= {
            ("ec2VPCs", region): {f"vpc-{region}-{n}" for n in range(5)},
            ("sqsQueues", region): {f"q{n}" for n in range(QUEUES)},
            ("ecsClusters", region): set(clusters),
            ("ecsServices", region): {_service(region, each, n) for each in clusters for n in range(SERVICES_PER_CLUSTER)},
            ("dynamoDBTables", region): {f"t{n}" for n in range(TABLES)},
            ("dynamoDBContinuousBackupsDescriptions", region): {f"t{n}" for n in range(TABLES)},
        }
    return found


DETAILS = re.compile(r":(Get|Describe)(QueueAttributes|Clusters|Services|Table|Bucket(Tagging|Encryption|Versioning)|PublicAccessBlock)$")
