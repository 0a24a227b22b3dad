"""Access of people in the template: a role for each role mapping, the policy that takes access away, and the role that may change it.

People's roles trust tokens of our issuer that are made for people, prove a second factor where the mapping asks for it, and name this very
role (`sts:RoleAuthorizedByIdp`). Every session carries its grant as a tag and its person as source identity, or it is not given at all.
Where a directory vouches in the account itself, they trust that one instead (`federation`), and a role that nobody holds is watched in
place of sessions that we do not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from isthmus.clouds.aws import names
from isthmus.clouds.aws.outliving import CHAINS, SHELLS, TUNNELS
from isthmus.clouds.aws.template.directories import SAML, Directory
from isthmus.clouds.aws.template.federation import PERSON_TAG, directory_trust
from isthmus.clouds.aws.template.request import AccessAsk, PersonRole, TemplateRequest
from isthmus.clouds.aws.template.roles import federated_trust, policies, role, tags
from isthmus.clouds.aws.template.shells import shell_statements
from isthmus.clouds.aws.template.statements import Arns, Statement, own_role_statement
from isthmus.clouds.contract import ScanTarget

SERVICE_ROLE = "AccessRole"
PROBE = "sts:GetAccessKeyInfo"
"""What a probe calls: it reads and changes nothing, and unlike GetCallerIdentity it can be denied."""

WITNESS = "Witness"
"""Logical id and mapping of the role on which the revocation policy is watched in direct modes."""

SESSION_TAGS = ("grant", "signin", "SSMSessionRunAs")
"""Keys that a session may be tagged with: its grant, the sign-in behind it, and the user of its shells."""

_CHANGES = (
    "iam:Add*",
    "iam:Attach*",
    "iam:Create*",
    "iam:Delete*",
    "iam:Detach*",
    "iam:Put*",
    "iam:Remove*",
    "iam:Set*",
    "iam:Tag*",
    "iam:Untag*",
    "iam:Update*",
)
"""Everything that changes a role, policy, provider or instance profile; passing a role changes nothing of it."""


def person_logical_id(name: str) -> str:
    """Logical id of a mapping's role in the template."""
    return f"Person{name}Role"


def access_statements(arns: Arns, ask: AccessAsk) -> list[Statement]:
    """Every statement of the service role and of people's roles."""
    policy = arns.iam(f"policy/{names.revocations_policy(arns.g8)}")
    own = [
        Statement(
            role=SERVICE_ROLE,
            sid="ChangeRevocations",
            actions=["iam:CreatePolicyVersion", "iam:DeletePolicyVersion", "iam:GetPolicyVersion", "iam:ListPolicyVersions"],
            resources=[policy],
            reason="Take access away: put people into the one policy that denies them everything, on every role of this connector.",
        ),
        Statement(
            role=SERVICE_ROLE,
            sid="FindShells",
            actions=["ssm:DescribeSessions"],
            resources=["*"],
            reason="Find the open shells of somebody whose access ends; AWS lists sessions only on *.",
        ),
        Statement(
            role=SERVICE_ROLE,
            sid="EndShells",
            actions=["ssm:TerminateSession"],
            resources=[arns.regional("ssm", "session/*")],
            reason="End those shells: they outlive the credentials that opened them.",
        ),
        Statement(
            role=SERVICE_ROLE,
            sid="ReadTrust",
            actions=[
                "iam:GenerateCredentialReport",
                "iam:GetCredentialReport",
                "iam:GetOpenIDConnectProvider",
                "iam:GetSAMLProvider",
                "iam:ListOpenIDConnectProviders",
                "iam:ListRoles",
                "iam:ListSAMLProviders",
            ],
            resources=["*"],
            reason="Lint whom the account trusts, all of it: trust policies, identity providers and their certificates, keys of users.",
        ),
        Statement(
            role=SERVICE_ROLE,
            sid="ReadTrail",
            actions=["cloudtrail:LookupEvents"],
            resources=["*"],
            reason="Read the management events of the last 90 days, to join calls to people; AWS has no narrower resource for it.",
        ),
        Statement(
            role=SERVICE_ROLE,
            sid="FindRegions",
            actions=["ec2:DescribeRegions"],
            resources=["*"],
            reason="Learn which regions of the account keep events.",
        ),
        own_role_statement(arns, SERVICE_ROLE, names.access_role(arns.g8)),
    ]
    if ask.directory is not None:
        own.append(_probe(WITNESS, "One harmless call, with which Isthmus measures when the account denies somebody: on this role alone."))
    return own + [statement for one in ask.roles for statement in _person_statements(arns, one, ask.directory)]


