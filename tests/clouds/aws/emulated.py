"""An account in an emulator, filled through boto3 and listed through boto3: what a scan is compared with."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from typing import Any

import boto3
from botocore import xform_name

from isthmus.clouds.aws.catalog import AwsType, path
from isthmus.clouds.aws.listing import starts_of

ACCOUNT = "123456789012"
HOME = "us-east-1"
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
    client("guardduty").create_detector(Enable=True, Tags={"team": "sea"})
    client("redshift").create_cluster(
        ClusterIdentifier="stars", NodeType="ra3.large", MasterUsername="me", MasterUserPassword="Not-stored-8", Tags=TAGS
    )
    client("redshift").create_cluster_parameter_group(ParameterGroupName="g", ParameterGroupFamily="redshift-1.0", Description="d")
    client("elasticbeanstalk").create_application(ApplicationName="beans")
    client("elasticbeanstalk").create_environment(ApplicationName="beans", EnvironmentName="green")
    client("sagemaker").create_notebook_instance(
        NotebookInstanceName="book", InstanceType="ml.t3.medium", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/r"
    )
    client("ecr").put_image(
        repositoryName="repository",
        imageManifest=json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}),
        imageTag="latest",
    )
    client("rds").create_db_snapshot(DBInstanceIdentifier="base", DBSnapshotIdentifier="picture")
    client("elbv2").register_targets(TargetGroupArn=group, Targets=[{"Id": instances[0]["InstanceId"]}])
    client("opensearch").create_domain(DomainName="search")
    client("autoscaling").create_launch_configuration(LaunchConfigurationName="l", ImageId="ami-12c6146b", InstanceType="t3.micro")
    client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="group", LaunchConfigurationName="l", MinSize=0, MaxSize=1, VPCZoneIdentifier=f"{subnet},{other}"
    )
    client("codebuild").create_project(
        name="project",
        source={"type": "S3", "location": "isthmus-0/source"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "i",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": "TOKEN", "value": "not-stored-9"}],
        },
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/service-role/r",
    )
    client("appsync").create_graphql_api(name="graph", authenticationType="API_KEY")
    client("config").put_configuration_recorder(ConfigurationRecorder={"name": "recorder", "roleARN": f"arn:aws:iam::{ACCOUNT}:role/r"})
    client("cloudtrail").create_trail(Name="trail", S3BucketName="isthmus-0")
