"""The demo account's estate: what the summary says is there, every type has at least one resource, and it is made fast."""

from collections.abc import Callable
from typing import Any

import pytest

from isthmus_lab.estate import REGIONS, Summary, seed
from isthmus_lab.process import LabProcess

pytestmark = pytest.mark.e2e

ACCOUNT = "222222222222"

LISTS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "apiGatewayRestApis": ("apigateway", "get_rest_apis", "items", {}),
    "appSyncGraphQLApis": ("appsync", "list_graphql_apis", "graphqlApis", {}),
    "autoScalingAutoScalingGroups": ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", {}),
    "cloudFormationStacks": ("cloudformation", "describe_stacks", "Stacks", {}),
    "cloudFrontDistributions": ("cloudfront", "list_distributions", "DistributionList.Items", {}),
    "cloudTrailTrails": ("cloudtrail", "describe_trails", "trailList", {"includeShadowTrails": False}),
    "cloudWatchAlarms": ("cloudwatch", "describe_alarms", "MetricAlarms", {}),
    "codeBuildProjects": ("codebuild", "list_projects", "projects", {}),
    "configServiceConfigurationRecorders": ("config", "describe_configuration_recorders", "ConfigurationRecorders", {}),
    "configServiceConfigurationRecorderStatuses": ("config", "describe_configuration_recorder_status", "ConfigurationRecordersStatus", {}),
    "configServiceDeliveryChannels": ("config", "describe_delivery_channels", "DeliveryChannels", {}),
    "dynamoDBTables": ("dynamodb", "list_tables", "TableNames", {}),
    "ec2Addresses": ("ec2", "describe_addresses", "Addresses", {}),
    "ec2FlowLogs": ("ec2", "describe_flow_logs", "FlowLogs", {}),
    "ec2Images": ("ec2", "describe_images", "Images", {"Owners": ["self"]}),
    "ec2Instances": ("ec2", "describe_instances", "Reservations", {}),
    "ec2InstanceStatuses": ("ec2", "describe_instance_status", "InstanceStatuses", {"IncludeAllInstances": True}),
    "ec2KeyPairs": ("ec2", "describe_key_pairs", "KeyPairs", {}),
    "ec2NetworkAcls": ("ec2", "describe_network_acls", "NetworkAcls", {}),
    "ec2NetworkInterfaces": ("ec2", "describe_network_interfaces", "NetworkInterfaces", {}),
    "ec2RouteTables": ("ec2", "describe_route_tables", "RouteTables", {}),
    "ec2SecurityGroups": ("ec2", "describe_security_groups", "SecurityGroups", {}),
    "ec2Snapshots": ("ec2", "describe_snapshots", "Snapshots", {"OwnerIds": ["self"]}),
    "ec2Subnets": ("ec2", "describe_subnets", "Subnets", {}),
    "ec2VPCEndpoints": ("ec2", "describe_vpc_endpoints", "VpcEndpoints", {}),
    "ec2VPCPeeringConnections": ("ec2", "describe_vpc_peering_connections", "VpcPeeringConnections", {}),
    "ec2VPCs": ("ec2", "describe_vpcs", "Vpcs", {}),
    "ec2Volumes": ("ec2", "describe_volumes", "Volumes", {}),
    "ecrRepositories": ("ecr", "describe_repositories", "repositories", {}),
    "ecrImageDetails": ("ecr", "describe_images", "imageDetails", {"repositoryName": "harbour/orders"}),
    "ecsClusters": ("ecs", "list_clusters", "clusterArns", {}),
    "ecsServices": ("ecs", "list_services", "serviceArns", {"cluster": "harbour"}),
    "ecsTaskDefinitions": ("ecs", "list_task_definitions", "taskDefinitionArns", {}),
    "efsFileSystems": ("efs", "describe_file_systems", "FileSystems", {}),
    "elasticLoadBalancingV2LoadBalancers": ("elbv2", "describe_load_balancers", "LoadBalancers", {}),
    "elasticLoadBalancingV2TargetGroups": ("elbv2", "describe_target_groups", "TargetGroups", {}),
    "emrClusters": ("emr", "list_clusters", "Clusters", {}),
    "iamManagedPolicies": ("iam", "list_policies", "Policies", {"Scope": "Local"}),
    "iamRoles": ("iam", "list_roles", "Roles", {}),
    "iamVirtualMFADevices": ("iam", "list_virtual_mfa_devices", "VirtualMFADevices", {}),
    "kmsKeys": ("kms", "list_keys", "Keys", {}),
    "lambdaFunctions": ("lambda", "list_functions", "Functions", {}),
    "logsLogGroups": ("logs", "describe_log_groups", "logGroups", {}),
    "logsMetricFilters": ("logs", "describe_metric_filters", "metricFilters", {}),
    "rdsDBClusters": ("rds", "describe_db_clusters", "DBClusters", {}),
    "rdsDBInstances": ("rds", "describe_db_instances", "DBInstances", {}),
    "rdsDBSnapshots": ("rds", "describe_db_snapshots", "DBSnapshots", {}),
    "route53HostedZones": ("route53", "list_hosted_zones", "HostedZones", {}),
    "secretsManagerSecrets": ("secretsmanager", "list_secrets", "SecretList", {}),
    "snsTopics": ("sns", "list_topics", "Topics", {}),
    "snsSubscriptions": ("sns", "list_subscriptions", "Subscriptions", {}),
    "sqsQueues": ("sqs", "list_queues", "QueueUrls", {}),
    "ssmParameters": ("ssm", "describe_parameters", "Parameters", {}),
}


