"""Operations that no emulator has: empty in a new account, and what was put there afterwards."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from isthmus_lab.process import LabProcess

pytestmark = pytest.mark.e2e

LISTS: list[tuple[str, str, dict[str, Any], str]] = [
    ("accessanalyzer", "list_analyzers", {}, "analyzers"),
    ("lightsail", "get_instances", {}, "instances"),
    ("lightsail", "get_buckets", {}, "buckets"),
    ("macie2", "list_allow_lists", {}, "allowLists"),
    ("macie2", "list_classification_jobs", {}, "items"),
    ("codebuild", "list_source_credentials", {}, "sourceCredentialsInfos"),
    ("ec2", "describe_ipams", {}, "Ipams"),
    ("ssm", "list_resource_compliance_summaries", {}, "ResourceComplianceSummaryItems"),
    ("iam", "list_server_certificates", {}, "ServerCertificateMetadataList"),
    ("rds", "describe_event_subscriptions", {}, "EventSubscriptionsList"),
    ("wafv2", "list_logging_configurations", {"Scope": "REGIONAL"}, "LoggingConfigurations"),
    ("network-firewall", "list_rule_groups", {}, "RuleGroups"),
    ("network-firewall", "list_firewall_policies", {}, "FirewallPolicies"),
    ("sagemaker", "list_apps", {}, "Apps"),
    ("sagemaker", "list_devices", {}, "DeviceSummaries"),
    ("sagemaker", "list_images", {}, "Images"),
    ("elasticbeanstalk", "describe_configuration_settings", {"ApplicationName": "a", "TemplateName": "t"}, "ConfigurationSettings"),
    ("route53domains", "list_domains", {}, "Domains"),
]


@pytest.mark.parametrize(("service", "operation", "parameters", "key"), LISTS)
def test_new_account_has_none(client: Callable[..., Any], service: str, operation: str, parameters: dict[str, Any], key: str) -> None:
    assert getattr(client(service), operation)(**parameters)[key] == []


@pytest.mark.parametrize(
    ("service", "signing", "operation", "action", "answer"),
    [
        ("ec2", "ec2", "describe_ipams", "DescribeIpams", {"Ipams": [{"IpamId": "ipam-1", "IpamRegion": "eu-west-1"}]}),
        ("macie2", "macie2", "list_allow_lists", "ListAllowLists", {"allowLists": [{"id": "a", "name": "staff"}]}),
        ("lightsail", "lightsail", "get_instances", "GetInstances", {"instances": [{"name": "blog", "isStaticIp": True}]}),
        (
            "rds",
            "rds",
            "describe_event_subscriptions",
            "DescribeEventSubscriptions",
            {"EventSubscriptionsList": [{"CustSubscriptionId": "ops"}]},
        ),
    ],
)
def test_what_was_put_is_answered_there_and_nowhere_else(
    lab: LabProcess,
    client: Callable[..., Any],
    account: str,
    service: str,
    signing: str,
    operation: str,
    action: str,
    answer: dict[str, Any],
) -> None:
    fixture = {"account": account, "region": "eu-west-1", "service": signing, "action": action, "answer": answer}
    lab.admin("POST", "/_lab/fixtures", fixture)
    found = getattr(client(service, "eu-west-1"), operation)()
    found.pop("ResponseMetadata")
    assert found == answer
    elsewhere = getattr(client(service, "eu-central-1"), operation)()
    assert all(elsewhere[key] == [] for key in answer)


def test_policies_hold_for_fixtures(client: Callable[..., Any]) -> None:
    iam = client("iam")
    iam.create_user(UserName="nobody")
    key = {**iam.create_access_key(UserName="nobody")["AccessKey"], "SessionToken": None}
    analyzer = client("accessanalyzer", credentials=key)
    with pytest.raises(ClientError, match="AccessDenied"):
        analyzer.list_analyzers()
    allow = {"Effect": "Allow", "Action": "access-analyzer:List*", "Resource": "*"}
    iam.put_user_policy(UserName="nobody", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    assert analyzer.list_analyzers()["analyzers"] == []


def test_other_operations_are_an_error_an_sdk_can_read(client: Callable[..., Any]) -> None:
    with pytest.raises(ClientError, match="InvalidAction"):
        client("macie2").get_macie_session()
