"""A role reads itself: all of its policies, page by page, or the action that it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from isthmus.clouds.aws.own_role import read_role
from isthmus.clouds.aws.scan import AwsScanner
from isthmus.clouds.contract import Selection, Unreadable
from tests.clouds.aws.fake_aws import TARGET, FakeAws, paged, refuse, sessions_of, unreachable

TRUST = {"Version": "2012-10-17", "Statement": []}
BOUNDARY = "arn:aws:iam::111122223333:policy/Limits"


def role(params: Mapping[str, Any], _region: str) -> Mapping[str, Any]:
    assert params == {"RoleName": "IsthmusInventory-5f2b7c1e"}
    return {"Role": {"AssumeRolePolicyDocument": TRUST, "PermissionsBoundary": {"PermissionsBoundaryArn": BOUNDARY}}}


ANSWERS = {
    "iam:GetRole": role,
    "iam:ListRolePolicies": paged(["a", "b", "c"], "PolicyNames", "Marker", "Marker", 2),
    "iam:ListAttachedRolePolicies": paged([{"PolicyArn": "z"}, {"PolicyArn": "y"}], "AttachedPolicies", "Marker", "Marker", 1),
    "iam:GetRolePolicy": lambda params, _region: {"PolicyDocument": {"Id": params["PolicyName"]} if params["PolicyName"] != "c" else []},
}


def test_everything_is_read() -> None:
    found = asyncio.run(read_role(sessions_of(FakeAws(ANSWERS)), TARGET))
    assert (found.name, found.trust, found.boundary) == ("IsthmusInventory-5f2b7c1e", TRUST, BOUNDARY)
    assert found.policies == {"a": {"Id": "a"}, "b": {"Id": "b"}, "c": {}}
    assert tuple(found.managed) == ("y", "z")


@pytest.mark.parametrize("operation", ["iam:GetRole", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:GetRolePolicy"])
def test_what_the_role_lacks_is_named(operation: str) -> None:
    aws = FakeAws(ANSWERS, fault=lambda name, region: refuse("AccessDenied", name, region) if name == operation else None)
    with pytest.raises(Unreadable, match="update the CloudFormation stack") as raised:
        asyncio.run(read_role(sessions_of(aws), TARGET))
    assert raised.value.action == operation


def test_no_answer_lacks_nothing() -> None:
    aws = FakeAws(ANSWERS, fault=lambda name, region: unreachable("timeout", name, region) if name == "iam:GetRole" else None)
    with pytest.raises(Unreadable, match="timeout") as raised:
        asyncio.run(read_role(sessions_of(aws), TARGET))
    assert raised.value.action == ""


@pytest.mark.parametrize(
    ("error", "kind"), [(refuse("AccessDenied", "sts:x", "r"), PermissionError), (unreachable("dns", "sts:x", "r"), ConnectionError)]
)
def test_a_scanner_says_why_a_role_cannot_be_assumed(error: Exception, kind: type[Exception]) -> None:
    scanner = AwsScanner(sessions_of(FakeAws(ANSWERS, fault=lambda name, _region: error if name.startswith("sts:") else None)))
    with pytest.raises(kind, match=TARGET.account):
        asyncio.run(scanner.role(TARGET))
    with pytest.raises(kind, match=TARGET.account):
        asyncio.run(scanner.test(TARGET, Selection()))
