"""Amazon RDS, DynamoDB, OpenSearch and Redshift. RDS answers Neptune and DocumentDB as well; those are other services' and left out."""

from __future__ import annotations

from isthmus.clouds.aws.catalog.types import TAGGING, AwsType, Detail, Parent

_RDS_ONLY = "[?Engine!='neptune' && Engine!='docdb']"

TABLES = AwsType(
    arm="dynamoDBTables",
    service="dynamodb",
    cfn="AWS::DynamoDB::Table",
    list="dynamodb:ListTables",
    items="TableNames[].{TableName: @}",
    details=(
        Detail(
            operation="dynamodb:DescribeTable",
            params="{TableName: TableName}",
            items="Table",
            none=frozenset({"ResourceNotFoundException"}),
        ),
    ),
    id="TableName",
    arn="arn:{partition}:dynamodb:{region}:{account}:table/{TableName}",
    name="TableName",
    tags=TAGGING,
    tagging="dynamodb:table",
    keep="AttributeDefinitions TableName KeySchema ProvisionedThroughput LocalSecondaryIndexes GlobalSecondaryIndexes StreamSpecification"
    " DeletionProtectionEnabled OnDemandThroughput Tags",
    renamed={
        "arn": "TableArn",
        "billingMode": "BillingModeSummary.BillingMode",
        "streamArn": "LatestStreamArn",
        "tableClass": "TableClassSummary.TableClass",
    },
    volatile=(
        "globalSecondaryIndexes[].indexSizeBytes",
        "globalSecondaryIndexes[].itemCount",
        "localSecondaryIndexes[].indexSizeBytes",
        "localSecondaryIndexes[].itemCount",
    ),
)

