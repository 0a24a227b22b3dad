"""Elastic Load Balancing v2, Route 53, CloudFront and Network Firewall."""

from __future__ import annotations

from typing import Any

from isthmus.clouds.aws.catalog.types import HOME, TAGGING, AwsType, Detail, Parent


def _bare_zone(row: dict[str, Any]) -> dict[str, Any]:
    """Route 53 answers `/hostedzone/Z123`; the id proper is the last part."""
    return row | {"Id": row["Id"].rsplit("/", 1)[-1]}


LOAD_BALANCERS = AwsType(
    arm="elasticLoadBalancingV2LoadBalancers",
    service="elasticloadbalancingv2",
    cfn="AWS::ElasticLoadBalancingV2::LoadBalancer",
    list="elbv2:DescribeLoadBalancers",
    items="LoadBalancers[]",
    id="LoadBalancerArn",
    arn="LoadBalancerArn",
    name="LoadBalancerName",
    tags=TAGGING,
    tagging="elasticloadbalancing:loadbalancer",
    keep="LoadBalancerArn DNSName LoadBalancerName Scheme Type SecurityGroups IpAddressType"
    " EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic Tags",
    renamed={"name": "LoadBalancerName", "subnets": "AvailabilityZones[].SubnetId", "canonicalHostedZoneID": "CanonicalHostedZoneId"},
)

TARGET_GROUPS = AwsType(
    arm="elasticLoadBalancingV2TargetGroups",
    service="elasticloadbalancingv2",
    cfn="AWS::ElasticLoadBalancingV2::TargetGroup",
    list="elbv2:DescribeTargetGroups",
    items="TargetGroups[]",
    id="TargetGroupArn",
    arn="TargetGroupArn",
    name="TargetGroupName",
    tags=TAGGING,
    tagging="elasticloadbalancing:targetgroup",
    keep="TargetGroupArn TargetGroupName Protocol Port VpcId HealthCheckProtocol HealthCheckPort HealthCheckEnabled"
    " HealthCheckIntervalSeconds HealthCheckTimeoutSeconds HealthyThresholdCount UnhealthyThresholdCount HealthCheckPath Matcher"
    " LoadBalancerArns TargetType ProtocolVersion IpAddressType Tags",
    renamed={"name": "TargetGroupName"},
)

_ORIGINS = "Origins.Items[].{Id: Id, DomainName: DomainName, OriginPath: OriginPath}"

TYPES = (
    LOAD_BALANCERS,
    TARGET_GROUPS,
    AwsType(
        arm="elasticLoadBalancingV2Listeners",
        service="elasticloadbalancingv2",
        cfn="AWS::ElasticLoadBalancingV2::Listener",
        list="elbv2:DescribeListeners",
        parent=Parent(type=LOAD_BALANCERS, params="{LoadBalancerArn: LoadBalancerArn}"),
        items="Listeners[]",
        none=frozenset({"LoadBalancerNotFound", "LoadBalancerNotFoundException"}),
        secret=("DefaultActions[].AuthenticateOidcConfig.ClientSecret",),
        id="ListenerArn",
        arn="ListenerArn",
        tags=TAGGING,
        tagging="elasticloadbalancing:listener",
        keep="ListenerArn LoadBalancerArn Port Protocol Certificates SslPolicy DefaultActions AlpnPolicy MutualAuthentication",
    ),
    AwsType(
        arm="elasticLoadBalancingV2TargetHealthDescriptions",
        service="elasticloadbalancingv2",
        list="elbv2:DescribeTargetHealth",
        parent=Parent(type=TARGET_GROUPS, params="{TargetGroupArn: TargetGroupArn}"),
        items="TargetHealthDescriptions[]",
        none=frozenset({"TargetGroupNotFound", "TargetGroupNotFoundException"}),
        id="join('/', [Parent.TargetGroupArn, Target.Id, to_string(Target.Port)])",
        arn="Parent.TargetGroupArn",
        name="Target.Id",
        volatile=("targetHealth",),
    ),
    AwsType(
        arm="route53HostedZones",
        service="route53",
        cfn="AWS::Route53::HostedZone",
        answers_in=HOME,
        list="route53:ListHostedZones",
        items="HostedZones[]",
        adapt=_bare_zone,
        id="Id",
        arn="arn:{partition}:route53:::hostedzone/{Id}",
        name="Name",
        tags=TAGGING,
        tagging="route53:hostedzone",
        keep="Id Name",
        renamed={"hostedZoneConfig": "{Comment: Config.Comment}"},
    ),
    AwsType(
        arm="cloudFrontDistributions",
        service="cloudfront",
        cfn="AWS::CloudFront::Distribution",
        answers_in=HOME,
        list="cloudfront:ListDistributions",
        items="DistributionList.Items[]",
        id="Id",
        arn="ARN",
        name="DomainName",
        tags=TAGGING,
        tagging="cloudfront:distribution",
        keep="Id DomainName Tags",
        renamed={
            "distributionConfig": "{Aliases: Aliases.Items, Comment: Comment, Enabled: Enabled, HttpVersion: HttpVersion,"
            f" PriceClass: PriceClass, WebACLId: WebACLId, IPV6Enabled: IsIPV6Enabled, Origins: {_ORIGINS}}}",
        },
    ),
    AwsType(
        arm="networkFirewallFirewalls",
        service="networkfirewall",
        cfn="AWS::NetworkFirewall::Firewall",
        list="network-firewall:ListFirewalls",
        items="Firewalls[]",
        details=(
            Detail(
                operation="network-firewall:DescribeFirewall",
                params="{FirewallArn: FirewallArn}",
                items="Firewall",
                none=frozenset({"ResourceNotFoundException"}),
            ),
        ),
        id="FirewallArn",
        arn="FirewallArn",
        name="FirewallName",
        tags="Tags",
        keep="FirewallName FirewallArn FirewallPolicyArn VpcId SubnetMappings DeleteProtection SubnetChangeProtection"
        " FirewallPolicyChangeProtection Description FirewallId Tags",
    ),
    AwsType(
        arm="networkFirewallFirewallPolicies",
        service="networkfirewall",
        cfn="AWS::NetworkFirewall::FirewallPolicy",
        list="network-firewall:ListFirewallPolicies",
        items="FirewallPolicies[]",
        details=(
            Detail(
                operation="network-firewall:DescribeFirewallPolicy",
                params="{FirewallPolicyArn: Arn}",
                items="merge(FirewallPolicyResponse, {FirewallPolicy: FirewallPolicy})",
                none=frozenset({"ResourceNotFoundException"}),
            ),
        ),
        id="Arn",
        arn="Arn",
        name="Name",
        tags="Tags",
        keep="FirewallPolicyArn FirewallPolicyId Description FirewallPolicy Tags",
        renamed={"firewallPolicyName": "Name"},
    ),
    AwsType(
        arm="networkFirewallRuleGroups",
        service="networkfirewall",
        cfn="AWS::NetworkFirewall::RuleGroup",
        list="network-firewall:ListRuleGroups",
        params={"Scope": "ACCOUNT"},
        items="RuleGroups[]",
        details=(
            Detail(
                operation="network-firewall:DescribeRuleGroup",
                params="{RuleGroupArn: Arn}",
                items="merge(RuleGroupResponse, {RuleGroup: RuleGroup})",
                none=frozenset({"ResourceNotFoundException"}),
            ),
        ),
        id="Arn",
        arn="Arn",
        name="Name",
        tags="Tags",
        keep="RuleGroupArn RuleGroupId Description Type Capacity RuleGroup Tags",
        renamed={"ruleGroupName": "Name"},
    ),
)