def _probe(held: str, reason: str) -> Statement:
    return Statement(role=held, sid="Probe", actions=[PROBE], resources=["*"], reason=reason)


def trail_file_statements(arns: Arns, bucket: str, prefix: str) -> list[Statement]:
    """Reading the files that a trail of the account writes, and nothing else of their bucket."""
    below = f"{prefix}/AWSLogs/{arns.account}/" if prefix else f"AWSLogs/{arns.account}/"
    place = f"arn:{arns.partition}:s3:::{bucket}"
    return [
        Statement(
            role=SERVICE_ROLE,
            sid="FindTrailBucket",
            actions=["s3:GetBucketLocation"],
            resources=[place],
            reason="Learn in which region the bucket of the trail lies.",
        ),
        Statement(
            role=SERVICE_ROLE,
            sid="ListTrailFiles",
            actions=["s3:ListBucket"],
            resources=[place],
            conditions={"StringLike": {"s3:prefix": f"{below}*"}},
            reason="Find the trail's files of this account.",
        ),
        Statement(
            role=SERVICE_ROLE,
            sid="ReadTrailFiles",
            actions=["s3:GetObject"],
            resources=[f"{place}/{below}*"],
            reason="Read them.",
        ),
        Statement(
            role=SERVICE_ROLE,
            sid="ReadDigestKeys",
            actions=["cloudtrail:ListPublicKeys"],
            resources=["*"],
            reason="Check AWS' signatures of the trail's digest files; AWS has no narrower resource for it.",
        ),
    ]


def _person_statements(arns: Arns, asked: PersonRole, directory: Directory | None) -> list[Statement]:
    """What a person's role may do besides its managed policies."""
    held = person_logical_id(asked.name)
    found = [_probe(held, "One harmless call, with which Isthmus measures how soon access has ended.")]
    if directory is not None:
        found += [_keep_provider(arns, directory, held), _nothing_outlives(held)]
    if asked.addresses:
        elsewhere: dict[str, dict[str, Any]] = {
            "NotIpAddress": {"aws:SourceIp": list(asked.addresses)},
            "BoolIfExists": {"aws:ViaAWSService": "false"},
        }
        found.append(
            Statement(
                role=held,
                sid="Elsewhere",
                effect="Deny",
                actions=["*"],
                resources=["*"],
                conditions=elsewhere,
                reason="The role mapping names the addresses from which the role works.",
            )
        )
    if asked.machine_tag:
        found += shell_statements(arns, asked.machine_tag, held)
    return [*found, *(_asked_for(held, asked.name, number, one) for number, one in enumerate(asked.statements, 1))]


def _keep_provider(arns: Arns, directory: Directory, held: str) -> Statement:
    """It stands in the role and not in the revocation policy, of which Isthmus writes the versions: a stack that changes the federation
    must not put the template's first version in place of them."""
    own = f"saml-provider/IsthmusDirectory-{arns.g8}" if directory.mode == SAML else f"oidc-provider/{directory.issuer}"
    return Statement(
        role=held,
        sid="KeepProvider",
        effect="Deny",
        actions=list(_CHANGES),
        resources=[arns.iam(own)],
        reason="Who comes in by the directory may not change who vouches for people here.",
    )


def _nothing_outlives(held: str) -> Statement:
    """Whatever the mapping allows: nobody tells us of sessions in direct modes, so nobody would end what they began."""
    return Statement(
        role=held,
        sid="NothingOutlives",
        effect="Deny",
        actions=sorted({*CHAINS, *SHELLS, *TUNNELS}),
        resources=["*"],
        reason="Shells and other sessions outlive this one, and Isthmus would not learn of them: only the broker gives shells.",
    )


def _asked_for(held: str, mapping: str, number: int, asked: Mapping[str, Any]) -> Statement:
    return Statement(
        role=held,
        sid=f"Asked{number}",
        effect=asked["Effect"],
        actions=asked["Action"],
        resources=asked["Resource"],
        conditions=asked.get("Condition", {}),
        reason=f"The role mapping {mapping} asks for it.",
    )


