"""Direct federation in the template: what AWS demands of whom, and that our own lint of trust has nothing to say about it."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from isthmus.clouds.aws.template import AccessAsk, Directory, PersonRole, TemplateRequest, authentication_template
from isthmus.clouds.aws.template.federation import MAX_TRUST
from isthmus.clouds.aws.trustlint import judge
from isthmus.clouds.aws.trustlint.estate import Estate, OidcProvider, Role
from tests.clouds.aws.template.requests import ACCOUNT, CLIENT, COMBINATIONS, DEV, DIRECTORIES, GUID, ISSUER, OPS, READ_ONLY, TENANT

V1, V2 = f"sts.windows.net/{TENANT}/", f"login.microsoftonline.com/{TENANT}/v2.0"


def made(name: str) -> dict[str, Any]:
    resources: dict[str, Any] = authentication_template(COMBINATIONS[f"access-{name}"])["Resources"]
    return resources


def trust(name: str, role: str = "PersonReaderRole") -> dict[str, Any]:
    found: dict[str, Any] = made(name)[role]["Properties"]["AssumeRolePolicyDocument"]
    return {one["Sid"]: one for one in found["Statement"]}


def test_a_saml_role_demands_recipient_issuer_and_group() -> None:
    sign_in = trust("saml")["SignIn"]
    assert sign_in["Action"] == "sts:AssumeRoleWithSAML"
    assert sign_in["Principal"] == {"Federated": {"Ref": "DirectoryProvider"}}
    assert sign_in["Condition"] == {
        "StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml", "SAML:iss": f"https://{V1}"},
        "ForAnyValue:StringEquals": {"SAML:edupersonentitlement": [DEV, OPS]},
    }
    provider = made("saml")["DirectoryProvider"]
    assert (provider["Type"], provider["Properties"]["Name"]) == ("AWS::IAM::SAMLProvider", "IsthmusDirectory-3f2504e0")
    assert provider["Properties"]["SamlMetadataDocument"] == DIRECTORIES["saml"].metadata


def test_a_role_by_oidc_demands_its_own_application_and_a_second_factor_where_tokens_tell_of_it() -> None:
    assert trust("oidc-v2")["SignIn"]["Condition"] == {"StringEquals": {f"{V2}:aud": CLIENT}}
    assert trust("oidc-v1")["SignIn"]["Condition"] == {
        "StringEquals": {f"{V1}:aud": CLIENT},
        "ForAnyValue:StringEquals": {f"{V1}:amr": "mfa"},
    }
    provider = made("oidc-v1")["DirectoryProvider"]["Properties"]
    assert (provider["Url"], provider["ClientIdList"]) == (f"https://{V1}", ["0" + CLIENT[1:], CLIENT])
    assert set(trust("oidc-v2")) == {"SignIn"}, "no token of the directory may tag a session"


def test_by_claims_groups_and_the_person_are_demanded_of_the_stamp() -> None:
    found = trust("claims")
    assert found["SignIn"]["Condition"] == {
        "StringEquals": {f"{V2}:aud": CLIENT},
        "Bool": {"sts:RoleAuthorizedByIdp": "true"},
    }
    assert found["Stamp"]["Condition"]["StringLike"] == {
        "aws:RequestTag/groups": [f"*:{DEV}:*", f"*:{OPS}:*"],
        "aws:RequestTag/entra_oid": "?*",
        "sts:SourceIdentity": "?*",
    }


@pytest.mark.parametrize("name", DIRECTORIES)
def test_who_is_denied_may_not_change_what_denies_nor_who_vouches(name: str) -> None:
    broker = authentication_template(COMBINATIONS["access-people"])["Resources"]["Revocations"]
    assert made(name)["Revocations"] == broker, "a stack that changes the federation must not replace the versions that Isthmus wrote"
    vouching = "saml-provider/IsthmusDirectory-3f2504e0" if name == "saml" else f"oidc-provider/{DIRECTORIES[name].issuer}"
    for role in ("PersonReaderRole", "PersonOpsRole"):
        [policy] = made(name)[role]["Properties"]["Policies"]
        [keep] = [one for one in policy["PolicyDocument"]["Statement"] if one["Sid"] == "KeepProvider"]
        assert (keep["Effect"], keep["Resource"]) == ("Deny", [f"arn:aws:iam::{ACCOUNT}:{vouching}"])
        assert {"iam:Update*", "iam:Delete*", "iam:Add*", "iam:Remove*"} <= set(keep["Action"])
    for role in ("PersonReaderRole", "PersonOpsRole", "Witness"):
        assert made(name)[role]["Properties"]["ManagedPolicyArns"][0] == {"Ref": "Revocations"}


OUTLIVING = (
    "sts:AssumeRole",
    "sts:GetWebIdentityToken",
    "ssm:StartSession",
    "ssm:ResumeSession",
    "ssm:GetAccessToken",
    "ssm-guiconnect:StartConnection",
    "ec2-instance-connect:SendSSHPublicKey",
    "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
    "ec2-instance-connect:OpenTunnel",
    "ecs:ExecuteCommand",
)


@pytest.mark.parametrize("name", DIRECTORIES)
def test_no_statement_of_a_mapping_begins_what_nobody_would_find(name: str) -> None:
    everything = {"Effect": "Allow", "Action": ["ssm:*", "ec2-instance-connect:*", "ecs:*", "sts:*"], "Resource": ["*"]}
    roles = (PersonRole(name="Ops", statements=(everything,), groups=(OPS,), requires_mfa=False, client_id=CLIENT),)
    wanted = AccessAsk(roles=roles, directory=DIRECTORIES[name])
    request = TemplateRequest(account=ACCOUNT, guid=GUID, issuer_url=ISSUER, access=wanted)
    [policy] = authentication_template(request)["Resources"]["PersonOpsRole"]["Properties"]["Policies"]
    denying = [one for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Deny" and one["Resource"] == ["*"]]
    denied = [action for one in denying if "Condition" not in one for action in one["Action"]]
    for action in OUTLIVING:
        assert any(fnmatchcase(action, one) for one in denied), action
    for action in ("ssm:GetParameter", "ssm:SendCommand", "ecs:RunTask", "sts:GetAccessKeyInfo"):
        assert not any(fnmatchcase(action, one) for one in denied), action


@pytest.mark.parametrize("name", ["access-people", "access-roleless"])
def test_the_broker_ends_shells_so_its_roles_may_open_them(name: str) -> None:
    assert "NothingOutlives" not in json.dumps(authentication_template(COMBINATIONS[name]))


@pytest.mark.parametrize("name", DIRECTORIES)
def test_the_witness_can_probe_and_nothing_else(name: str) -> None:
    [policy] = made(name)["Witness"]["Properties"]["Policies"]
    assert [one["Action"] for one in policy["PolicyDocument"]["Statement"]] in (["sts:GetAccessKeyInfo"], [["sts:GetAccessKeyInfo"]])
    assert made(name)["Witness"]["Properties"]["ManagedPolicyArns"] == [{"Ref": "Revocations"}]


@pytest.mark.parametrize("name", DIRECTORIES)
def test_addresses_are_kept_by_the_role_itself(name: str) -> None:
    [policy] = made(name)["PersonOpsRole"]["Properties"]["Policies"]
    [elsewhere] = [one for one in policy["PolicyDocument"]["Statement"] if one["Sid"] == "Elsewhere"]
    assert (elsewhere["Effect"], elsewhere["Condition"]["NotIpAddress"]) == ("Deny", {"aws:SourceIp": ["192.0.2.0/24"]})


def resolved(value: Any, provider: str) -> Any:
    """Intrinsic functions in the provider's place."""
    if isinstance(value, dict):
        return provider if {"Fn::If", "Ref"} & set(value) else {key: resolved(inner, provider) for key, inner in value.items()}
    return [resolved(inner, provider) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", DIRECTORIES)
def test_our_own_lint_finds_no_fault_with_the_doors(name: str) -> None:
    directory = DIRECTORIES[name]
    kind = "saml-provider/IsthmusDirectory-3f2504e0" if name == "saml" else f"oidc-provider/{directory.issuer}"
    arn = f"arn:aws:iam::{ACCOUNT}:{kind}"
    roles = tuple(
        Role(arn=f"arn:aws:iam::{ACCOUNT}:role/{one}", name=one, trust=resolved(trust_of(name, one), arn))
        for one in ("PersonReaderRole", "PersonOpsRole")
    )
    oidc = () if name == "saml" else (OidcProvider(arn=arn, issuer=directory.issuer, audiences=(CLIENT,)),)
    found = judge(Estate(account=ACCOUNT, roles=roles, oidc=oidc), 0.0)
    assert [one for one in found if one.severity == "Error"] == []


def trust_of(name: str, role: str) -> dict[str, Any]:
    document: dict[str, Any] = made(name)[role]["Properties"]["AssumeRolePolicyDocument"]
    return document


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        (f"https://login.microsoftonline.com/{TENANT}/v2.0", True),
        (f"https://login.microsoftonline.com/{TENANT}/v2.0/", False),
        (f"https://login.microsoftonline.com/{TENANT}", False),
        ("https://login.microsoftonline.com/common/v2.0", False),
        (f"https://login.microsoftonline.com/{'A' * 8}{TENANT[8:]}/v2.0", False),
        (f"https://sts.windows.net/{TENANT}/", True),
        (f"https://sts.windows.net/{TENANT}", False),
        (f"https://STS.windows.net/{TENANT}/", False),
        ("https://idp.example.com/realms/a", True),
        ("https://idp.example.com:8443/", False),
        ("http://idp.example.com/", False),
        ("https://idp.example.com/?a=b", False),
        ("", False),
    ],
)
def test_issuers_count_to_the_last_slash(url: str, fits: bool) -> None:
    if fits:
        assert Directory(mode="oidc", issuer_url=url).issuer == url.removeprefix("https://")
    else:
        with pytest.raises(ValueError, match="issuer"):
            Directory(mode="oidc", issuer_url=url)


def test_a_trust_policy_that_iam_would_not_take_is_refused() -> None:
    roles = (PersonRole(name="Big", managed_policies=READ_ONLY, groups=tuple(f"{number:036d}" for number in range(50))),)
    wanted = TemplateRequest(account=ACCOUNT, guid=GUID, issuer_url=ISSUER, access=AccessAsk(roles=roles, directory=DIRECTORIES["saml"]))
    with pytest.raises(ValueError, match=f"PersonBigRole has [0-9]+ characters, IAM takes {MAX_TRUST}"):
        authentication_template(wanted)


def test_a_directory_that_is_isthmus_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="broker"):
        TemplateRequest(
            account=ACCOUNT, guid=GUID, issuer_url=ISSUER, access=AccessAsk(directory=Directory(mode="oidc", issuer_url=ISSUER))
        )


def test_nothing_of_the_metadata_reaches_more_than_the_provider() -> None:
    text = json.dumps(made("saml"))
    assert text.count("IDPSSODescriptor") == 1
