"""Amazon SQS and SNS. Both answer attributes as text; those that CloudFormation types as numbers or booleans are converted one by one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from isthmus.clouds.aws.catalog.types import TAGGING, AwsType, Detail


def _name_queue(row: dict[str, Any]) -> dict[str, Any]:
    """A queue's name is the end of its URL."""
    return row | {"QueueName": row["QueueUrl"].rsplit("/", 1)[-1]}


def _name_topic(row: dict[str, Any]) -> dict[str, Any]:
    """A topic's name is the end of its ARN."""
    return row | {"TopicName": row["TopicArn"].rsplit(":", 1)[-1]}


def _without_password(row: dict[str, Any]) -> dict[str, Any]:
    """An HTTP endpoint may carry a user and a password: those are not ours to keep."""
    parts = urlsplit(row.get("Endpoint") or "")
    if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
        return row
    return row | {"Endpoint": urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1]))}


TYPES = (
    AwsType(
        arm="sqsQueues",
        service="sqs",
        cfn="AWS::SQS::Queue",
        list="sqs:ListQueues",
        items="QueueUrls[].{QueueUrl: @}",
        adapt=_name_queue,
        details=(
            Detail(
                operation="sqs:GetQueueAttributes",
                params="{QueueUrl: QueueUrl, AttributeNames: ['All']}",
                items="Attributes",
                none=frozenset({"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}),
            ),
        ),
        documents=("RedrivePolicy", "RedriveAllowPolicy"),
        id="QueueName",
        arn="arn:{partition}:sqs:{region}:{account}:{QueueName}",
        name="QueueName",
        tags=TAGGING,
        tagging="sqs",
        keep="QueueName QueueUrl KmsMasterKeyId DeduplicationScope FifoThroughputLimit RedrivePolicy RedriveAllowPolicy Tags",
        renamed={
            "arn": "QueueArn",
            "delaySeconds": "to_number(DelaySeconds)",
            "maximumMessageSize": "to_number(MaximumMessageSize)",
            "messageRetentionPeriod": "to_number(MessageRetentionPeriod)",
            "visibilityTimeout": "to_number(VisibilityTimeout)",
            "receiveMessageWaitTimeSeconds": "to_number(ReceiveMessageWaitTimeSeconds)",
            "fifoQueue": "FifoQueue=='true'",
            "contentBasedDeduplication": "ContentBasedDeduplication=='true'",
            "sqsManagedSseEnabled": "SqsManagedSseEnabled=='true'",
            "kmsDataKeyReusePeriodSeconds": "to_number(KmsDataKeyReusePeriodSeconds)",
        },
    ),
    AwsType(
        arm="snsTopics",
        service="sns",
        cfn="AWS::SNS::Topic",
        list="sns:ListTopics",
        items="Topics[]",
        adapt=_name_topic,
        details=(
            Detail(operation="sns:GetTopicAttributes", params="{TopicArn: TopicArn}", items="Attributes", none=frozenset({"NotFound"})),
        ),
        id="TopicArn",
        arn="TopicArn",
        name="TopicName",
        tags=TAGGING,
        tagging="sns",
        keep="TopicArn TopicName DisplayName KmsMasterKeyId SignatureVersion TracingConfig FifoThroughputScope Tags",
        renamed={"fifoTopic": "FifoTopic=='true'", "contentBasedDeduplication": "ContentBasedDeduplication=='true'"},
    ),
    AwsType(
        arm="snsSubscriptions",
        service="sns",
        cfn="AWS::SNS::Subscription",
        list="sns:ListSubscriptions",
        items="Subscriptions[]",
        adapt=_without_password,
        id="(starts_with(SubscriptionArn, 'arn:') && SubscriptionArn) || join('|', [TopicArn, Protocol, Endpoint])",
        arn="(starts_with(SubscriptionArn, 'arn:') && SubscriptionArn) || TopicArn",
        keep="Protocol Endpoint TopicArn",
        renamed={"arn": "SubscriptionArn"},
    ),
)
