"""Direct federation in the template: the directory as a provider of the account, and roles that trust it without our tokens.

A SAML role demands a group of the assertion. A role by OIDC demands the audience of its own application, to which the directory lets only
the mapped groups sign in, since AWS sees no groups of a private issuer. In the mode claims groups travel as a session tag, which Isthmus
puts into the token while the directory issues it.
"""

from __future__ import annotations

from typing import Any, Final

from isthmus.clouds.aws import names
from isthmus.clouds.aws.template.directories import CLAIMS, OIDC, SAML, Directory
from isthmus.clouds.aws.template.request import AccessAsk, PersonRole, TemplateRequest
from isthmus.clouds.aws.template.roles import tags

PROVIDER: Final = "DirectoryProvider"
MAX_TRUST: Final = 2_048
"""Characters of a role's trust policy (IAM quotas; more on request)."""
ENTITLEMENT: Final = "SAML:edupersonentitlement"
PERSON_TAG, GROUPS_TAG = "entra_oid", "groups"
_RECIPIENTS: Final = {
    "aws": "https://signin.aws.amazon.com/saml",
    "aws-cn": "https://signin.amazonaws.cn/saml",
    "aws-us-gov": "https://signin.amazonaws-us-gov.com/saml",
}
_PARAMETER: Final = "ExistingDirectoryProviderArn"
_CONDITION: Final = "MakeDirectoryProvider"


def recipient(partition: str) -> str:
    """Where a browser brings assertions, and what they name as Recipient and AWS as SAML:aud."""
    return _RECIPIENTS[partition]


def provider_arn(directory: Directory, account: str, guid: str, partition: str) -> str:
    """ARN of the directory's provider in an account."""
    kind = f"saml-provider/{names.saml_provider(guid)}" if directory.mode == SAML else f"oidc-provider/{directory.issuer}"
    return f"arn:{partition}:iam::{account}:{kind}"


def add_directory(template: dict[str, Any], request: TemplateRequest, ask: AccessAsk) -> None:
    """Put the provider into a template. An OIDC issuer fits once into an account, so one that is there can be named instead."""
    directory = ask.directory
    assert directory is not None
    if directory.mode == SAML:
        properties = {"Name": names.saml_provider(request.guid), "SamlMetadataDocument": directory.metadata, "Tags": tags(request)}
        template["Resources"][PROVIDER] = {"Type": "AWS::IAM::SAMLProvider", "Properties": properties}
        return
    arn = provider_arn(directory, request.account, request.guid, request.partition)
    clients = client_ids(ask)
    template["Parameters"][_PARAMETER] = {
        "Type": "String",
        "Default": "",
        "AllowedPattern": f"^({arn.replace('.', '[.]')})?$",
        "Description": (
            f"ARN of an OIDC provider for {directory.issuer} that exists already (an issuer fits once into an account); its audiences must "
            "include the client ids of the role mappings. Empty: the stack makes one."
        ),
    }
    template["Conditions"][_CONDITION] = {"Fn::Equals": [{"Ref": _PARAMETER}, ""]}
    properties = {"Url": directory.issuer_url, **({"ClientIdList": clients} if clients else {}), "Tags": tags(request)}
    template["Resources"][PROVIDER] = {"Type": "AWS::IAM::OIDCProvider", "Condition": _CONDITION, "Properties": properties}


def client_ids(ask: AccessAsk) -> list[str]:
    """The audiences that the provider takes."""
    assert ask.directory is not None
    found = {ask.directory.client_id} if ask.directory.mode == CLAIMS else {role.client_id for role in ask.roles}
    return sorted(found - {""})


def directory_trust(directory: Directory, asked: PersonRole, partition: str) -> dict[str, Any]:
    """The trust policy of a person's role. Two statements: the condition keys of one action may be absent for the other."""
    if directory.mode == SAML:
        provider: dict[str, Any] = {"Ref": PROVIDER}
        demanded: dict[str, Any] = {
            "StringEquals": {"SAML:aud": recipient(partition), "SAML:iss": directory.entity_id},
            "ForAnyValue:StringEquals": {ENTITLEMENT: list(asked.groups)},
        }
        sign_in = _statement("SignIn", provider, "sts:AssumeRoleWithSAML", demanded)
        return _document(sign_in, _stamp(provider, {f"aws:RequestTag/{PERSON_TAG}": "?*"}, [PERSON_TAG]))
    provider = {"Fn::If": [_CONDITION, {"Ref": PROVIDER}, {"Ref": _PARAMETER}]}
    client = asked.client_id if directory.mode == OIDC else directory.client_id
    demanded = {"StringEquals": {f"{directory.issuer}:aud": client}}
    if asked.requires_mfa:
        demanded["ForAnyValue:StringEquals"] = {f"{directory.issuer}:amr": "mfa"}
    if directory.mode == OIDC:
        return _document(_statement("SignIn", provider, "sts:AssumeRoleWithWebIdentity", demanded))
    demanded["Bool"] = {"sts:RoleAuthorizedByIdp": "true"}
    groups = [f"*:{group}:*" for group in asked.groups]
    return _document(
        _statement("SignIn", provider, "sts:AssumeRoleWithWebIdentity", demanded),
        _stamp(provider, {f"aws:RequestTag/{GROUPS_TAG}": groups, f"aws:RequestTag/{PERSON_TAG}": "?*"}, [GROUPS_TAG, PERSON_TAG]),
    )


def _stamp(provider: dict[str, Any], like: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    conditions = {"StringLike": {**like, "sts:SourceIdentity": "?*"}, "ForAllValues:StringEquals": {"aws:TagKeys": keys}}
    return _statement("Stamp", provider, ["sts:TagSession", "sts:SetSourceIdentity"], conditions)


def _statement(sid: str, provider: dict[str, Any], action: str | list[str], conditions: dict[str, Any]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Principal": {"Federated": provider}, "Action": action, "Condition": conditions}


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
