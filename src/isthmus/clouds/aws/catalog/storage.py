"""Amazon S3 and EFS. Buckets are listed once for all regions and answer their details in their own region."""

from __future__ import annotations

from isthmus.clouds.aws.catalog.types import HOME, AwsType, Detail, Parent

_BUCKET = "{Bucket: Name}"
_ENCRYPTION = (
    "ServerSideEncryptionConfiguration.{ServerSideEncryptionConfiguration: Rules[].{BucketKeyEnabled: BucketKeyEnabled,"
    " ServerSideEncryptionByDefault: ApplyServerSideEncryptionByDefault}}"
)

BUCKETS = AwsType(
    arm="s3Buckets",
    service="s3",
    cfn="AWS::S3::Bucket",
    answers_in=HOME,
    list="s3:ListBuckets",
    items="Buckets[]",
    region="BucketRegion",
    details=(
        Detail(
            operation="s3:GetBucketTagging",
            params=_BUCKET,
            items="TagSet",
            into="Tags",
            region="BucketRegion",
            none=frozenset({"NoSuchTagSet", "NoSuchBucket"}),
        ),
        Detail(
            operation="s3:GetBucketEncryption",
            params=_BUCKET,
            items=_ENCRYPTION,
            into="BucketEncryption",
            region="BucketRegion",
            none=frozenset({"ServerSideEncryptionConfigurationNotFoundError", "NoSuchBucket"}),
        ),
        Detail(
            operation="s3:GetBucketVersioning",
            params=_BUCKET,
            items="{Status: Status}",
            into="VersioningConfiguration",
            region="BucketRegion",
            none=frozenset({"NoSuchBucket"}),
        ),
        Detail(
            operation="s3:GetPublicAccessBlock",
            params=_BUCKET,
            items="PublicAccessBlockConfiguration",
            into="PublicAccessBlockConfiguration",
            region="BucketRegion",
            none=frozenset({"NoSuchPublicAccessBlockConfiguration", "NoSuchBucket"}),
        ),
    ),
    id="Name",
    arn="arn:{partition}:s3:::{Name}",
    name="Name",
    tags="Tags",
    keep="Tags BucketEncryption VersioningConfiguration PublicAccessBlockConfiguration",
    renamed={"bucketName": "Name"},
)

FILE_SYSTEMS = AwsType(
    arm="efsFileSystems",
    service="efs",
    cfn="AWS::EFS::FileSystem",
    list="efs:DescribeFileSystems",
    items="FileSystems[]",
    id="FileSystemId",
    arn="FileSystemArn",
    name="Name",
    tags="Tags",
    keep="FileSystemId PerformanceMode Encrypted KmsKeyId ThroughputMode ProvisionedThroughputInMibps AvailabilityZoneName"
    " FileSystemProtection",
    renamed={"arn": "FileSystemArn", "fileSystemTags": "Tags"},
)

TYPES = (
    BUCKETS,
    AwsType(
        arm="s3BucketPolicies",
        service="s3",
        cfn="AWS::S3::BucketPolicy",
        answers_in=HOME,
        list="s3:GetBucketPolicy",
        items="{PolicyDocument: Policy}",
        documents=("PolicyDocument",),
        parent=Parent(type=BUCKETS, params=_BUCKET, shows="{Region: BucketRegion}", region="BucketRegion"),
        region="Parent.Region",
        id="Parent.Bucket",
        arn="arn:{partition}:s3:::{Parent.Bucket}",
        none=frozenset({"NoSuchBucketPolicy", "NoSuchBucket"}),
        keep="PolicyDocument",
        renamed={"bucket": "Parent.Bucket"},
    ),
    AwsType(
        arm="s3AccessControlPolicies",
        service="s3",
        answers_in=HOME,
        list="s3:GetBucketAcl",
        items="{Owner: Owner, Grants: Grants}",
        parent=Parent(type=BUCKETS, params=_BUCKET, shows="{Region: BucketRegion}", region="BucketRegion"),
        region="Parent.Region",
        id="Parent.Bucket",
        arn="arn:{partition}:s3:::{Parent.Bucket}",
        none=frozenset({"NoSuchBucket"}),
    ),
    FILE_SYSTEMS,
    AwsType(
        arm="efsMountTargets",
        service="efs",
        cfn="AWS::EFS::MountTarget",
        list="efs:DescribeMountTargets",
        parent=Parent(type=FILE_SYSTEMS, params="{FileSystemId: FileSystemId}"),
        items="MountTargets[]",
        id="MountTargetId",
        arn="arn:{partition}:elasticfilesystem:{region}:{account}:mount-target/{MountTargetId}",
        none=frozenset({"FileSystemNotFound"}),
        keep="FileSystemId SubnetId IpAddress Ipv6Address",
        renamed={"id": "MountTargetId"},
    ),
)
