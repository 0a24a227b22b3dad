"""AWS IAM: roles, users' credentials and policies. Global; one sweep over the authorization details saves a call per policy."""

from __future__ import annotations

from isthmus.clouds.aws.catalog.types import HOME, TAGGING, AwsType, Detail, Parent

_SWEEP = "iam:GetAccountAuthorizationDetails"

USERS = AwsType(arm="iamUsers", service="iam", list="iam:ListUsers", items="Users[]", id="UserName", arn="Arn", answers_in=HOME)
"""Not projected: the users whose keys and devices are."""

USER_DETAILS = AwsType(
    arm="iamUserDetails",
    service="iam",
    answers_in=HOME,
    list=_SWEEP,
    params={"Filter": ["User"]},
    items="UserDetailList[]",
    id="UserName",
    arn="Arn",
)
"""Not projected: the users with their inline policies."""

ACCESS_KEYS = AwsType(
    arm="iamAccessKeyMetaData",
    service="iam",
    answers_in=HOME,
    list="iam:ListAccessKeys",
    parent=Parent(type=USERS, params="{UserName: UserName}"),
    items="AccessKeyMetadata[]",
    id="AccessKeyId",
    arn="arn:{partition}:iam::{account}:user/{UserName}/access-key/{AccessKeyId}",
    none=frozenset({"NoSuchEntity"}),
)

MANAGED_POLICIES = AwsType(
    arm="iamManagedPolicies",
    service="iam",
    cfn="AWS::IAM::ManagedPolicy",
    answers_in=HOME,
    list=_SWEEP,
    params={"Filter": ["LocalManagedPolicy"]},
    items="Policies[]",
    documents=("PolicyVersionList[].Document",),
    id="Arn",
    arn="Arn",
    name="PolicyName",
    tags=TAGGING,
    tagging="iam:policy",
    keep="Path Description PolicyId DefaultVersionId AttachmentCount IsAttachable CreateDate UpdateDate PermissionsBoundaryUsageCount",
    renamed={
        "managedPolicyName": "PolicyName",
        "policyArn": "Arn",
        "policyDocument": "PolicyVersionList[?IsDefaultVersion].Document | [0]",
    },
)

TYPES = (
    AwsType(
        arm="iamRoles",
        service="iam",
        cfn="AWS::IAM::Role",
        answers_in=HOME,
        list="iam:ListRoles",
        items="Roles[]",
        details=(Detail(operation=_SWEEP, params="{Filter: ['Role']}", batch=0, items="RoleDetailList[]", key=("RoleName", "RoleName")),),
        documents=("AssumeRolePolicyDocument", "RolePolicyList[].PolicyDocument"),
        id="Arn",
        arn="Arn",
        name="RoleName",
        tags="Tags",
        keep="Path RoleName RoleId Arn AssumeRolePolicyDocument Description MaxSessionDuration Tags",
        renamed={
            "permissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn",
            "managedPolicyArns": "AttachedManagedPolicies[].PolicyArn",
            "policies": "RolePolicyList",
        },
    ),
    MANAGED_POLICIES,
    AwsType(
        arm="iamPolicyVersions",
        service="iam",
        answers_in=HOME,
        parent=Parent(type=MANAGED_POLICIES, shows="{PolicyArn: Arn, Versions: PolicyVersionList}"),
        items="Versions[]",
        documents=("Document",),
        id="join('/', [Parent.PolicyArn, VersionId])",
        arn="Parent.PolicyArn",
        name="VersionId",
    ),
    AwsType(
        arm="iamUserPolicies",
        service="iam",
        cfn="AWS::IAM::UserPolicy",
        answers_in=HOME,
        parent=Parent(type=USER_DETAILS, shows="{UserName: UserName, Arn: Arn, Policies: UserPolicyList}"),
        items="Policies[]",
        documents=("PolicyDocument",),
        id="join('/', [Parent.Arn, PolicyName])",
        arn="Parent.Arn",
        name="PolicyName",
        keep="PolicyName PolicyDocument",
        renamed={"userName": "Parent.UserName"},
    ),
    ACCESS_KEYS,
    AwsType(
        arm="iamAccessKeyLastUseds",
        service="iam",
        answers_in=HOME,
        list="iam:GetAccessKeyLastUsed",
        parent=Parent(type=ACCESS_KEYS, params="{AccessKeyId: AccessKeyId}", shows="{UserName: UserName}"),
        items="AccessKeyLastUsed",
        none=frozenset({"NoSuchEntity"}),
        id="Parent.AccessKeyId",
        arn="arn:{partition}:iam::{account}:user/{Parent.UserName}/access-key/{Parent.AccessKeyId}",
        volatile=("lastUsedDate", "region", "serviceName"),
    ),
    AwsType(
        arm="iamMFADevices",
        service="iam",
        answers_in=HOME,
        list="iam:ListMFADevices",
        parent=Parent(type=USERS, params="{UserName: UserName}"),
        items="MFADevices[]",
        id="SerialNumber",
        arn="SerialNumber",
        none=frozenset({"NoSuchEntity"}),
    ),
    AwsType(
        arm="iamVirtualMFADevices",
        service="iam",
        cfn="AWS::IAM::VirtualMFADevice",
        answers_in=HOME,
        list="iam:ListVirtualMFADevices",
        params={"AssignmentStatus": "Any"},
        items="VirtualMFADevices[]",
        secret=("Base32StringSeed", "QRCodePNG"),
        id="SerialNumber",
        arn="SerialNumber",
        tags="Tags",
        keep="SerialNumber Tags",
        renamed={"users": "[User.UserName][?@]"},
    ),
    AwsType(
        arm="iamPasswordPolicies",
        service="iam",
        answers_in=HOME,
        list="iam:GetAccountPasswordPolicy",
        items="PasswordPolicy",
        none=frozenset({"NoSuchEntity"}),
        id="'password-policy'",
        arn="arn:{partition}:iam::{account}:account-password-policy",
    ),
    AwsType(
        arm="iamServerCertificates",
        service="iam",
        cfn="AWS::IAM::ServerCertificate",
        answers_in=HOME,
        list="iam:ListServerCertificates",
        items="ServerCertificateMetadataList[]",
        details=(
            Detail(
                operation="iam:GetServerCertificate",
                params="{ServerCertificateName: ServerCertificateName}",
                items="ServerCertificate",
                none=frozenset({"NoSuchEntity"}),
            ),
        ),
        id="Arn",
        arn="Arn",
        name="ServerCertificateName",
        tags="Tags",
        keep="Path ServerCertificateName Arn CertificateBody CertificateChain Tags",
    ),
)
