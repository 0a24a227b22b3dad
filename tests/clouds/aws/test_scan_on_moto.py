"""A scan through the real wire against moto: the same ids as boto3 lists, for every type that moto answers."""

from __future__ import annotations

import asyncio
import io
import json
import os
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from botocore import xform_name
from moto.server import ThreadedMotoServer
from tests.clouds.aws.fake_aws import Tokens

from isthmus.clouds.aws.catalog import TYPES, AwsType, path
from isthmus.clouds.aws.listing import starts_of
from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.scan import AwsScanner
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.wire import Wire
from isthmus.clouds.contract import Gap, Item, Listed, Reading, ScanTarget, Selection

pytestmark = pytest.mark.slow

ACCOUNT = "123456789012"
TARGET = ScanTarget(account=ACCOUNT, guid="5f2b7c1e-0000-4000-8000-000000000000", solution="Microsoft.AssetManagement")
REGIONS = ("eu-west-1", "us-east-1")
HOME = "us-east-1"
UNKNOWN_TO_MOTO = {"ssmInstanceInformations"}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
TAGS = [{"Key": "team", "Value": "sea"}]


class Account:
    """boto3's view of the account in moto."""

    def __init__(self, url: str) -> None:
        self.url = url

    @cache  # noqa: B019  # lives as long as the module's fixture
    def client(self, service: str, region: str = HOME) -> Any:
        return boto3.client(
            service, region_name=region, endpoint_url=self.url, aws_access_key_id="testing", aws_secret_access_key="testing"
        )

    def rows(self, entry: AwsType, region: str) -> list[dict[str, Any]]:
        """The rows of a type's list as boto3 answers them, page after page."""
        starts = starts_of(entry, self.rows(entry.parent.type, region), region, HOME) if entry.parent else [None]
        found = []
        for start in starts:
            pages = [start.shown] if start and not entry.list else self._pages(entry, start.params if start else {}, region)
            for page in pages:
                items = path(entry.items)(page)
                for row in items if isinstance(items, list) else [items] if items else []:
                    found.append(dict(row) | ({"Parent": start.shown} if start else {}))
        return found

    def _pages(self, entry: AwsType, params: Any, region: str) -> list[dict[str, Any]]:
        service, _, operation = entry.list.partition(":")
        client, name = self.client(service, region), xform_name(operation)
        try:
            if client.can_paginate(name):
                return list(client.get_paginator(name).paginate(**{**entry.params, **params}))
            return [getattr(client, name)(**{**entry.params, **params})]
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in entry.none:
                return []
            raise

    def ids(self, entry: AwsType, region: str) -> set[str]:
        rows = self.rows(entry, region)
        return {str(path(entry.id)(entry.adapt(row) if entry.adapt else row)) for row in rows}


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    patch = pytest.MonkeyPatch()
    for name, value in {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}.items():
        patch.setenv(name, value)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    made = Account(f"http://{host}:{port}")
    seed_global(made)
    for region in REGIONS:
        seed(made, region)
    yield made
    server.stop()
    patch.undo()


def seed_global(made: Account) -> None:
    iam, s3 = made.client("iam"), made.client("s3")
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
    iam.create_role(RoleName="harbour", AssumeRolePolicyDocument=trust, Description="a role", Tags=TAGS)
    iam.put_role_policy(RoleName="harbour", PolicyName="inline", PolicyDocument=json.dumps(EVERYTHING))
    iam.create_policy(PolicyName="lighthouse", PolicyDocument=json.dumps(EVERYTHING))
    for name in ("ada", "grace"):
        iam.create_user(UserName=name)
        iam.create_access_key(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(EVERYTHING))
    iam.create_virtual_mfa_device(VirtualMFADeviceName="pocket")
    iam.update_account_password_policy(MinimumPasswordLength=12)
    for number in range(3):
        s3.create_bucket(Bucket=f"isthmus-{number}")
    s3.put_bucket_policy(
        Bucket="isthmus-0", Policy=json.dumps(EVERYTHING | {"Statement": [EVERYTHING["Statement"][0] | {"Principal": "*"}]})
    )
    s3.put_bucket_tagging(Bucket="isthmus-1", Tagging={"TagSet": TAGS})
    made.client("route53").create_hosted_zone(Name="isthmus.test", CallerReference="1")


