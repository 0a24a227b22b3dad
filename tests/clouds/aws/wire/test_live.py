"""The wire against moto over HTTP: what boto3's own client reads from the same server, we read too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config

from isthmus.clouds.aws.wire import AwsError, Credentials, Wire, classify
from tests.clouds.aws.moto import moto
from tests.clouds.aws.wire import oracle

pytestmark = pytest.mark.slow

REGION = "eu-west-1"
CREDENTIALS = Credentials(access_key="testing", secret_key="testing", token=None, expires_at=0)
READS: dict[str, dict[str, Any]] = {
    "ec2:DescribeVpcs": {},
    "ec2:DescribeSecurityGroups": {"Filters": [{"Name": "group-name", "Values": ["default"]}]},
    "ec2:DescribeRegions": {"AllRegions": True},
    "iam:ListRoles": {},
    "iam:GetAccountAuthorizationDetails": {"Filter": ["Role"]},
    "sqs:ListQueues": {},
    "sns:ListTopics": {},
    "dynamodb:ListTables": {},
    "dynamodb:DescribeTable": {"TableName": "demo"},
    "logs:DescribeLogGroups": {},
    "cloudwatch:DescribeAlarms": {},
    "lambda:ListFunctions": {},
    "apigateway:GetRestApis": {},
    "efs:DescribeFileSystems": {},
    "eks:ListClusters": {},
    "route53:ListHostedZones": {},
    "cloudfront:ListDistributions": {},
    "rds:DescribeDBInstances": {},
    "elbv2:DescribeLoadBalancers": {},
    "s3:ListBuckets": {},
    "s3:GetBucketTagging": {"Bucket": "demo-bucket"},
    "s3:GetBucketAcl": {"Bucket": "demo-bucket"},
    "s3control:ListAccessPoints": {"AccountId": "123456789012"},
    "resourcegroupstaggingapi:GetResources": {},
    "ssm:DescribeParameters": {},
    "organizations:DescribeOrganization": {},
    "sts:GetCallerIdentity": {},
}


def client(service: str, url: str) -> Any:
    """boto3's client of the emulator, without retries."""
    made = oracle.session().create_client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    if service == "s3control":  # botocore puts the account in front of whatever host it is given
        made.meta.events.register("before-send", lambda request, **_: setattr(request, "url", request.url.replace("123456789012.", "")))
    return made


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """A moto server with a little in it."""
    with moto() as url:
        fill(url)
        yield url


def fill(url: str) -> None:
    """A little of everything."""
    s3 = client("s3", url)
    s3.create_bucket(Bucket="demo-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_tagging(Bucket="demo-bucket", Tagging={"TagSet": [{"Key": "a b", "Value": "ü&<"}]})
    client("sqs", url).create_queue(QueueName="demo")
    client("sns", url).create_topic(Name="demo")
    client("logs", url).create_log_group(logGroupName="/demo")
    client("ssm", url).put_parameter(Name="demo", Value="x", Type="String")
    client("organizations", url).create_organization(FeatureSet="ALL")
    client("route53", url).create_hosted_zone(Name="demo.test", CallerReference="1")
    client("dynamodb", url).create_table(
        TableName="demo",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    trust = '{"Version": "2012-10-17", "Statement": []}'
    for number in range(3):
        client("iam", url).create_role(RoleName=f"demo-{number}", AssumeRolePolicyDocument=trust)


def test_the_emulator_reads_the_same_through_both(aws: str) -> None:
    async def ours() -> dict[str, dict[str, Any]]:
        wire = Wire(environ={"AWS_ENDPOINT_URL": aws}, clock=time.time)
        try:
            return {name: await wire.call(name, params, region=REGION, credentials=CREDENTIALS) for name, params in READS.items()}
        finally:
            await wire.close()

    for name, found in asyncio.run(ours()).items():
        service, short = name.split(":")
        theirs = client(service, aws)._make_api_call(short, READS[name])
        theirs.pop("ResponseMetadata")
        shape = oracle.model(name).output_shape
        if service == "iam":  # botocore decodes policies in its client, so they are compared as documents
            assert [role["AssumeRolePolicyDocument"] for role in found.get("Roles", found.get("RoleDetailList", []))] == [
                role["AssumeRolePolicyDocument"] for role in theirs.get("Roles", theirs.get("RoleDetailList", []))
            ]
        else:
            oracle.assert_same(shape, theirs, found, name)


def test_pages_and_errors_of_the_emulator(aws: str) -> None:
    async def use() -> None:
        refusals: list[tuple[str, dict[str, Any], str]] = [
            ("s3:GetBucketPolicy", {"Bucket": "demo-bucket"}, "NoSuchBucketPolicy"),
            ("ec2:DescribeVpcs", {"VpcIds": ["vpc-0000"]}, "InvalidVpcID.NotFound"),
            ("dynamodb:DescribeTable", {"TableName": "none"}, "ResourceNotFoundException"),
            ("eks:DescribeCluster", {"name": "none"}, "ResourceNotFoundException"),
            ("iam:GetServerCertificate", {"ServerCertificateName": "none"}, "NoSuchEntity"),
        ]
        wire = Wire(environ={"AWS_ENDPOINT_URL": aws}, clock=time.time)
        try:
            pages = [page async for page in wire.pages("iam:ListRoles", {"MaxItems": 1}, region=REGION, credentials=CREDENTIALS)]
            assert len(pages) == 3
            assert sorted(role["RoleName"] for page in pages for role in page["Roles"]) == ["demo-0", "demo-1", "demo-2"]
            for name, params, code in refusals:
                with pytest.raises(AwsError) as caught:
                    await wire.call(name, params, region=REGION, credentials=CREDENTIALS)
                assert caught.value.code == code
                assert classify(caught.value) == "final"
        finally:
            await wire.close()

    asyncio.run(use())
