"""`lint` on an account of the lab that has good and bad roles, providers and users: by our own role, over the real wire."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import select

from isthmus.arm.change import Change, OperationOrder
from isthmus.arm.envelope import Resource
from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.trustlint import AwsTrust
from isthmus.clouds.aws.wire import Wire
from isthmus.identity.issuer import AccountTokens
from isthmus.solutions import access, subject
from isthmus.solutions.linting import Linting
from isthmus.store.tables import operations
from tests.access.estate import ADMIN, CONNECTOR, MAPPINGS, Estate, mapping_id
from tests.clouds.aws.trustlint.documents import certificate, metadata

pytestmark = pytest.mark.e2e

SOLUTION = CONNECTOR.extension(subject.CONFIGURATIONS, "access")
GITHUB = "token.actions.githubusercontent.com"


def lint(people: Estate) -> dict[str, Any]:
    """Run the job; what the operation answers."""

    async def begin() -> Wire:
        return Wire(environ={"AWS_ENDPOINT_URL": people.lab.url}, clock=time.time)

    stored = Resource(id=SOLUTION, properties={"solutionType": access.TYPE, "solutionSettings": {}})
    people.engine.apply(Change(puts=(stored,), operation=OperationOrder(id="op", resource=SOLUTION, kind="lint")), ADMIN, "w", "x")
    wire = people.loop.run(begin())
    signer: Any = people.signer
    try:
        trust = AwsTrust(Sessions(wire, AccountTokens(signer), Pacer(time.monotonic), time.time), time.time)
        linting = Linting(engine=people.engine, lookup=people.lookup, cloud=trust, loop=people.loop)
        linting.job().run({"solution": str(SOLUTION), "operation": "op"})
    finally:
        people.loop.run(wire.close())
    with people.engine.store.read() as connection:
        row = connection.execute(select(operations).where(operations.c.id == "op")).one()
    assert row.status == "Succeeded", row.error
    return dict(json.loads(row.result))


def spoil(people: Estate) -> None:
    """Everything that people do to their accounts."""
    iam = people.root("iam")
    provider = iam.create_open_id_connect_provider(Url=f"https://{GITHUB}", ClientIDList=["sts.amazonaws.com"])["OpenIDConnectProviderArn"]
    saml = iam.create_saml_provider(Name="Entra", SAMLMetadataDocument=metadata(certificate(10, now=time.time()), certificate(900)))
    audience = {f"{GITHUB}:aud": "sts.amazonaws.com"}

    def trusting(name: str, principal: Any, action: str, condition: Any, **more: Any) -> None:
        statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition}
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}), **more)

    web, by = "sts:AssumeRoleWithWebIdentity", {"Federated": provider}
    trusting("Open", by, web, {"StringEquals": audience})
    trusting("Wide", by, web, {"StringEquals": audience, "StringLike": {f"{GITHUB}:sub": "repo:acme*"}})
    trusting("Deploy", by, web, {"StringEquals": {**audience, f"{GITHUB}:sub": "repo:acme/site:ref:refs/heads/main"}})
    sign_in = {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}
    trusting("Staff", {"Federated": saml["SAMLProviderArn"]}, "sts:AssumeRoleWithSAML", sign_in, MaxSessionDuration=43_200)
    trusting("Everyone", {"AWS": "*"}, "sts:AssumeRole", {})
    iam.create_user(UserName="clerk")
    iam.create_login_profile(UserName="clerk", Password="Long-enough-1!")


def test_an_account_is_judged_role_by_role(people: Estate) -> None:
    spoil(people)
    found = lint(people)
    assert found["notRead"] == [], found["notRead"]
    assert found["lookedAt"]["oidcProviders"] == 2
    assert found["lookedAt"]["samlProviders"] == 1
    seen = {(one["rule"], one["resource"].rpartition("/")[2]) for one in found["findings"]}
    assert {
        ("shared-issuer-unbound", "Open"),
        ("oidc-subject-crosses-tenants", "Wide"),
        ("people-long-session", "Staff"),
        ("trust-everyone", "Everyone"),
        ("saml-certificate-expires", "Entra"),
        ("user-console-one-factor", "clerk"),
        ("audience-shared", GITHUB),
    } <= seen
    assert not [rule for rule, resource in seen if resource == "Deploy"], "a good role is left alone"
    assert found["counts"]["Error"] == len([one for one in found["findings"] if one["severity"] == "Error"])
    ours = [(rule, resource) for rule, resource in seen if resource.startswith("Isthmus")]
    assert ours == [("people-one-factor", "IsthmusPerson-Guest-aa5f1c9e")], "the one mapping of this account that asks for no second factor"


def test_an_account_whose_stack_is_old_says_what_is_missing(people: Estate) -> None:
    """Only the statement for it is taken away: what is not seen is not judged, and is said."""
    iam = people.root("iam")
    role = "IsthmusAccess-aa5f1c9e"
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        document["Statement"] = [one for one in document["Statement"] if one["Sid"] != "ReadTrust"]
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    found = lint(people)
    assert {one["part"] for one in found["notRead"]} == {"roles", "oidcProviders", "samlProviders", "users"}
    assert {one["action"] for one in found["notRead"]} >= {"iam:ListRoles", "iam:GenerateCredentialReport"}
    assert found["findings"] == []


@dataclass
class Used:
    """Knows that everybody used these actions and no others."""

    actions: tuple[str, ...]

    def used_actions(self, _person: str, _mapping: str, _days: int) -> tuple[str, ...]:
        return self.actions


@pytest.mark.parametrize(("mode", "regions"), [("Suggest", True), ("Apply", False)])
def test_the_next_session_is_narrowed_to_what_was_used_only_when_that_is_applied(people: Estate, mode: str, regions: bool) -> None:
    """The role allows ec2:DescribeRegions; by use, only the probe's action was needed."""
    knowing = replace(people.broker, used=Used(("sts:GetAccessKeyInfo",)))
    properties = {**MAPPINGS["Reader"], "leastPrivilege": mode}
    people.engine.apply(Change(puts=(Resource(id=mapping_id("Reader"), properties=properties),)), ADMIN, "setup", "/")
    issued = knowing.issue(knowing.mapping(str(mapping_id("Reader"))), people.sign_in("alice", "g-dev"))
    assert people.client(issued, "sts").get_access_key_info(AccessKeyId=issued.credentials.access_key)["Account"]
    ec2 = people.client(issued, "ec2")
    if regions:
        assert ec2.describe_regions()["Regions"]
    else:
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            ec2.describe_regions()
