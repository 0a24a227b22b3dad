"""Every permission that the template grants, each with the reason why it is there.

The policies and the page that explains them come from the same rows, so that they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from isthmus.clouds.aws import names
from isthmus.clouds.aws.template.request import TemplateRequest

HOST_MANAGEMENT = "servicesetting/ssm/managed-instance/default-ec2-instance-management-role"

DATA_READS = (
    "appconfig:GetConfiguration",
    "aps:QueryMetrics",
    "athena:GetQueryResults",
    "cassandra:Select",
    "cloudwatch:GetInsightRuleReport",
    "codeartifact:ReadFromRepository",
    "codecommit:GetBlob",
    "codecommit:GetFile",
    "codecommit:GitPull",
    "cognito-idp:ListUsers",
    "dax:BatchGetItem",
    "dax:GetItem",
    "dax:Query",
    "dax:Scan",
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:GetRecords",
    "dynamodb:PartiQLSelect",
    "dynamodb:Query",
    "dynamodb:Scan",
    "ec2:GetConsoleOutput",
    "ec2:GetConsoleScreenshot",
    "ec2:GetPasswordData",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "es:ESHttpGet",
    "glacier:GetJobOutput",
    "healthlake:ReadResource",
    "iot:GetThingShadow",
    "iotanalytics:GetDatasetContent",
    "kinesis:GetRecords",
    "kinesisvideo:GetMedia",
    "lambda:GetFunction",
    "logs:FilterLogEvents",
    "logs:GetLogEvents",
    "logs:GetQueryResults",
    "logs:StartLiveTail",
    "logs:StartQuery",
    "mediastore:GetObject",
    "rds:DownloadDBLogFilePortion",
    "s3-object-lambda:GetObject",
    "s3:GetObject",
    "s3:GetObjectTorrent",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTorrent",
    "s3express:CreateSession",
    "sdb:Select",
    "secretsmanager:GetSecretValue",
    "sqs:ReceiveMessage",
    "ssm:GetParameter",
    "ssm:GetParameterHistory",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
    "xray:BatchGetTraces",
)
"""Reads of what customers store in resources, most of which AWS' ReadOnlyAccess would allow. Inventory wants the resources alone."""


OWN_ROLE = (
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:SimulatePrincipalPolicy",
)
"""What a role may ask IAM about itself: what it holds, and what that allows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement of a permission policy. `role` is the logical id of the role that holds it; `consent` names the parameter, if any,
    without whose `true` the statement is not granted. Where it `is_besides`, it is about everything but its resources (`NotResource`)."""

    role: str
    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    reason: str
    effect: Literal["Allow", "Deny"] = "Allow"
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    consent: str = ""
    is_besides: bool = False

    def document(self) -> dict[str, Any]:
        """The statement as IAM reads it."""
        about = "NotResource" if self.is_besides else "Resource"
        written: dict[str, Any] = {"Sid": self.sid, "Effect": self.effect, "Action": list(self.actions), about: list(self.resources)}
        if self.conditions:
            written["Condition"] = {operator: dict(keys) for operator, keys in self.conditions.items()}
        return written


