"""Networks and what stands in front of them: one VPC per region, peered with the home region, a load balancer."""

from dataclasses import dataclass
from typing import Any

from isthmus_lab.estate.builder import Builder, pairs, specification, tags


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """The estate's own VPC in a region."""

    region: str
    vpc: str
    subnets: tuple[str, ...]
    group: str


def make_network(builder: Builder, region: str, number: int) -> Network:
    """A VPC with two subnets, routes, a network ACL, a security group, an endpoint, flow logs and an address."""
    ec2 = builder.client("ec2", region)
    named = tags("harbour", "platform", "prod")
    vpc = ec2.create_vpc(CidrBlock=f"10.{20 + number}.0.0/16", TagSpecifications=specification("vpc", named))["Vpc"]["VpcId"]
    subnets = tuple(
        ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=f"10.{20 + number}.{index}.0/24",
            AvailabilityZone=f"{region}{zone}",
            TagSpecifications=specification("subnet", named | {"Name": f"harbour-{zone}"}),
        )["Subnet"]["SubnetId"]
        for index, zone in enumerate("ab")
    )
    group = ec2.create_security_group(
        GroupName="harbour-web",
        Description="web from the load balancer",
        VpcId=vpc,
        TagSpecifications=specification("security-group", named),
    )["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    ec2.create_route_table(VpcId=vpc, TagSpecifications=specification("route-table", named))
    ec2.create_network_acl(VpcId=vpc, TagSpecifications=specification("network-acl", named))
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=f"com.amazonaws.{region}.s3", TagSpecifications=specification("vpc-endpoint", named))
    ec2.create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="REJECT",
        LogGroupName="/harbour/flow",
        DeliverLogsPermissionArn=f"arn:aws:iam::{builder.account}:role/flow-logs",
    )
    ec2.allocate_address(Domain="vpc", TagSpecifications=specification("elastic-ip", named))
    interface = specification("network-interface", named)
    ec2.create_network_interface(SubnetId=subnets[0], Description="appliance", Groups=[group], TagSpecifications=interface)
    for name, made in (("ec2VPCs", 1), ("ec2Subnets", 2), ("ec2SecurityGroups", 1), ("ec2RouteTables", 1), ("ec2NetworkAcls", 1)):
        builder.count(name, region, made)
    for name in ("ec2VPCEndpoints", "ec2FlowLogs", "ec2Addresses", "ec2NetworkInterfaces"):
        builder.count(name, region)
    return Network(region=region, vpc=vpc, subnets=subnets, group=group)


def make_peering(builder: Builder, home: Network, other: Network) -> None:
    """Peer two networks."""
    ec2 = builder.client("ec2", home.region)
    ec2.create_vpc_peering_connection(VpcId=home.vpc, PeerVpcId=other.vpc, PeerRegion=other.region)
    builder.count("ec2VPCPeeringConnections", home.region)


def make_balancer(builder: Builder, network: Network, targets: list[str]) -> None:
    """A load balancer with listener and target group in front of the shop."""
    elb = builder.client("elbv2", network.region)
    named = pairs(tags("shop", "shop", "prod"))
    balancer = elb.create_load_balancer(Name="shop", Subnets=list(network.subnets), SecurityGroups=[network.group], Tags=named)
    arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(Name="shop-web", Protocol="HTTP", Port=8080, VpcId=network.vpc, Tags=named)
    group_arn = group["TargetGroups"][0]["TargetGroupArn"]
    elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": group_arn}])
    if targets:
        elb.register_targets(TargetGroupArn=group_arn, Targets=[{"Id": one} for one in targets])
        builder.count("elasticLoadBalancingV2TargetHealthDescriptions", network.region, len(targets))
    for name in ("LoadBalancers", "Listeners", "TargetGroups"):
        builder.count(f"elasticLoadBalancingV2{name}", network.region)


def make_edges(builder: Builder, region: str) -> None:
    """An API with a stage, a zone, a distribution."""
    gateway = builder.client("apigateway", region)
    api = gateway.create_rest_api(name="orders", tags=tags("orders", "shop", "prod"))["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    gateway.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
    gateway.put_integration(restApiId=api, resourceId=root, httpMethod="GET", type="MOCK")
    gateway.create_deployment(restApiId=api, stageName="live")
    zone: dict[str, Any] = {"Name": "harbour.example", "CallerReference": "harbour"}
    builder.client("route53", "us-east-1").create_hosted_zone(**zone)
    origin = {"Id": "shop", "DomainName": "shop.harbour.example", "CustomOriginConfig": _ORIGIN}
    builder.client("cloudfront", "us-east-1").create_distribution(
        DistributionConfig={
            "CallerReference": "harbour",
            "Comment": "shop",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": {
                "TargetOriginId": "shop",
                "ViewerProtocolPolicy": "redirect-to-https",
                "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
                "MinTTL": 0,
            },
        }
    )
    builder.count("apiGatewayRestApis", region)
    builder.count("apiGatewayStages", region)
    builder.count("route53HostedZones", "global")
    builder.count("cloudFrontDistributions", "global")


_ORIGIN = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}
