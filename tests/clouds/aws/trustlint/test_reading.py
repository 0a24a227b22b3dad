"""How an account's trust is read: page by page, part by part, and what is said of a part that could not be."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import pytest

from isthmus.clouds.aws.trustlint import AwsTrust
from isthmus.clouds.aws.trustlint.estate import AccessKey
from isthmus.clouds.aws.trustlint.report import users
from isthmus.clouds.contract import TrustReport
from tests.clouds.aws.fake_aws import TARGET, FakeAws, paged, refuse, sessions_of, unreachable
from tests.clouds.aws.trustlint.documents import NOW, PRIVATE, SAML, certificate, metadata, oidc_arn, role, web

REPORT = (
    "user,arn,user_creation_time,password_enabled,password_last_used,mfa_active,access_key_1_active,access_key_1_last_rotated,"
    "access_key_1_last_used_date,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date\n"
    "<root_account>,arn:aws:iam::111122223333:root,2020-01-01T00:00:00+00:00,not_supported,no_information,false,false,N/A,N/A,false,N/A,N/A\n"
    "old,arn:aws:iam::111122223333:user/old,2020-01-01T00:00:00+00:00,true,N/A,false,true,2020-01-01T00:00:00+00:00,"
    "2026-11-01T00:00:00+00:00,false,2020-01-01T00:00:00+00:00,N/A\n"
)
ROLES = [
    {
        "Arn": one.arn,
        "RoleName": one.name,
        "Path": one.path,
        "AssumeRolePolicyDocument": one.trust,
        "MaxSessionDuration": one.longest,
    }
    for one in (role(web(PRIVATE), name=f"R{number}") for number in range(5))
]


def _answers() -> dict[str, Any]:
    return {
        "iam:ListRoles": paged(ROLES, "Roles", "Marker", "Marker", 2),
        "iam:ListOpenIDConnectProviders": lambda _p, _r: {"OpenIDConnectProviderList": [{"Arn": oidc_arn(PRIVATE)}]},
        "iam:GetOpenIDConnectProvider": lambda _p, _r: {"Url": PRIVATE, "ClientIDList": ["aws"], "ThumbprintList": ["6938fd4d" * 5]},
        "iam:ListSAMLProviders": lambda _p, _r: {"SAMLProviderList": [{"Arn": SAML}]},
        "iam:GetSAMLProvider": lambda p, _r: {"SAMLMetadataDocument": metadata(certificate(3))} if p == {"SAMLProviderArn": SAML} else {},
        "iam:GenerateCredentialReport": lambda _p, _r: {"State": "COMPLETE"},
        "iam:GetCredentialReport": lambda _p, _r: {"Content": base64.b64encode(REPORT.encode()).decode()},
    }


def lint(aws: FakeAws, pauses: list[float] | None = None) -> TrustReport:
    async def pause(seconds: float) -> None:
        (pauses if pauses is not None else []).append(seconds)

    return asyncio.run(AwsTrust(sessions_of(aws), lambda: NOW, sleep=pause).lint(TARGET))


def test_everything_is_read_and_judged() -> None:
    aws = FakeAws(_answers())
    found = lint(aws)
    assert found.blind == ()
    assert found.looked_at == {"roles": 5, "oidcProviders": 1, "samlProviders": 1, "users": 2}
    rules = {(one.rule, one.resource.rpartition("/")[2]) for one in found.findings}
    assert {("oidc-no-audience", f"R{number}") for number in range(5)} <= rules
    assert {("saml-certificate-expires", "Entra"), ("oidc-by-thumbprint", PRIVATE)} <= rules
    assert {("user-key-old", "old"), ("user-console-one-factor", "old")} <= rules
    assert aws.count("iam:ListRoles") == 3
    assert sum(aws.count(f"iam:{name}") for name in ("ListAccessKeys", "GetAccessKeyLastUsed", "GetAccountAuthorizationDetails")) == 0


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        ("iam:ListRoles", "roles"),
        ("iam:ListOpenIDConnectProviders", "oidcProviders"),
        ("iam:GetOpenIDConnectProvider", "oidcProviders"),
        ("iam:GetSAMLProvider", "samlProviders"),
        ("iam:GenerateCredentialReport", "users"),
        ("iam:GetCredentialReport", "users"),
    ],
)
def test_a_denial_blinds_one_part_and_names_the_action(operation: str, part: str) -> None:
    found = lint(FakeAws(_answers(), fault=lambda name, region: refuse("AccessDenied", name, region) if name == operation else None))
    (blind,) = found.blind
    assert (blind.part, blind.action) == (part, operation)
    assert "update the CloudFormation stack" in blind.reason
    assert found.looked_at[part] == 0
    assert sum(found.looked_at.values()) > 0
    assert found.findings


def test_a_report_that_is_being_made_is_waited_for() -> None:
    states = iter(["STARTED", "INPROGRESS", "COMPLETE", "COMPLETE"])
    pauses: list[float] = []
    gone = iter([refuse("ReportExpired", "iam:GetCredentialReport", "us-east-1"), None])
    answers = {**_answers(), "iam:GenerateCredentialReport": lambda _p, _r: {"State": next(states)}}
    aws = FakeAws(answers, fault=lambda name, _region: next(gone) if name == "iam:GetCredentialReport" else None)
    assert lint(aws, pauses).looked_at["users"] == 2
    assert pauses == [2.0, 2.0, 2.0]


def test_a_report_that_never_comes_is_said() -> None:
    pauses: list[float] = []
    found = lint(FakeAws({**_answers(), "iam:GenerateCredentialReport": lambda _p, _r: {"State": "INPROGRESS"}}), pauses)
    assert [one.part for one in found.blind] == ["users"]
    assert "within 60 seconds" in found.blind[0].reason
    assert len(pauses) == 30


def test_what_is_no_report_is_said() -> None:
    found = lint(FakeAws({**_answers(), "iam:GetCredentialReport": lambda _p, _r: {"Content": base64.b64encode(b"<html>").decode()}}))
    assert [one.part for one in found.blind] == ["users"]
    assert "columns" in found.blind[0].reason


@pytest.mark.parametrize(
    ("error", "kind"), [(refuse("AccessDenied", "sts:x", "r"), PermissionError), (unreachable("dns", "sts:x", "r"), ConnectionError)]
)
def test_an_account_that_does_not_let_us_in(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        lint(FakeAws(_answers(), fault=lambda name, _region: error if name.startswith("sts:") else None))


def test_inactive_keys_do_not_count() -> None:
    root, old = users(REPORT)
    assert root.is_root
    assert not root.keys
    assert [one.number for one in old.keys] == [1]
    assert isinstance(old.keys[0], AccessKey)
    assert old.has_password
    assert not old.has_mfa


def test_roles_of_aws_are_left_to_aws() -> None:
    row: Mapping[str, Any] = {**ROLES[0], "Path": "/aws-service-role/x.amazonaws.com/"}
    found = lint(FakeAws({**_answers(), "iam:ListRoles": lambda _p, _r: {"Roles": [row]}}))
    assert [one for one in found.findings if one.resource == row["Arn"]] == []