@dataclass(frozen=True, kw_only=True, slots=True)
class Arns:
    """The ARNs that statements of one request speak of."""

    partition: str
    account: str
    g8: str
    document: str
    machine: str
    issuer: str = ""

    @classmethod
    def of(cls, request: TemplateRequest) -> Arns:
        """The ARNs of a request."""
        return replace(cls.at(request.partition, request.account, request.guid), issuer=request.issuer)

    @classmethod
    def at(cls, partition: str, account: str, guid: str) -> Arns:
        """The ARNs of a connector in an account."""
        return cls(
            partition=partition,
            account=account,
            g8=names.suffix(guid),
            document=f"arn:{partition}:ssm:*:{account}:document/{names.onboarding_document(guid)}",
            machine=names.role_arn(account, names.machine_profile(guid), partition),
        )

    @property
    def ec2_principal(self) -> str:
        """EC2 as a principal; China has a name of its own."""
        return "ec2.amazonaws.com.cn" if self.partition == "aws-cn" else "ec2.amazonaws.com"

    def regional(self, service: str, resource: str) -> str:
        """A resource of the account in any region."""
        return f"arn:{self.partition}:{service}:*:{self.account}:{resource}"

    def iam(self, resource: str) -> str:
        """An IAM resource of the account."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    def managed(self, policy: str) -> str:
        """A policy that AWS manages."""
        return f"arn:{self.partition}:iam::aws:policy/{policy}"


def statements(request: TemplateRequest, actions: Sequence[str]) -> tuple[Statement, ...]:
    """Every statement of the request. `actions` are the IAM actions that listing the selected services takes."""
    found: list[Statement] = []
    arns = Arns.of(request)
    if request.inventory:
        found += inventory_statements(arns, actions, global_read_only=request.inventory.global_read_only)
    if request.onboarding:
        found += onboarding_statements(arns, request.onboarding.regions)
        found += function_statements(arns)
        found += writing_statements(arns)
    return tuple(found)


def own_role_statement(arns: Arns, role: str, name: str) -> Statement:
    """A role may look at itself, by its name in IAM."""
    return Statement(
        role=role,
        sid="ReadOwnRole",
        actions=OWN_ROLE,
        resources=[arns.iam(f"role/{name}")],
        reason="Test its own permissions without using them, and show where this role differs from the template; no other role is seen.",
    )


def inventory_statements(arns: Arns, actions: Sequence[str], *, global_read_only: bool) -> list[Statement]:
    """What inventory may do beyond ReadOnlyAccess (which lets it look at its own role too), or all it may do without it."""
    if global_read_only:
        return [
            Statement(
                role="InventoryRole",
                sid="NeverReadData",
                effect="Deny",
                actions=[action for action in DATA_READS if action not in actions],
                resources=["*"],
                reason="ReadOnlyAccess also covers objects, rows, messages, logs and parameters; inventory never needs them.",
            )
        ]
    return [
        Statement(
            role="InventoryRole",
            sid="ListSelectedServices",
            actions=sorted({*actions, "ec2:DescribeRegions"}),
            resources=["*"],
            reason="The list and describe calls of the selected services, and the list of enabled regions; AWS lists only on *.",
        ),
        own_role_statement(arns, "InventoryRole", f"IsthmusInventory-{arns.g8}"),
    ]


def onboarding_statements(arns: Arns, regions: Sequence[str] | None) -> list[Statement]:
    """The onboarding role: run one document, see how it went, find instances."""
    role = "OnboardingRole"
    return [
        Statement(
            role=role,
            sid="RunOnboardingDocument",
            actions=["ssm:SendCommand"],
            resources=[arns.document, arns.regional("ec2", "instance/*")],
            conditions={"StringEquals": {"aws:RequestedRegion": list(regions)}} if regions else {},
            reason="Make a key on an instance and connect it: this one document and no other, so no shell of the caller's choice.",
        ),
        Statement(
            role=role,
            sid="ReadOnboardingDocument",
            actions=["ssm:DescribeDocument", "ssm:GetDocument"],
            resources=[arns.document],
            reason="Every command pins the document by its hash, and the content behind the hash is compared first.",
        ),
        Statement(
            role=role,
            sid="FollowCommands",
            actions=[
                "ssm:CancelCommand",
                "ssm:DescribeInstanceInformation",
                "ssm:GetCommandInvocation",
                "ssm:ListCommandInvocations",
                "ssm:ListCommands",
            ],
            resources=["*"],
            reason="See which instances can be commanded, read what a command printed, find a command again, stop one that hangs.",
        ),
        Statement(
            role=role,
            sid="ReadHostManagement",
            actions=["ssm:GetServiceSetting"],
            resources=[arns.regional("ssm", HOST_MANAGEMENT)],
            reason="Tell an instance without a profile that default host management covers from one that nothing covers.",
        ),
        Statement(
            role=role,
            sid="FindInstances",
            actions=["ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeRegions"],
            resources=["*"],
            reason="Find instances by region and tag, and tell their operating system; AWS grants describe calls only on *.",
        ),
        own_role_statement(arns, role, f"IsthmusOnboarding-{arns.g8}"),
    ]


def function_statements(arns: Arns) -> list[Statement]:
    """What the auto-assignment function may read, and its own housekeeping."""
    role = "AssignmentRole"
    function = f"function:IsthmusAssignment-{arns.g8}"
    return [
        Statement(
            role=role,
            sid="FindInstances",
            actions=["ec2:DescribeIamInstanceProfileAssociations", "ec2:DescribeInstances", "ec2:DescribeRegions"],
            resources=["*"],
            reason="Find instances without a working profile; AWS grants describe calls only on *.",
        ),
        Statement(
            role=role,
            sid="ReadHostManagement",
            actions=["ssm:GetServiceSetting"],
            resources=[arns.regional("ssm", HOST_MANAGEMENT)],
            reason="Where default host management is on, no profile is touched.",
        ),
        Statement(
            role=role,
            sid="SeeManagedNodes",
            actions=["ssm:DescribeInstanceInformation"],
            resources=["*"],
            reason="Say which instances host management does not reach, and why.",
        ),
        Statement(
            role=role,
            sid="JudgeProfiles",
            actions=["iam:GetInstanceProfile"],
            resources=[arns.iam("instance-profile/*")],
            reason="See whether a profile still exists and holds a role.",
        ),
        Statement(
            role=role,
            sid="JudgeRoles",
            actions=["iam:SimulatePrincipalPolicy"],
            resources=[arns.iam("role/*")],
            reason="Ask IAM whether a role lets the agent register, by whatever policy; nothing is changed.",
        ),
        Statement(
            role=role,
            sid="WriteLog",
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[arns.regional("logs", f"log-group:/aws/lambda/IsthmusAssignment-{arns.g8}:*")],
            reason="Write one line per change to its own log group.",
        ),
        Statement(
            role=role,
            sid="Continue",
            actions=["lambda:InvokeFunction"],
            resources=[arns.regional("lambda", function)],
            reason="Go on in a new invocation when a large account outlasts the time limit.",
        ),
    ]


def writing_statements(arns: Arns) -> list[Statement]:
    """What the function may change."""
    role = "AssignmentRole"
    return [
        Statement(
            role=role,
            sid="GiveProfile",
            actions=["ec2:AssociateIamInstanceProfile", "ec2:ReplaceIamInstanceProfileAssociation"],
            resources=[arns.regional("ec2", "instance/*")],
            reason="Give our profile to an instance that has none, or whose profile is dead. It cannot take one away.",
        ),
        Statement(
            role=role,
            sid="PassMachineRole",
            actions=["iam:PassRole"],
            resources=[arns.machine],
            conditions={"StringEquals": {"iam:PassedToService": arns.ec2_principal}},
            reason="The only role it can put on an instance is ours.",
        ),
        Statement(
            role=role,
            sid="CopyOnboardingDocument",
            actions=[
                "ssm:CreateDocument",
                "ssm:DeleteDocument",
                "ssm:GetDocument",
                "ssm:UpdateDocument",
                "ssm:UpdateDocumentDefaultVersion",
            ],
            resources=[arns.document],
            reason="Documents are regional and a stack is not: copy ours to every onboarded region, remove the copies with the stack.",
        ),
        Statement(
            role=role,
            sid="WidenRole",
            actions=["iam:AttachRolePolicy"],
            resources=[arns.iam("role/*")],
            conditions={"ArnEquals": {"iam:PolicyARN": arns.managed("AmazonSSMManagedInstanceCore")}},
            reason="With consent only: let the role behind an instance's own profile reach Systems Manager, by this one AWS policy.",
            consent="EC2SSMIAMRolePolicyUpdateAllowed",
        ),
    ]