@pytest.fixture(scope="module")
def estate(lab: LabProcess) -> Summary:
    return seed(lab.url, ACCOUNT)


@pytest.fixture
def account() -> str:
    return ACCOUNT


def test_estate_is_wide_and_made_fast(estate: Summary) -> None:
    assert len(estate.types) >= 90
    assert estate.resources >= 200
    assert {region for _, region in estate.made} - {"global"} == set(REGIONS)
    assert estate.seconds < 60  # about 4 s on two free cores; this only catches a seed that hangs


@pytest.mark.parametrize("name", LISTS)
def test_type_lists_at_least_what_was_made(name: str, estate: Summary, client: Callable[..., Any]) -> None:
    service, operation, key, parameters = LISTS[name]
    made = {region: number for (kind, region), number in estate.made.items() if kind == name}
    assert made
    for region, number in made.items():
        found: Any = getattr(client(service, "us-east-1" if region == "global" else region), operation)(**parameters)
        for part in key.split("."):
            found = found[part]
        assert len(found) >= number


def test_machines_are_mixed(estate: Summary, client: Callable[..., Any]) -> None:
    assert len(estate.onboardable()) == 24
    assert {machine.region for machine in estate.machines} == set(REGIONS[:3])
    states = [machine.state for machine in estate.machines]
    assert 2 <= states.count("stopped") <= 6
    assert {machine.tags["arc"] for machine in estate.machines} == {"yes", "no"}
    assert {machine.tags["env"] for machine in estate.machines} == {"prod", "staging"}
    chosen = estate.onboardable()
    assert {machine.region for machine in chosen} == set(REGIONS[:3])
    assert 0 < sum(machine.profile is not None for machine in chosen) < len(chosen) / 2
    assert {machine.platform for machine in estate.machines} == {"linux", "windows"}
    for machine in estate.machines:
        rows = client("ec2", machine.region).describe_instances(InstanceIds=[machine.instance_id])["Reservations"][0]["Instances"]
        assert rows[0]["State"]["Name"] == machine.state
        assert {tag["Key"]: tag["Value"] for tag in rows[0]["Tags"]} == machine.tags
        assert ("IamInstanceProfile" in rows[0]) == (machine.profile is not None)
        assert (rows[0].get("Platform") == "windows") == (machine.platform == "windows")


def test_two_estates_do_not_mix(lab: LabProcess, estate: Summary, client: Callable[..., Any]) -> None:
    other = seed(lab.url, "333333333333", machines=3)
    assert len(other.onboardable()) == 3
    assert not {one.instance_id for one in other.machines} & {one.instance_id for one in estate.machines}
    rows = client("ec2", REGIONS[0]).describe_instances()["Reservations"]
    mine = {one.instance_id for one in estate.machines if one.region == REGIONS[0]}
    assert {instance["InstanceId"] for row in rows for instance in row["Instances"]} == mine


def test_types_that_no_emulator_makes_are_said_to_be_fixtures(estate: Summary, client: Callable[..., Any]) -> None:
    assert set(estate.fixtures) < set(estate.types)
    assert "ec2Instances" not in estate.fixtures
    home = REGIONS[0]
    assert client("accessanalyzer", home).list_analyzers()["analyzers"][0]["name"] == "account"
    assert client("macie2", home).get_allow_list(id="staff0001")["criteria"]
    assert client("network-firewall", home).describe_rule_group(RuleGroupName="egress")["RuleGroupResponse"]["RuleGroupName"] == "egress"
    assert client("network-firewall", home).list_firewall_policies()["FirewallPolicies"][0]["Name"] == "egress"
    assert client("iam").get_server_certificate(ServerCertificateName="legacy-shop")["ServerCertificate"]
    assert client("sagemaker", home).list_images()["Images"][0]["ImageName"] == "forecast"
    assert client("lightsail", home).get_buckets()["buckets"][0]["name"] == "blog-media"
    assert client("rds", home).describe_db_snapshot_attributes(DBSnapshotIdentifier="ledger-before-upgrade")["DBSnapshotAttributesResult"]
    assert client("route53domains").list_domains()["Domains"][0]["DomainName"] == "harbour.example"
    assert client("ec2", home).describe_ipams()["Ipams"][0]["Tags"]
