"""AWS Lambda, API Gateway, AppSync, Auto Scaling, CodeBuild, Elastic Beanstalk and SageMaker."""

from __future__ import annotations

from typing import Any

from isthmus.clouds.aws.catalog.types import TAGGING, AwsType, Detail, Parent


def _split_subnets(row: dict[str, Any]) -> dict[str, Any]:
    """Auto Scaling answers the subnets as one text; CloudFormation has a list."""
    subnets = row.get("VPCZoneIdentifier")
    return row | {"VPCZoneIdentifier": subnets.split(",")} if subnets else row


REST_APIS = AwsType(
    arm="apiGatewayRestApis",
    service="apigateway",
    cfn="AWS::ApiGateway::RestApi",
    list="apigateway:GetRestApis",
    items="items[]",
    documents=("policy",),
    id="id",
    arn="arn:{partition}:apigateway:{region}::/restapis/{id}",
    name="name",
    tags="tags",
    keep="name description version binaryMediaTypes minimumCompressionSize endpointConfiguration policy tags disableExecuteApiEndpoint"
    " rootResourceId",
    renamed={"restApiId": "id", "apiKeySourceType": "apiKeySource"},
)

TYPES = (
    AwsType(
        arm="lambdaFunctions",
        service="lambda",
        cfn="AWS::Lambda::Function",
        list="lambda:ListFunctions",
        items="Functions[]",
        secret=("Environment",),
        id="FunctionName",
        arn="FunctionArn",
        name="FunctionName",
        tags=TAGGING,
        tagging="lambda:function",
        keep="FunctionName Runtime Role Handler Description Timeout MemorySize VpcConfig DeadLetterConfig TracingConfig"
        " FileSystemConfigs PackageType Architectures EphemeralStorage SnapStart LoggingConfig Tags",
        renamed={"arn": "FunctionArn", "kmsKeyArn": "KMSKeyArn", "layers": "Layers[].Arn"},
    ),
    REST_APIS,
    AwsType(
        arm="apiGatewayStages",
        service="apigateway",
        cfn="AWS::ApiGateway::Stage",
        list="apigateway:GetStages",
        parent=Parent(type=REST_APIS, params="{restApiId: id}"),
        items="item[]",
        none=frozenset({"NotFoundException"}),
        secret=("variables",),
        id="join('/', [Parent.restApiId, stageName])",
        arn="arn:{partition}:apigateway:{region}::/restapis/{Parent.restApiId}/stages/{stageName}",
        name="stageName",
        tags="tags",
        keep="deploymentId clientCertificateId stageName description cacheClusterEnabled cacheClusterSize documentationVersion"
        " tracingEnabled tags",
        renamed={"restApiId": "Parent.restApiId", "accessLogSetting": "accessLogSettings"},
    ),
    AwsType(
        arm="appSyncGraphQLApis",
        service="appsync",
        cfn="AWS::AppSync::GraphQLApi",
        list="appsync:ListGraphqlApis",
        items="graphqlApis[]",
        id="apiId",
        arn="arn",
        name="name",
        tags="tags",
        keep="name apiId authenticationType logConfig userPoolConfig arn tags xrayEnabled visibility apiType ownerContact"
        " introspectionConfig queryDepthLimit resolverCountLimit",
    ),
    AwsType(
        arm="autoScalingAutoScalingGroups",
        service="autoscaling",
        cfn="AWS::AutoScaling::AutoScalingGroup",
        list="autoscaling:DescribeAutoScalingGroups",
        items="AutoScalingGroups[]",
        adapt=_split_subnets,
        id="AutoScalingGroupName",
        arn="AutoScalingGroupARN",
        name="AutoScalingGroupName",
        tags="Tags",
        keep="AutoScalingGroupName AutoScalingGroupARN LaunchConfigurationName LaunchTemplate MixedInstancesPolicy MinSize MaxSize"
        " DesiredCapacity AvailabilityZones LoadBalancerNames TargetGroupARNs HealthCheckType HealthCheckGracePeriod PlacementGroup"
        " VPCZoneIdentifier Tags TerminationPolicies NewInstancesProtectedFromScaleIn ServiceLinkedRoleARN MaxInstanceLifetime"
        " CapacityRebalance Context DesiredCapacityType DefaultInstanceWarmup",
        renamed={"cooldown": "to_string(DefaultCooldown)"},
    ),
    AwsType(
        arm="codeBuildProjects",
        service="codebuild",
        cfn="AWS::CodeBuild::Project",
        list="codebuild:ListProjects",
        items="projects[].{name: @}",
        details=(
            Detail(
                operation="codebuild:BatchGetProjects",
                params="{names: [].name}",
                batch=100,
                items="projects[]",
                key=("name", "name"),
            ),
        ),
        secret=("environment.environmentVariables[].value", "source.auth", "secondarySources[].auth"),
        id="name",
        arn="arn:{partition}:codebuild:{region}:{account}:project/{name}",
        name="name",
        tags="tags",
        keep="name arn description source secondarySources sourceVersion artifacts secondaryArtifacts cache environment serviceRole"
        " timeoutInMinutes queuedTimeoutInMinutes encryptionKey tags vpcConfig logsConfig fileSystemLocations concurrentBuildLimit"
        " resourceAccessRole",
    ),
    AwsType(
        arm="elasticBeanstalkApplications",
        service="elasticbeanstalk",
        cfn="AWS::ElasticBeanstalk::Application",
        list="elasticbeanstalk:DescribeApplications",
        items="Applications[]",
        id="ApplicationName",
        arn="ApplicationArn",
        name="ApplicationName",
        tags=TAGGING,
        tagging="elasticbeanstalk:application",
        keep="ApplicationName Description ResourceLifecycleConfig",
    ),
    AwsType(
        arm="elasticBeanstalkEnvironments",
        service="elasticbeanstalk",
        cfn="AWS::ElasticBeanstalk::Environment",
        list="elasticbeanstalk:DescribeEnvironments",
        params={"IncludeDeleted": False},
        items="Environments[]",
        id="EnvironmentName",
        arn="EnvironmentArn",
        name="EnvironmentName",
        tags=TAGGING,
        tagging="elasticbeanstalk:environment",
        keep="EnvironmentName ApplicationName VersionLabel SolutionStackName PlatformArn TemplateName Description EndpointURL Tier"
        " OperationsRole Tags",
    ),
    AwsType(
        arm="sageMakerNotebookInstanceSummaries",
        service="sagemaker",
        list="sagemaker:ListNotebookInstances",
        items="NotebookInstances[]",
        id="NotebookInstanceName",
        arn="NotebookInstanceArn",
        name="NotebookInstanceName",
        tags=TAGGING,
        tagging="sagemaker:notebook-instance",
    ),
    AwsType(
        arm="lightsailInstances",
        service="lightsail",
        cfn="AWS::Lightsail::Instance",
        list="lightsail:GetInstances",
        items="instances[]",
        id="name",
        arn="arn",
        name="name",
        tags="tags",
        keep="supportCode location resourceType tags blueprintId bundleId addOns isStaticIp privateIpAddress publicIpAddress ipv6Addresses"
        " hardware networking state sshKeyName",
        renamed={"instanceName": "name", "instanceArn": "arn", "userName": "username", "availabilityZone": "location.availabilityZone"},
    ),
    AwsType(
        arm="lightsailBuckets",
        service="lightsail",
        cfn="AWS::Lightsail::Bucket",
        list="lightsail:GetBuckets",
        items="buckets[]",
        id="name",
        arn="arn",
        name="name",
        tags="tags",
        keep="accessRules bundleId url tags objectVersioning ableToUpdateBundle resourcesReceivingAccess",
        renamed={"bucketName": "name", "bucketArn": "arn", "readOnlyAccessAccounts": "readonlyAccessAccounts"},
    ),
)
