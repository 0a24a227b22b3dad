"""Amazon EC2: machines, networks, disks and what belongs to them. Everything answers its tags inline."""

from __future__ import annotations

from typing import Any

from isthmus.clouds.aws.catalog.types import AwsType

_NAME_TAG = "Tags[?Key=='Name'].Value | [0]"


def _flatten_rules(row: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation writes one rule per source; EC2 answers one permission with a list for each kind of source."""
    return row | {
        "SecurityGroupIngress": _rules(row.get("IpPermissions") or [], "Source"),
        "SecurityGroupEgress": _rules(row.get("IpPermissionsEgress") or [], "Destination"),
    }


def _rules(permissions: list[dict[str, Any]], side: str) -> list[dict[str, Any]]:
    rules = []
    for permission in permissions:
        ports = {name: permission[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in permission}
        kinds = (
            ("CidrIp", "IpRanges", "CidrIp"),
            ("CidrIpv6", "Ipv6Ranges", "CidrIpv6"),
            (f"{side}PrefixListId", "PrefixListIds", "PrefixListId"),
            (f"{side}SecurityGroupId", "UserIdGroupPairs", "GroupId"),
        )
        for target, member, source in kinds:
            for each in permission.get(member) or []:
                text = {"Description": each["Description"]} if each.get("Description") else {}
                rules.append(ports | {target: each.get(source)} | text)
    return rules


TYPES = (
    AwsType(
        arm="ec2AccountAttributes",
        service="ec2",
        list="ec2:DescribeAccountAttributes",
        items="AccountAttributes[]",
        id="AttributeName",
        arn="arn:{partition}:ec2:{region}:{account}:account-attribute/{AttributeName}",
    ),
    AwsType(
        arm="ec2Addresses",
        service="ec2",
        list="ec2:DescribeAddresses",
        items="Addresses[]",
        id="AllocationId || PublicIp",
        arn="arn:{partition}:ec2:{region}:{account}:elastic-ip/{AllocationId || PublicIp}",
        name=_NAME_TAG,
        tags="Tags",
    ),
    AwsType(
        arm="ec2FlowLogs",
        service="ec2",
        cfn="AWS::EC2::FlowLog",
        list="ec2:DescribeFlowLogs",
        items="FlowLogs[]",
        id="FlowLogId",
        arn="arn:{partition}:ec2:{region}:{account}:vpc-flow-log/{FlowLogId}",
        name=_NAME_TAG,
        tags="Tags",
        keep="DeliverLogsPermissionArn DeliverCrossAccountRole LogGroupName ResourceId TrafficType LogDestinationType LogDestination"
        " LogFormat Tags MaxAggregationInterval DestinationOptions",
        renamed={"id": "FlowLogId"},
    ),
    AwsType(
        arm="ec2Images",
        service="ec2",
        list="ec2:DescribeImages",
        params={"Owners": ["self"]},
        items="Images[]",
        id="ImageId",
        arn="arn:{partition}:ec2:{region}::image/{ImageId}",
        name="Name",
        tags="Tags",
        volatile=("lastLaunchedTime",),
    ),
    AwsType(
        arm="ec2Instances",
        service="ec2",
        list="ec2:DescribeInstances",
        items="Reservations[].Instances[]",
        id="InstanceId",
        arn="arn:{partition}:ec2:{region}:{account}:instance/{InstanceId}",
        name=_NAME_TAG,
        tags="Tags",
    ),
    AwsType(
        arm="ec2InstanceStatuses",
        service="ec2",
        list="ec2:DescribeInstanceStatus",
        params={"IncludeAllInstances": True},
        items="InstanceStatuses[]",
        id="InstanceId",
        arn="arn:{partition}:ec2:{region}:{account}:instance/{InstanceId}",
    ),
    AwsType(
        arm="ec2KeyPairs",
        service="ec2",
        cfn="AWS::EC2::KeyPair",
        list="ec2:DescribeKeyPairs",
        items="KeyPairs[]",
        id="KeyPairId",
        arn="arn:{partition}:ec2:{region}:{account}:key-pair/{KeyPairId}",
        name="KeyName",
        tags="Tags",
        keep="KeyPairId KeyType Tags KeyName KeyFingerprint",
    ),
    AwsType(
        arm="ec2NetworkAcls",
        service="ec2",
        cfn="AWS::EC2::NetworkAcl",
        list="ec2:DescribeNetworkAcls",
        items="NetworkAcls[]",
        id="NetworkAclId",
        arn="arn:{partition}:ec2:{region}:{OwnerId || account}:network-acl/{NetworkAclId}",
        name=_NAME_TAG,
        tags="Tags",
        keep="Tags VpcId",
        renamed={"id": "NetworkAclId"},
    ),
    AwsType(
        arm="ec2NetworkInterfaces",
        service="ec2",
        cfn="AWS::EC2::NetworkInterface",
        list="ec2:DescribeNetworkInterfaces",
        items="NetworkInterfaces[]",
        id="NetworkInterfaceId",
        arn="arn:{partition}:ec2:{region}:{OwnerId || account}:network-interface/{NetworkInterfaceId}",
        name="TagSet[?Key=='Name'].Value | [0]",
        tags="TagSet",
        keep="Description InterfaceType Ipv6Addresses PrivateIpAddress PrivateIpAddresses Ipv4Prefixes Ipv6Prefixes SourceDestCheck"
        " SubnetId VpcId",
        renamed={
            "id": "NetworkInterfaceId",
            "groupSet": "Groups[].GroupId",
            "tags": "TagSet",
            "primaryPrivateIpAddress": "PrivateIpAddress",
            "secondaryPrivateIpAddressCount": "length(PrivateIpAddresses[?Primary==`false`] || `[]`)",
        },
    ),
    AwsType(
        arm="ec2RouteTables",
        service="ec2",
        cfn="AWS::EC2::RouteTable",
        list="ec2:DescribeRouteTables",
        items="RouteTables[]",
        id="RouteTableId",
        arn="arn:{partition}:ec2:{region}:{OwnerId || account}:route-table/{RouteTableId}",
        name=_NAME_TAG,
        tags="Tags",
        keep="RouteTableId Tags VpcId",
    ),
    AwsType(
        arm="ec2SecurityGroups",
        service="ec2",
        cfn="AWS::EC2::SecurityGroup",
        list="ec2:DescribeSecurityGroups",
        items="SecurityGroups[]",
        adapt=_flatten_rules,
        id="GroupId",
        arn="arn:{partition}:ec2:{region}:{OwnerId || account}:security-group/{GroupId}",
        name="GroupName",
        tags="Tags",
        keep="GroupId Tags VpcId GroupName SecurityGroupIngress SecurityGroupEgress",
        renamed={"id": "GroupId", "groupDescription": "Description"},
    ),
    AwsType(
        arm="ec2Snapshots",
        service="ec2",
        list="ec2:DescribeSnapshots",
        params={"OwnerIds": ["self"]},
        items="Snapshots[]",
        id="SnapshotId",
        arn="arn:{partition}:ec2:{region}::snapshot/{SnapshotId}",
        name=_NAME_TAG,
        tags="Tags",
    ),
    AwsType(
        arm="ec2Subnets",
        service="ec2",
        cfn="AWS::EC2::Subnet",
        list="ec2:DescribeSubnets",
        items="Subnets[]",
        id="SubnetId",
        arn="arn:{partition}:ec2:{region}:{OwnerId || account}:subnet/{SubnetId}",
        name=_NAME_TAG,
        tags="Tags",
        keep="AvailabilityZoneId EnableLniAtDeviceIndex AssignIpv6AddressOnCreation Tags OutpostArn EnableDns64 Ipv6Native"
        " PrivateDnsNameOptionsOnLaunch SubnetId VpcId CidrBlock AvailabilityZone MapPublicIpOnLaunch",
        renamed={"ipv6CidrBlocks": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock"},
    ),
    AwsType(
        arm="ec2Volumes",
        service="ec2",
        cfn="AWS::EC2::Volume",
        list="ec2:DescribeVolumes",
        items="Volumes[]",
        id="VolumeId",
        arn="arn:{partition}:ec2:{region}:{account}:volume/{VolumeId}",
        name=_NAME_TAG,
        tags="Tags",
        keep="OutpostArn Iops Tags VolumeType MultiAttachEnabled Throughput VolumeId Size SnapshotId AvailabilityZone Encrypted KmsKeyId",
    ),
    AwsType(
        arm="ec2VPCEndpoints",
        service="ec2",
        cfn="AWS::EC2::VPCEndpoint",
        list="ec2:DescribeVpcEndpoints",
        items="VpcEndpoints[]",
        documents=("PolicyDocument",),
        id="VpcEndpointId",
        arn="arn:{partition}:ec2:{region}:{OwnerId || account}:vpc-endpoint/{VpcEndpointId}",
        name=_NAME_TAG,
        tags="Tags",
        keep="VpcEndpointType VpcId ServiceName PolicyDocument RouteTableIds SubnetIds IpAddressType DnsOptions PrivateDnsEnabled"
        " NetworkInterfaceIds CreationTimestamp Tags ServiceNetworkArn ResourceConfigurationArn ServiceRegion",
        renamed={"id": "VpcEndpointId", "securityGroupIds": "Groups[].GroupId", "dnsEntries": "DnsEntries[].DnsName"},
    ),
    AwsType(
        arm="ec2VPCPeeringConnections",
        service="ec2",
        cfn="AWS::EC2::VPCPeeringConnection",
        list="ec2:DescribeVpcPeeringConnections",
        items="VpcPeeringConnections[?Status.Code!='deleted']",
        id="VpcPeeringConnectionId",
        arn="arn:{partition}:ec2:{region}:{account}:vpc-peering-connection/{VpcPeeringConnectionId}",
        name=_NAME_TAG,
        tags="Tags",
        keep="Tags",
        renamed={
            "id": "VpcPeeringConnectionId",
            "vpcId": "RequesterVpcInfo.VpcId",
            "peerVpcId": "AccepterVpcInfo.VpcId",
            "peerOwnerId": "AccepterVpcInfo.OwnerId",
            "peerRegion": "AccepterVpcInfo.Region",
        },
    ),
    AwsType(
        arm="ec2VPCs",
        service="ec2",
        cfn="AWS::EC2::VPC",
        list="ec2:DescribeVpcs",
        items="Vpcs[]",
        id="VpcId",
        arn="arn:{partition}:ec2:{region}:{OwnerId || account}:vpc/{VpcId}",
        name=_NAME_TAG,
        tags="Tags",
        keep="InstanceTenancy Tags VpcId CidrBlock",
        renamed={
            "cidrBlockAssociations": "CidrBlockAssociationSet[].AssociationId",
            "ipv6CidrBlocks": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock",
        },
    ),
)