def seed(made: Account, region: str) -> None:
    def client(service: str) -> Any:
        return made.client(service, region)

    ec2 = client("ec2")
    network = ec2.create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": TAGS}])["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
    other = ec2.create_subnet(VpcId=network, CidrBlock="10.1.2.0/24", AvailabilityZone=f"{region}b")["Subnet"]["SubnetId"]
    instances = ec2.run_instances(ImageId="ami-12c6146b", MinCount=3, MaxCount=3, SubnetId=subnet, InstanceType="t3.micro")["Instances"]
    ec2.create_tags(Resources=[instances[0]["InstanceId"]], Tags=[{"Key": "Name", "Value": "buoy"}])
    ec2.create_image(InstanceId=instances[0]["InstanceId"], Name="picture")
    volume = ec2.create_volume(AvailabilityZone=f"{region}a", Size=8)["VolumeId"]
    ec2.create_snapshot(VolumeId=volume)
    ec2.create_key_pair(KeyName="key")
    ec2.allocate_address(Domain="vpc")
    ec2.create_vpc_endpoint(VpcId=network, ServiceName=f"com.amazonaws.{region}.s3")
    bucket = "arn:aws:s3:::isthmus-0"
    ec2.create_flow_logs(ResourceIds=[network], ResourceType="VPC", TrafficType="ALL", LogDestinationType="s3", LogDestination=bucket)
    ec2.create_vpc_peering_connection(VpcId=network, PeerVpcId=ec2.describe_vpcs()["Vpcs"][0]["VpcId"])
    client("sqs").create_queue(QueueName="queue", tags={"team": "sea"})
    topic = client("sns").create_topic(Name="topic", Tags=TAGS)["TopicArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="a@isthmus.test")
    for number in range(2):
        client("dynamodb").create_table(
            TableName=f"table{number}",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            Tags=TAGS,
        )
    client("rds").create_db_instance(
        DBInstanceIdentifier="base",
        DBInstanceClass="db.t3.micro",
        Engine="postgres",
        MasterUsername="me",
        MasterUserPassword="not-stored-1",
    )
    client("rds").create_db_cluster(
        DBClusterIdentifier="cluster", Engine="aurora-mysql", MasterUsername="me", MasterUserPassword="not-stored-2"
    )
    client("kms").create_key(Description="a key", Tags=[{"TagKey": "team", "TagValue": "sea"}])
    client("secretsmanager").create_secret(Name="secret", SecretString="not-stored-3", Tags=TAGS)
    client("ssm").put_parameter(Name="/a/parameter", Value="not-stored-4", Type="SecureString")
    client("logs").create_log_group(logGroupName="/group", tags={"team": "sea"})
    client("logs").put_metric_filter(
        logGroupName="/group",
        filterName="f",
        filterPattern="x",
        metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
    )
    client("cloudwatch").put_metric_alarm(
        AlarmName="alarm",
        MetricName="m",
        Namespace="n",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
    )
    client("ecr").create_repository(repositoryName="repository", tags=TAGS)
    ecs = client("ecs")
    cluster = ecs.create_cluster(clusterName="cluster", tags=[{"key": "team", "value": "sea"}])["cluster"]["clusterArn"]
    environment = [{"name": "TOKEN", "value": "not-stored-5"}]
    ecs.register_task_definition(family="task", containerDefinitions=[{"name": "c", "image": "i", "memory": 1, "environment": environment}])
    ecs.create_service(cluster=cluster, serviceName="service", taskDefinition="task", desiredCount=0)
    client("efs").create_file_system(CreationToken="token", Tags=TAGS)
    client("eks").create_cluster(name="cluster", roleArn=f"arn:aws:iam::{ACCOUNT}:role/harbour", resourcesVpcConfig={"subnetIds": [subnet]})
    balancer = client("elbv2").create_load_balancer(Name="balancer", Subnets=[subnet, other], Tags=TAGS)["LoadBalancers"][0][
        "LoadBalancerArn"
    ]
    group = client("elbv2").create_target_group(Name="group", Protocol="HTTP", Port=80, VpcId=network)["TargetGroups"][0]["TargetGroupArn"]
    action = [{"Type": "forward", "TargetGroupArn": group}]
    client("elbv2").create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=action)
    client("apigateway").create_rest_api(name="api", tags={"team": "sea"})
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "pass")
    client("lambda").create_function(
        FunctionName="function",
        Runtime="python3.12",
        Role=f"arn:aws:iam::{ACCOUNT}:role/harbour",
        Handler="f.f",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"TOKEN": "not-stored-6"}},
        Tags={"team": "sea"},
    )
    template = {"Parameters": {"P": {"Type": "String"}}, "Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}
    client("cloudformation").create_stack(
        StackName="stack", TemplateBody=json.dumps(template), Parameters=[{"ParameterKey": "P", "ParameterValue": "not-stored-7"}]
    )
    client("cloudtrail").create_trail(Name="trail", S3BucketName="isthmus-0")


class Scan:
    """One scan, with what it cost."""

    def __init__(self, url: str) -> None:
        self.readings: list[Reading] = []
        self.wire = Wire(environ={"AWS_ENDPOINT_URL": url}, clock=time.time)
        asyncio.run(self._run())

    async def _run(self) -> None:
        sessions = Sessions(self.wire, Tokens(), Pacer(time.monotonic), time.time)
        async for reading in AwsScanner(sessions).scan(TARGET, Selection(regions=REGIONS)):
            self.readings.append(reading)
        await self.wire.close()

    @property
    def ids(self) -> dict[tuple[str, str], set[str]]:
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for each in self.readings:
            if isinstance(each, Item):
                found[each.cell.type, each.cell.region].add(each.id)
        return found

    def item(self, type_: str, region: str = "eu-west-1") -> Item:
        return next(each for each in self.readings if isinstance(each, Item) and (each.cell.type, each.cell.region) == (type_, region))


@pytest.fixture(scope="module")
def scan(account: Account) -> Scan:
    return Scan(account.url)


def test_every_cell_is_listed(scan: Scan) -> None:
    gaps = [each for each in scan.readings if isinstance(each, Gap) and each.cell.type not in UNKNOWN_TO_MOTO]
    assert gaps == []
    short = {each.cell.type: each.shortfalls for each in scan.readings if isinstance(each, Listed) and each.shortfalls}
    assert short == {}


@pytest.mark.parametrize("entry", [each for each in TYPES.values() if each.arm not in UNKNOWN_TO_MOTO], ids=lambda each: each.arm)
def test_the_ids_are_those_that_boto3_lists(entry: AwsType, scan: Scan, account: Account) -> None:
    for region in ("",) if entry.is_global else REGIONS:
        assert scan.ids[entry.arm, region] == account.ids(entry, region or HOME)


def test_most_types_were_seen_with_resources(scan: Scan) -> None:
    seen = {type_ for type_, _ in scan.ids}
    assert len(seen) >= 50, sorted(set(TYPES) - seen)


def test_items_read_as_azure_documents_them(scan: Scan) -> None:
    instance = next(each for each in scan.readings if isinstance(each, Item) and each.cell.type == "ec2Instances" and each.name == "buoy")
    assert instance.properties["instanceType"] == {"value": "t3.micro"}
    assert instance.tags == {"Name": "buoy"}
    assert scan.item("rdsDBInstances").properties["dbInstanceIdentifier"] == "base"
    assert scan.item("ec2Volumes").properties["size"] in (8, 15)
    role = scan.item("iamRoles", "")
    assert (role.properties["description"], role.tags) == ("a role", {"team": "sea"})
    assert role.properties["assumeRolePolicyDocument"]["Statement"][0]["Action"] == "sts:AssumeRole"
    for type_ in ("sqsQueues", "snsTopics", "dynamoDBTables", "lambdaFunctions", "kmsKeys", "elasticLoadBalancingV2LoadBalancers"):
        assert {"team": "sea"} in [each.tags for each in scan.readings if isinstance(each, Item) and each.cell.type == type_], type_


def test_no_secret_is_stored(scan: Scan) -> None:
    assert "not-stored" not in repr(scan.readings)


def test_a_second_scan_finds_equal_digests(scan: Scan, account: Account) -> None:
    def digests(one: Scan) -> dict[tuple[Any, str], str]:
        return {(each.cell, each.id): each.digest for each in one.readings if isinstance(each, Item)}

    assert digests(Scan(account.url)) == digests(scan)


def test_no_list_is_made_twice(scan: Scan) -> None:
    calls = scan.wire.calls
    assert calls["sts", "AssumeRoleWithWebIdentity", HOME] == 1
    assert calls["ec2", "DescribeRegions", HOME] == 1
    assert calls["iam", "ListUsers", HOME] == 1
    assert calls["s3", "ListBuckets", HOME] == 1
    assert calls["ecs", "ListClusters", "eu-west-1"] == 1
    assert not os.environ.get("AWS_ENDPOINT_URL")