TYPES = (
    AwsType(
        arm="rdsDBInstances",
        service="rds",
        cfn="AWS::RDS::DBInstance",
        list="rds:DescribeDBInstances",
        items=f"DBInstances{_RDS_ONLY}",
        id="DBInstanceIdentifier",
        arn="DBInstanceArn",
        name="DBInstanceIdentifier",
        tags="TagList",
        keep="DBInstanceIdentifier DBInstanceClass Engine DBInstanceStatus MasterUsername DBName Endpoint AllocatedStorage"
        " InstanceCreateTime PreferredBackupWindow BackupRetentionPeriod DBSecurityGroups AvailabilityZone PreferredMaintenanceWindow"
        " MultiAZ EngineVersion AutoMinorVersionUpgrade ReadReplicaDBInstanceIdentifiers LicenseModel Iops StorageThroughput"
        " CharacterSetName NcharCharacterSetName PubliclyAccessible StorageType TdeCredentialArn DBClusterIdentifier StorageEncrypted"
        " KmsKeyId DbiResourceId CACertificateIdentifier CopyTagsToSnapshot MonitoringInterval MonitoringRoleArn PromotionTier"
        " DBInstanceArn Timezone DatabaseInsightsMode PerformanceInsightsKMSKeyId PerformanceInsightsRetentionPeriod ProcessorFeatures"
        " DeletionProtection AssociatedRoles MaxAllocatedStorage NetworkType CertificateDetails DBSystemId DedicatedLogVolume"
        " EngineLifecycleSupport LatestRestorableTime",
        renamed={
            "vpcSecurityGroups": "VpcSecurityGroups[].VpcSecurityGroupId",
            "dbSubnetGroupName": "DBSubnetGroup.DBSubnetGroupName",
            "dbParameterGroupName": "DBParameterGroups[0].DBParameterGroupName",
            "port": "to_string(Endpoint.Port || DbInstancePort)",
            "optionGroupName": "OptionGroupMemberships[0].OptionGroupName",
            "tags": "TagList",
            "enableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
            "customIAMInstanceProfile": "CustomIamInstanceProfile",
            "enableCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
            "enablePerformanceInsights": "PerformanceInsightsEnabled",
            "sourceDBInstanceIdentifier": "ReadReplicaSourceDBInstanceIdentifier",
        },
        volatile=("latestRestorableTime",),
    ),
    AwsType(
        arm="rdsDBClusters",
        service="rds",
        cfn="AWS::RDS::DBCluster",
        list="rds:DescribeDBClusters",
        items=f"DBClusters{_RDS_ONLY}",
        id="DBClusterIdentifier",
        arn="DBClusterArn",
        name="DBClusterIdentifier",
        tags="TagList",
        keep="AllocatedStorage AvailabilityZones BackupRetentionPeriod DatabaseName DBClusterIdentifier Engine EngineVersion Port"
        " MasterUsername PreferredBackupWindow PreferredMaintenanceWindow ReplicationSourceIdentifier StorageEncrypted KmsKeyId"
        " DBClusterArn AssociatedRoles BacktrackWindow EngineMode DBClusterInstanceClass StorageType Iops PubliclyAccessible"
        " AutoMinorVersionUpgrade DeletionProtection CopyTagsToSnapshot GlobalClusterIdentifier NetworkType"
        " ServerlessV2ScalingConfiguration MonitoringInterval MonitoringRoleArn DatabaseInsightsMode PerformanceInsightsEnabled"
        " PerformanceInsightsRetentionPeriod DBSystemId EngineLifecycleSupport",
        renamed={
            "endpoint": "{Address: Endpoint, Port: to_string(Port)}",
            "readEndpoint": "{Address: ReaderEndpoint}",
            "vpcSecurityGroupIds": "VpcSecurityGroups[].VpcSecurityGroupId",
            "dbSubnetGroupName": "DBSubnetGroup",
            "dbClusterParameterGroupName": "DBClusterParameterGroup",
            "dbClusterResourceId": "DbClusterResourceId",
            "tags": "TagList",
            "enableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
            "enableHttpEndpoint": "HttpEndpointEnabled",
            "enableCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
            "performanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
        },
    ),
    AwsType(
        arm="rdsDBSnapshots",
        service="rds",
        list="rds:DescribeDBSnapshots",
        items=f"DBSnapshots{_RDS_ONLY}",
        id="DBSnapshotIdentifier",
        arn="DBSnapshotArn",
        name="DBSnapshotIdentifier",
        tags="TagList",
        volatile=("percentProgress",),
    ),
    TABLES,
    AwsType(
        arm="dynamoDBContinuousBackupsDescriptions",
        service="dynamodb",
        list="dynamodb:DescribeContinuousBackups",
        parent=Parent(type=TABLES, params="{TableName: TableName}"),
        items="ContinuousBackupsDescription",
        none=frozenset({"TableNotFoundException", "ResourceNotFoundException"}),
        id="Parent.TableName",
        arn="arn:{partition}:dynamodb:{region}:{account}:table/{Parent.TableName}",
        volatile=("pointInTimeRecoveryDescription.latestRestorableDateTime", "pointInTimeRecoveryDescription.earliestRestorableDateTime"),
    ),
    AwsType(
        arm="openSearchDomainStatuses",
        service="opensearch",
        list="opensearch:ListDomainNames",
        items="DomainNames[]",
        details=(
            Detail(
                operation="opensearch:DescribeDomains",
                params="{DomainNames: [].DomainName}",
                batch=5,
                items="DomainStatusList[]",
                key=("DomainName", "DomainName"),
            ),
        ),
        id="DomainName",
        arn="arn:{partition}:es:{region}:{account}:domain/{DomainName}",
        name="DomainName",
        tags=TAGGING,
        tagging="es:domain",
    ),
    AwsType(
        arm="redshiftClusters",
        service="redshift",
        cfn="AWS::Redshift::Cluster",
        list="redshift:DescribeClusters",
        items="Clusters[]",
        id="ClusterIdentifier",
        arn="arn:{partition}:redshift:{region}:{account}:cluster:{ClusterIdentifier}",
        name="ClusterIdentifier",
        tags="Tags",
        keep="ClusterIdentifier NodeType MasterUsername DBName Endpoint AutomatedSnapshotRetentionPeriod ManualSnapshotRetentionPeriod"
        " ClusterSubnetGroupName AvailabilityZone PreferredMaintenanceWindow ClusterVersion AllowVersionUpgrade NumberOfNodes"
        " PubliclyAccessible Encrypted Tags KmsKeyId EnhancedVpcRouting IamRoles MaintenanceTrackName MultiAZ",
        renamed={
            "vpcSecurityGroupIds": "VpcSecurityGroups[].VpcSecurityGroupId",
            "port": "Endpoint.Port",
            "clusterParameterGroupName": "ClusterParameterGroups[0].ParameterGroupName",
        },
    ),
    AwsType(
        arm="redshiftClusterParameterGroups",
        service="redshift",
        cfn="AWS::Redshift::ClusterParameterGroup",
        list="redshift:DescribeClusterParameterGroups",
        items="ParameterGroups[]",
        id="ParameterGroupName",
        arn="arn:{partition}:redshift:{region}:{account}:parametergroup:{ParameterGroupName}",
        name="ParameterGroupName",
        tags="Tags",
        keep="ParameterGroupName ParameterGroupFamily Description Tags",
    ),
    AwsType(
        arm="rdsEventSubscriptions",
        service="rds",
        cfn="AWS::RDS::EventSubscription",
        list="rds:DescribeEventSubscriptions",
        items="EventSubscriptionsList[]",
        id="CustSubscriptionId",
        arn="EventSubscriptionArn",
        name="CustSubscriptionId",
        tags=TAGGING,
        tagging="rds:es",
        keep="SnsTopicArn SourceType Enabled Tags",
        renamed={"subscriptionName": "CustSubscriptionId", "eventCategories": "EventCategoriesList", "sourceIds": "SourceIdsList"},
    ),
)