def people_trust(request: TemplateRequest, asked: PersonRole, *, tag_keys: Sequence[str] = SESSION_TAGS) -> dict[str, Any]:
    """Trust in tokens for people. Two statements: the condition keys of one action may be absent for the other."""
    provider = {"Fn::If": ["MakeProvider", {"Ref": "OidcProvider"}, {"Ref": "ExistingOidcProviderArn"}]}
    principal = {"Federated": provider}
    demanded: dict[str, Any] = {
        "StringEquals": {f"{request.issuer}:aud": names.people_audience(request.account)},
        "StringLike": {f"{request.issuer}:sub": "user:*"},
        "Bool": {"sts:RoleAuthorizedByIdp": "true"},
    }
    if asked.requires_mfa:
        demanded["ForAnyValue:StringEquals"] = {f"{request.issuer}:amr": "mfa"}
    stamped = {
        "StringLike": {"aws:RequestTag/grant": "G-*", "sts:SourceIdentity": "?*"},
        "ForAllValues:StringEquals": {"aws:TagKeys": list(tag_keys)},
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "SignIn",
                "Effect": "Allow",
                "Principal": principal,
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": demanded,
            },
            {
                "Sid": "Stamp",
                "Effect": "Allow",
                "Principal": principal,
                "Action": ["sts:TagSession", "sts:SetSourceIdentity"],
                "Condition": stamped,
            },
        ],
    }


def protection(arns: Arns) -> dict[str, Any]:
    """The statement that always stands in the revocation policy: who is denied cannot lift it, nor widen the role or its trust."""
    return {
        "Sid": "Protect",
        "Effect": "Deny",
        "Action": list(_CHANGES),
        "Resource": [
            arns.iam(f"policy/{names.revocations_policy(arns.g8)}"),
            arns.iam(f"role/Isthmus*-{arns.g8}"),
            arns.iam(f"instance-profile/Isthmus*-{arns.g8}"),
            arns.iam(f"oidc-provider/{arns.issuer}"),
        ],
    }


def protection_of(target: ScanTarget, issuer_url: str) -> dict[str, Any]:
    """The same statement for a connector's account, where the policy is changed."""
    arns = Arns.at(target.partition, target.account, target.guid)
    return protection(replace(arns, issuer=issuer_url.removeprefix("https://")))


def access_resources(request: TemplateRequest, granted: Sequence[Statement]) -> dict[str, Any]:
    """The resources of the access solution by logical id."""
    assert request.access is not None
    arns = Arns.of(request)
    made: dict[str, Any] = {
        SERVICE_ROLE: role(
            request,
            names.access_role(request.guid),
            "Isthmus access: takes access of people away, gives none",
            federated_trust(request, names.ACCESS),
            Policies=policies(SERVICE_ROLE, granted),
        ),
        "Revocations": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "ManagedPolicyName": names.revocations_policy(request.guid),
                "Description": "Whom Isthmus denies everything on the roles of people; Isthmus writes its versions",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [protection(arns)]},
            },
        },
    }
    if request.access.directory is not None:
        made[WITNESS] = _witness(request, granted)
    for asked in request.access.roles:
        made[person_logical_id(asked.name)] = _person_role(request, asked, granted)
    return made


def _witness(request: TemplateRequest, granted: Sequence[Statement]) -> Mapping[str, Any]:
    """Taken by our tokens for people, with the same policy on it as people's roles."""
    return role(
        request,
        names.witness_role(request.guid),
        "Isthmus access: shows when the account denies somebody, and can do nothing",
        people_trust(request, PersonRole(name=WITNESS), tag_keys=(*SESSION_TAGS, PERSON_TAG)),
        MaxSessionDuration=3600,
        ManagedPolicyArns=[{"Ref": "Revocations"}],
        Policies=policies(WITNESS, granted),
    )


def _person_role(request: TemplateRequest, asked: PersonRole, granted: Sequence[Statement]) -> Mapping[str, Any]:
    logical = person_logical_id(asked.name)
    directory = request.access.directory if request.access else None
    made = role(
        request,
        names.person_role(request.guid, asked.name),
        f"Isthmus access for people: {asked.name}",
        people_trust(request, asked) if directory is None else directory_trust(directory, asked, request.partition),
        MaxSessionDuration=3600,
        ManagedPolicyArns=[{"Ref": "Revocations"}, *asked.managed_policies],
        Policies=policies(logical, granted),
    )
    made["Properties"]["Tags"] = [*tags(request), {"Key": "isthmus-mapping", "Value": asked.name}]
    return made
