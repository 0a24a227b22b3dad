"""Every rule against documents that break it and documents that keep it. A document is judged by what it means, not how it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from isthmus.clouds.aws.template import AccessAsk, PersonRole, TemplateRequest, authentication_template
from isthmus.clouds.aws.trustlint import RULES, judge
from isthmus.clouds.aws.trustlint.estate import Estate, Role, User
from tests.clouds.aws.trustlint.documents import (
    ACCOUNT,
    CLIENT,
    ENTRA,
    GITHUB,
    NOW,
    OTHER,
    PRIVATE,
    aws,
    certificate,
    estate,
    github,
    key,
    metadata,
    people,
    private,
    role,
    saml,
    stamps,
    unreadable,
    user,
    web,
    with_oidc,
    with_saml,
)
from tests.support.metadata import of_no_version

SUB, AUD, AMR = f"{PRIVATE}:sub", f"{PRIVATE}:aud", f"{PRIVATE}:amr"
EQ, LIKE = "StringEquals", "StringLike"
GOOD_SUB = "repo:acme/site:ref:refs/heads/main"
SSO = "/aws-reserved/sso.amazonaws.com/eu-west-1/"
GROUP = {"ForAnyValue:StringEquals": {"SAML:edupersonentitlement": ["g-1"]}}


def _one(issuer: str, condition: Mapping[str, Any] | None, *more: Any) -> Estate:
    return estate(role(web(issuer, dict(condition) if condition is not None else None), *more))


def _two(*statements: Any) -> Estate:
    return estate(*(role(statement, name=f"R{number}") for number, statement in enumerate(statements)))


BAD: Mapping[str, Sequence[Estate]] = {
    "oidc-no-audience": [
        _one(PRIVATE, None),
        _one(PRIVATE, {EQ: {SUB: "user:1"}}),
        _one(PRIVATE, {EQ: {f"{GITHUB}:aud": "aws", SUB: "user:1"}}),
        _one(PRIVATE, {"Null": {AUD: "false"}, EQ: {SUB: "user:1"}}),
    ],
    "oidc-no-subject": [
        _one(PRIVATE, {EQ: {AUD: "aws"}}),
        _one(ENTRA, {EQ: {f"{ENTRA}:aud": "api://AzureADTokenExchange"}}),
        estate(role(web(PRIVATE, {EQ: {AUD: "aws", SUB: "user:1"}}), web(PRIVATE, {EQ: {AUD: "aws"}}))),
        estate(role(web(PRIVATE, {EQ: {AUD: "aws"}}, action=["sts:assumerolewithwebidentity", "sts:TagSession"]))),
        estate(role(web(PRIVATE, {EQ: {AUD: "aws"}}, action="sts:*"))),
    ],
    "oidc-audience-alone": [_one(ENTRA, {EQ: {f"{ENTRA}:aud": [CLIENT]}}), _one(ENTRA, {EQ: {f"{ENTRA}:aud": f"api://{CLIENT}"}})],
    "oidc-condition-cannot-fail": [
        _one(PRIVATE, {EQ: {AUD: "aws"}, "StringEqualsIfExists": {SUB: "user:1"}}),
        _one(PRIVATE, {EQ: {AUD: "aws"}, "StringLikeIfExists": {SUB: "user:*"}}),
        _one(PRIVATE, {EQ: {AUD: "aws"}, "StringNotEquals": {SUB: "user:1"}}),
        _one(PRIVATE, {EQ: {AUD: "aws"}, "stringnotlike": {SUB.upper(): "svc:*"}}),
        private(people(ForAnyValue__StringEquals=None, ForAllValues__StringEquals={AMR: ["mfa"]})),
        private(people(Bool=None, BoolIfExists={"sts:RoleAuthorizedByIdp": "true"})),
        private(people(Bool={"sts:roleauthorizedbyidp": "false"})),
    ],
    "oidc-matches-everything": [
        github("*"),
        github("?*"),
        github(["repo:acme/site:*", "*?*"]),
        _one(PRIVATE, {LIKE: {AUD: "*", SUB: "user:1"}}),
        _one(PRIVATE, {EQ: {AUD: "aws"}, "ForAnyValue:StringLike": {SUB: ["**"]}}),
    ],
    "oidc-subject-crosses-tenants": [
        github("repo:*"),
        github("repo:acme*"),
        github("repo:acme*/site:*"),
        github("repo:?cme/site:*"),
        github("*:ref:refs/heads/main"),
        github([GOOD_SUB, "repo:acme-*/site:*"]),
        _one("gitlab.com", {EQ: {"gitlab.com:aud": "aws"}, LIKE: {"gitlab.com:sub": "project_path:*:ref:main"}}),
        _one("app.terraform.io", {EQ: {"app.terraform.io:aud": "aws"}, LIKE: {"app.terraform.io:sub": "organization:acme*"}}),
        _one("accounts.google.com", {EQ: {"accounts.google.com:aud": "x"}, LIKE: {"accounts.google.com:sub": "1*"}}),
    ],
    "oidc-subject-whole-tenant": [github("repo:acme/*"), github(["repo:acme/*:*"]), github(["repo:acme/site:*", "repo:acme/*"])],
    "shared-issuer-unbound": [
        _one(GITHUB, {EQ: {f"{GITHUB}:aud": "sts.amazonaws.com"}}),
        _one("accounts.google.com", {EQ: {"accounts.google.com:aud": "client"}}),
        _one("login.microsoftonline.com/common/v2.0", {EQ: {"login.microsoftonline.com/common/v2.0:aud": CLIENT}}),
        _one("cognito-identity.amazonaws.com", None),
    ],
    "oidc-literal-wildcard": [github("repo:acme/site:*", "StringEquals"), github(["repo:acme/site:*", GOOD_SUB], "StringEqualsIgnoreCase")],
    "people-one-factor": [private(people(ForAnyValue__StringEquals=None)), _one(ENTRA, {EQ: {f"{ENTRA}:aud": CLIENT}})],
    "private-issuer-any-role": [private(people(Bool=None))],
    "stamps-not-allowed": [
        _one(PRIVATE, people(StringLike={SUB: "user:*", "aws:RequestTag/grant": "G-*"})),
        _one(PRIVATE, people(StringLike={SUB: "user:*", "sts:SourceIdentity": "?*"})),
    ],
    "people-unstamped": [_one(PRIVATE, people()), estate(role(saml(stamped=False)))],
    "audience-shared": [
        _two(*(web(GITHUB, {EQ: {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": f"repo:acme/{one}:x"}}) for one in "ab"))
    ],
    "saml-no-audience": [
        estate(role({**saml(), "Condition": GROUP})),
        estate(role({**saml(), "Condition": {"StringEqualsIfExists": {"SAML:aud": "x"}}})),
    ],
    "saml-without-group": [
        _two(saml(), saml()),
        _two(saml(GROUP), saml()),
        _two(saml(), saml({"StringNotEquals": {"SAML:edupersonentitlement": "g-2"}})),
    ],
    "saml-certificate-expired": [with_saml(certificate(-1)), with_saml(certificate(500), certificate(-1))],
    "saml-certificate-expires": [with_saml(certificate(29)), with_saml(certificate(500), certificate(0.5))],
    "saml-certificate-weak": [with_saml(certificate(500, bits=1024))],
    "saml-metadata-unreadable": [
        unreadable("<x"),
        unreadable(metadata()),
        unreadable(metadata("no base64!")),
        unreadable(metadata("AAAA")),
        with_saml(certificate(5), of_no_version(certificate(5))),
    ],
    "oidc-by-thumbprint": [with_oidc(PRIVATE, "6938fd4d98bab03faadb97b34396831e3780aea1")],
    "trust-everyone": [
        estate(role(aws("*"))),
        estate(role(aws(["*"]))),
        estate(role({**aws("*"), "Principal": "*"})),
        estate(role(aws("*", {EQ: {"sts:ExternalId": "x"}}))),
        estate(role(aws("*", {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}))),
        estate(role({"Effect": "Allow", "NotPrincipal": {"AWS": OTHER}, "Action": "sts:AssumeRole"})),
        estate(role({"Effect": "Allow", "Principal": {"AWS": "*"}, "NotAction": "sts:TagSession"})),
    ],
    "trust-foreign-account": [
        estate(role(aws(f"arn:aws:iam::{OTHER}:root"))),
        estate(role(aws([f"arn:aws:iam::{ACCOUNT}:root", OTHER]))),
        estate(role(aws(OTHER, {"StringEqualsIfExists": {"sts:ExternalId": "x"}}))),
    ],
    "people-long-session": [estate(role(saml(), longest=43_200)), estate(role(web(PRIVATE, people()), stamps(PRIVATE), longest=3601))],
    "identity-center-role": [estate(role(saml(), name="AWSReservedSSO_Admin_1", path=SSO))],
    "user-console-one-factor": [user(has_password=True)],
    "root-access-key": [estate(users=(User(arn=f"arn:aws:iam::{ACCOUNT}:root", name="<root_account>", keys=(key(1),)),))],
    "user-key-old": [user(key(91))],
    "user-key-unused": [user(key(2, None))],
}

GOOD: Mapping[str, Sequence[Estate]] = {
    "oidc-no-audience": [private(people()), _one("graph.facebook.com", {EQ: {"graph.facebook.com:app_id": "1"}})],
    "oidc-no-subject": [
        private(people()),
        estate(role(web(PRIVATE, {EQ: {AUD: "aws"}}), web(PRIVATE, {"StringNotLike": {SUB: "user:*"}}, effect="Deny"))),
        _one(PRIVATE, {EQ: {AUD: "aws", f"{PRIVATE}:email": "a@example.com"}}),
        estate(role(web(PRIVATE, {EQ: {AUD: "aws"}}, action="sts:TagSession"))),
        estate(role(web(PRIVATE, {EQ: {AUD: "aws"}}, effect="Deny"))),
    ],
    "oidc-audience-alone": [_one(ENTRA, {EQ: {f"{ENTRA}:aud": CLIENT, f"{ENTRA}:sub": "x"}})],
    "oidc-condition-cannot-fail": [
        private(people()),
        _one(PRIVATE, {EQ: {AUD: "aws"}, "StringEqualsIfExists": {SUB: "user:1"}, "Null": {SUB: False}}),
        _one(PRIVATE, {EQ: {AUD: "aws"}, "StringNotEquals": {SUB: "user:1"}, LIKE: {SUB: "user:*"}}),
        private(people(Null={AMR: ["false"]}, ForAllValues__StringEquals={AMR: ["mfa", "pwd"]})),
    ],
    "oidc-matches-everything": [
        github(GOOD_SUB),
        _one(
            GITHUB, {EQ: {f"{GITHUB}:aud": "a"}, LIKE: {f"{GITHUB}:sub": "*"}, "ForAnyValue:StringLike": {f"{GITHUB}:sub": "repo:acme/x:*"}}
        ),
    ],
    "oidc-subject-crosses-tenants": [
        github(GOOD_SUB),
        github("repo:acme/site:*"),
        github("repo:acme@1234/site@5678:environment:*"),
        github("repository_owner_id:65:*"),
        _one(GITHUB, {EQ: {f"{GITHUB}:repository_owner_id": "65", f"{GITHUB}:aud": "a"}, LIKE: {f"{GITHUB}:sub": "*:environment:prod"}}),
        _one("app.terraform.io", {EQ: {"app.terraform.io:aud": "aws"}, LIKE: {"app.terraform.io:sub": "organization:acme:project:p:*"}}),
        private(people()),
    ],
    "oidc-subject-whole-tenant": [github("repo:acme/site:*"), github(GOOD_SUB)],
    "shared-issuer-unbound": [
        github(GOOD_SUB),
        _one("cognito-identity.amazonaws.com", {EQ: {"cognito-identity.amazonaws.com:aud": "eu-west-1:pool"}}),
        _one(ENTRA, {EQ: {f"{ENTRA}:aud": CLIENT}}),
    ],
    "oidc-literal-wildcard": [github("repo:acme/site:*")],
    "people-one-factor": [private(people()), github(GOOD_SUB), _one(PRIVATE, {EQ: {AUD: "aws", SUB: "svc:build"}})],
    "private-issuer-any-role": [
        private(people()),
        private(people(Bool=None), web(PRIVATE, {"Bool": {"sts:RoleAuthorizedByIdp": "false"}}, effect="Deny")),
        _one(PRIVATE, {EQ: {AUD: "aws", SUB: "svc:build"}}),
    ],
    "stamps-not-allowed": [private(people(StringLike={SUB: "user:*", "sts:SourceIdentity": "?*", "aws:RequestTag/grant": "G-*"}))],
    "people-unstamped": [private(people()), estate(role(saml())), github(GOOD_SUB)],
    "audience-shared": [
        github(GOOD_SUB),
        _two(*(web(GITHUB, {EQ: {f"{GITHUB}:aud": f"aws-{one}", f"{GITHUB}:sub": GOOD_SUB}}) for one in "ab")),
    ],
    "saml-no-audience": [estate(role(saml()))],
    "saml-without-group": [estate(role(saml())), _two(saml(GROUP), saml(GROUP))],
    "saml-certificate-expired": [with_saml(certificate(1))],
    "saml-certificate-expires": [with_saml(certificate(31)), with_saml(certificate(-1))],
    "saml-certificate-weak": [with_saml(certificate(500)), with_saml(certificate(500, bits=0))],
    "saml-metadata-unreadable": [with_saml(certificate(5)), unreadable(metadata(certificate(5), use=""))],
    "oidc-by-thumbprint": [with_oidc(PRIVATE), with_oidc(PRIVATE, "f" * 40), with_oidc(GITHUB, "6938fd4d98bab03faadb97b34396831e3780aea1")],
    "trust-everyone": [
        estate(role(aws("*", {EQ: {"aws:PrincipalOrgID": ["o-1"]}}))),
        estate(role(aws("*"), {**aws("*", {"StringNotEquals": {"aws:principalorgid": "o-1"}}), "Effect": "Deny"})),
        estate(role(aws(OTHER))),
        estate(role({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})),
    ],
    "trust-foreign-account": [
        estate(role(aws(ACCOUNT))),
        estate(role(aws(OTHER, {EQ: {"STS:externalid": "x"}}))),
        estate(role(aws(f"arn:aws:iam::{OTHER}:role/Deploy"))),
    ],
    "people-long-session": [
        estate(role(saml())),
        estate(role(aws(ACCOUNT), longest=43_200)),
        estate(role(saml(), path=SSO, longest=43_200)),
    ],
    "identity-center-role": [estate(role(saml()))],
    "user-console-one-factor": [user(has_password=True, has_mfa=True), user()],
    "root-access-key": [user(key(1))],
    "user-key-old": [user(key(89))],
    "user-key-unused": [user(key(2, 1)), user(key(0.5, None))],
}


def found(looked_at: Estate) -> set[str]:
    return {one.rule for one in judge(looked_at, NOW)}


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_every_rule_sees_what_breaks_it_and_nothing_else(rule: str) -> None:
    assert BAD[rule], "there is no document that breaks it"
    assert GOOD[rule], "there is no document that keeps it"
    for number, document in enumerate(BAD[rule]):
        assert rule in found(document), f"bad document {number} went through"
    for number, document in enumerate(GOOD[rule]):
        assert rule not in found(document), f"good document {number} was reported"


def test_the_tables_know_no_other_rule_and_ids_are_not_used_twice() -> None:
    ids = [rule.id for rule in RULES]
    assert set(BAD) == set(GOOD) == set(ids)
    assert len(set(ids)) == len(ids)


def test_what_our_own_template_makes_is_clean() -> None:
    """Roles for people with a second factor, and our service role, as CloudFormation would make them."""
    asked = TemplateRequest(
        account=ACCOUNT,
        guid="5f2b7c1e-0000-4000-8000-000000000000",
        issuer_url=f"https://{PRIVATE}",
        access=AccessAsk(roles=(PersonRole(name="Ops"),)),
    )
    made = authentication_template(asked)["Resources"]
    roles = []
    for logical, resource in made.items():
        if resource["Type"] == "AWS::IAM::Role":
            trust = _resolved(resource["Properties"]["AssumeRolePolicyDocument"])
            longest = resource["Properties"].get("MaxSessionDuration", 3600)
            roles.append(Role(arn=logical, name=logical, trust=trust, longest=longest))
    assert len(roles) >= 2
    assert judge(estate(*roles), NOW) == ()


def test_the_worst_comes_first_and_nothing_is_said_twice() -> None:
    twice = web(PRIVATE, {EQ: {AUD: "aws"}})
    said = judge(estate(role(twice, twice), role(saml(stamped=False), name="A")), NOW)
    assert len(set(said)) == len(said)
    order = ["Error", "Warning", "Note"]
    assert [order.index(one.severity) for one in said] == sorted(order.index(one.severity) for one in said)
    assert said[0].rule == "oidc-no-subject"
    assert said[0].told == f"Role R takes every subject of {PRIVATE}."


@pytest.mark.parametrize("trust", [{}, {"Statement": None}, {"Statement": "x"}, {"Statement": [1, {"Principal": 3, "Condition": [1]}]}])
def test_what_is_no_policy_breaks_nothing(trust: Mapping[str, Any]) -> None:
    assert judge(estate(Role(arn="a", name="a", trust=trust)), NOW) == ()


def test_a_single_statement_needs_no_list() -> None:
    alone = {"Version": "2012-10-17", "Statement": web(PRIVATE, {EQ: {AUD: "aws"}})}
    assert "oidc-no-subject" in found(estate(Role(arn="a", name="a", trust=alone)))


def _resolved(written: Any) -> Any:
    """The document with CloudFormation's functions answered for our provider."""
    if isinstance(written, dict):
        if set(written) <= {"Fn::If", "Ref", "Fn::GetAtt", "Fn::Sub"} and written:
            return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PRIVATE}"
        return {name: _resolved(value) for name, value in written.items()}
    return [_resolved(one) for one in written] if isinstance(written, list) else written
