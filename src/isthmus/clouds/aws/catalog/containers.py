"""Amazon ECR, ECS and EKS."""

from __future__ import annotations

from isthmus.clouds.aws.catalog.types import TAGGING, AwsType, Detail, Parent

REPOSITORIES = AwsType(
    arm="ecrRepositories",
    service="ecr",
    cfn="AWS::ECR::Repository",
    list="ecr:DescribeRepositories",
    items="repositories[]",
    id="repositoryName",
    arn="repositoryArn",
    name="repositoryName",
    tags=TAGGING,
    tagging="ecr:repository",
    keep="repositoryName repositoryUri imageTagMutability imageScanningConfiguration encryptionConfiguration tags",
    renamed={"arn": "repositoryArn"},
)

CLUSTERS = AwsType(
    arm="ecsClusters",
    service="ecs",
    cfn="AWS::ECS::Cluster",
    list="ecs:ListClusters",
    items="clusterArns[].{clusterArn: @}",
    details=(
        Detail(
            operation="ecs:DescribeClusters",
            params="{clusters: [].clusterArn, include: ['TAGS', 'SETTINGS', 'CONFIGURATIONS']}",
            batch=100,
            items="clusters[]",
            key=("clusterArn", "clusterArn"),
        ),
    ),
    id="clusterArn",
    arn="clusterArn",
    name="clusterName",
    tags="tags",
    keep="clusterName configuration tags capacityProviders defaultCapacityProviderStrategy serviceConnectDefaults",
    renamed={"arn": "clusterArn", "clusterSettings": "settings"},
)

EKS_CLUSTERS = AwsType(
    arm="eksClusters",
    service="eks",
    cfn="AWS::EKS::Cluster",
    list="eks:ListClusters",
    items="clusters[].{name: @}",
    details=(
        Detail(
            operation="eks:DescribeCluster",
            params="{name: name}",
            items="cluster",
            none=frozenset({"ResourceNotFoundException"}),
        ),
    ),
    id="name",
    arn="arn:{partition}:eks:{region}:{account}:cluster/{name}",
    name="name",
    tags="tags",
    keep="name arn version endpoint roleArn resourcesVpcConfig kubernetesNetworkConfig logging tags encryptionConfig id outpostConfig"
    " accessConfig upgradePolicy zonalShiftConfig remoteNetworkConfig computeConfig storageConfig deletionProtection",
    renamed={"certificateAuthorityData": "certificateAuthority.data", "openIdConnectIssuerUrl": "identity.oidc.issuer"},
)

TYPES = (
    REPOSITORIES,
    AwsType(
        arm="ecrImageDetails",
        service="ecr",
        list="ecr:DescribeImages",
        parent=Parent(type=REPOSITORIES, params="{repositoryName: repositoryName}", shows="{Arn: repositoryArn}"),
        items="imageDetails[]",
        none=frozenset({"RepositoryNotFoundException"}),
        id="join('@', [repositoryName, imageDigest])",
        arn="Parent.Arn",
        name="repositoryName",
        volatile=("lastRecordedPullTime",),
    ),
    CLUSTERS,
    AwsType(
        arm="ecsServices",
        service="ecs",
        cfn="AWS::ECS::Service",
        list="ecs:ListServices",
        parent=Parent(type=CLUSTERS, params="{cluster: clusterArn}"),
        items="serviceArns[].{serviceArn: @}",
        none=frozenset({"ClusterNotFoundException"}),
        details=(
            Detail(
                operation="ecs:DescribeServices",
                params="{cluster: [0].Parent.cluster, services: [].serviceArn, include: ['TAGS']}",
                batch=10,
                items="services[]",
                key=("serviceArn", "serviceArn"),
            ),
        ),
        id="serviceArn",
        arn="serviceArn",
        name="serviceName",
        tags="tags",
        keep="serviceArn serviceName loadBalancers serviceRegistries desiredCount launchType capacityProviderStrategy platformVersion"
        " taskDefinition deploymentConfiguration placementConstraints networkConfiguration healthCheckGracePeriodSeconds"
        " schedulingStrategy deploymentController tags enableECSManagedTags propagateTags enableExecuteCommand"
        " availabilityZoneRebalancing",
        renamed={"name": "serviceName", "cluster": "Parent.cluster", "role": "roleArn", "placementStrategies": "placementStrategy"},
    ),
    AwsType(
        arm="ecsTaskDefinitions",
        service="ecs",
        cfn="AWS::ECS::TaskDefinition",
        list="ecs:ListTaskDefinitions",
        params={"status": "ACTIVE"},
        items="taskDefinitionArns[].{taskDefinitionArn: @}",
        details=(
            Detail(
                operation="ecs:DescribeTaskDefinition",
                params="{taskDefinition: taskDefinitionArn, include: ['TAGS']}",
                items="merge(taskDefinition, {tags: tags})",
            ),
        ),
        secret=("containerDefinitions[].environment[].value",),
        id="taskDefinitionArn",
        arn="taskDefinitionArn",
        name="family",
        tags="tags",
        keep="taskDefinitionArn containerDefinitions family taskRoleArn executionRoleArn networkMode volumes placementConstraints"
        " runtimePlatform requiresCompatibilities cpu memory pidMode ipcMode proxyConfiguration ephemeralStorage"
        " enableFaultInjection tags",
    ),
    EKS_CLUSTERS,
    AwsType(
        arm="eksNodegroups",
        service="eks",
        cfn="AWS::EKS::Nodegroup",
        list="eks:ListNodegroups",
        parent=Parent(type=EKS_CLUSTERS, params="{clusterName: name}"),
        items="nodegroups[].{nodegroupName: @}",
        none=frozenset({"ResourceNotFoundException"}),
        details=(
            Detail(
                operation="eks:DescribeNodegroup",
                params="{clusterName: Parent.clusterName, nodegroupName: nodegroupName}",
                items="nodegroup",
                none=frozenset({"ResourceNotFoundException"}),
            ),
        ),
        id="join('/', [Parent.clusterName, nodegroupName])",
        arn="nodegroupArn",
        name="nodegroupName",
        tags="tags",
        keep="nodegroupName clusterName version releaseVersion capacityType scalingConfig instanceTypes subnets remoteAccess amiType"
        " nodeRole labels taints diskSize updateConfig nodeRepairConfig launchTemplate tags",
        renamed={"arn": "nodegroupArn"},
    ),
)
