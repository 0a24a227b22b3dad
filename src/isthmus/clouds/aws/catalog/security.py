"""AWS KMS and Secrets Manager. Metadata only: no secret value is ever asked for."""

from __future__ import annotations

from isthmus.clouds.aws.catalog.types import TAGGING, AwsType, Detail, Parent

SECRETS = AwsType(
    arm="secretsManagerSecrets",
    service="secretsmanager",
    cfn="AWS::SecretsManager::Secret",
    list="secretsmanager:ListSecrets",
    items="SecretList[]",
    id="ARN",
    arn="ARN",
    name="Name",
    tags="Tags",
    keep="Name Type Description KmsKeyId Tags",
    renamed={"id": "ARN"},
)

TYPES = (
    AwsType(
        arm="kmsKeys",
        service="kms",
        cfn="AWS::KMS::Key",
        list="kms:ListKeys",
        items="Keys[]",
        details=(Detail(operation="kms:DescribeKey", params="{KeyId: KeyId}", items="KeyMetadata", none=frozenset({"NotFoundException"})),),
        id="KeyId",
        arn="KeyArn || Arn",
        tags=TAGGING,
        tagging="kms:key",
        keep="KeyId Arn Enabled Description KeyUsage Origin KeySpec MultiRegion Tags",
    ),
    SECRETS,
    AwsType(
        arm="secretsManagerResourcePolicies",
        service="secretsmanager",
        cfn="AWS::SecretsManager::ResourcePolicy",
        list="secretsmanager:GetResourcePolicy",
        parent=Parent(type=SECRETS, params="{SecretId: ARN}"),
        items="[@][?ResourcePolicy]",
        documents=("ResourcePolicy",),
        none=frozenset({"ResourceNotFoundException"}),
        id="ARN",
        arn="ARN",
        name="Name",
        keep="ResourcePolicy",
        renamed={"secretId": "Parent.SecretId"},
    ),
    AwsType(
        arm="guardDutyDetectors",
        service="guardduty",
        cfn="AWS::GuardDuty::Detector",
        list="guardduty:ListDetectors",
        items="DetectorIds[].{DetectorId: @}",
        details=(Detail(operation="guardduty:GetDetector", params="{DetectorId: DetectorId}"),),
        id="DetectorId",
        arn="arn:{partition}:guardduty:{region}:{account}:detector/{DetectorId}",
        tags="Tags",
        keep="FindingPublishingFrequency DataSources Features Tags",
        renamed={"id": "DetectorId", "enable": "Status=='ENABLED'"},
    ),
)
