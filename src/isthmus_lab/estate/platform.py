"""What runs, watches and builds: messages, logs, alarms, trails, recorders, pipelines, stacks."""

import json
from collections.abc import Callable

from isthmus_lab.estate.builder import Builder, pairs, tags

STACK = {
    "Description": "Dead letters of the shop",
    "Resources": {"Letters": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "shop-dead-letters"}}},
}


def make_messages(builder: Builder, region: str) -> None:
    """Queues, and a topic that feeds one."""
    sqs, sns = builder.client("sqs", region), builder.client("sns", region)
    for name, team in (("orders", "shop"), ("invoices", "billing"), ("exports", "data")):
        sqs.create_queue(QueueName=name, tags=tags(name, team, "prod"))
        builder.count("sqsQueues", region)
    topic = sns.create_topic(Name="order-events", Tags=pairs(tags("order-events", "shop", "prod")))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{region}:{builder.account}:orders")
    builder.count("snsTopics", region)
    builder.count("snsSubscriptions", region)


def make_logs(builder: Builder, region: str) -> None:
    """Log groups with a stream, a metric filter and a subscription; an alarm."""
    logs = builder.client("logs", region)
    for name, team in (("/harbour/orders", "shop"), ("/harbour/flow", "platform")):
        logs.create_log_group(logGroupName=name, tags=tags(name, team, "prod"))
        logs.create_log_stream(logGroupName=name, logStreamName="main")
        builder.count("logsLogGroups", region)
        builder.count("logsLogStreams", region)
    metric = {"metricName": "Errors", "metricNamespace": "Harbour", "metricValue": "1"}
    logs.put_metric_filter(logGroupName="/harbour/orders", filterName="errors", filterPattern="ERROR", metricTransformations=[metric])
    logs.put_subscription_filter(
        logGroupName="/harbour/orders",
        filterName="archive",
        filterPattern="",
        destinationArn=f"arn:aws:lambda:{region}:{builder.account}:function:orders-intake",
    )
    builder.client("cloudwatch", region).put_metric_alarm(
        AlarmName="orders-errors",
        Namespace="Harbour",
        MetricName="Errors",
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        Tags=pairs(tags("orders-errors", "shop", "prod")),
    )
    for name in ("logsMetricFilters", "logsSubscriptionFilters", "cloudWatchAlarms"):
        builder.count(name, region)


def make_records(builder: Builder, region: str) -> None:
    """A trail and a configuration recorder, both into a bucket of their own."""
    bucket = f"harbour-audit-{builder.account}"
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    builder.client("s3", region).create_bucket(Bucket=bucket, **place)
    builder.client("cloudtrail", region).create_trail(Name="audit", S3BucketName=bucket, IsMultiRegionTrail=True)
    config = builder.client("config", region)
    role = f"arn:aws:iam::{builder.account}:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
    config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role})
    config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": bucket})
    builder.count("s3Buckets", region)
    builder.count("s3AccessControlPolicies", region)
    builder.count("cloudTrailTrails", region)
    for name in ("ConfigurationRecorders", "ConfigurationRecorderStatuses", "DeliveryChannels"):
        builder.count(f"configService{name}", region)


def make_build(builder: Builder, region: str) -> None:
    """A build project."""
    builder.client("codebuild", region).create_project(
        name="nightly",
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=f"arn:aws:iam::{builder.account}:role/nightly-build",
        tags=[{"key": key, "value": value} for key, value in tags("nightly", "platform", "prod").items()],
    )
    builder.count("codeBuildProjects", region)


def make_graph(builder: Builder, region: str) -> None:
    """A GraphQL API."""
    builder.client("appsync", region).create_graphql_api(name="catalog", authenticationType="API_KEY", tags=tags("catalog", "shop", "prod"))
    builder.count("appSyncGraphQLApis", region)


def make_stack(builder: Builder, region: str) -> None:
    """A stack of the customer's own."""
    named = pairs(tags("dead-letters", "shop", "prod"))
    builder.client("cloudformation", region).create_stack(StackName="shop-dead-letters", TemplateBody=json.dumps(STACK), Tags=named)
    builder.count("cloudFormationStacks", region)
    builder.count("sqsQueues", region)


def make_analytics(builder: Builder, region: str) -> None:
    """An EMR cluster."""
    builder.client("emr", region).run_job_flow(
        Name="nightly-report",
        ReleaseLabel="emr-7.5.0",
        Instances={"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True},
        JobFlowRole="EMR_EC2_DefaultRole",
        ServiceRole="EMR_DefaultRole",
        Tags=pairs(tags("nightly-report", "data", "prod")),
    )
    builder.count("emrClusters", region)


Make = Callable[[Builder, str], None]
HOME_ONLY: tuple[Make, ...] = (make_records, make_build, make_graph, make_stack, make_analytics)
EVERYWHERE: tuple[Make, ...] = (make_messages, make_logs)
