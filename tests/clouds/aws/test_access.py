"""Shells end by whose they are, and the revocation policy is compared before it is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from isthmus.clouds.aws.access import AwsAccess
from isthmus.clouds.contract import ShellOwner
from tests.clouds.aws.fake_aws import ACCOUNT, TARGET, FakeAws, paged, sessions_of

ALICE, BOB = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
OPERATOR, READER = "IsthmusPerson-Operator-5f2b7c1e", "IsthmusPerson-Reader-5f2b7c1e"


def shell(id: str, person: str = ALICE, role: str = OPERATOR, reason: str = "") -> dict[str, Any]:
    """A session as Session Manager lists it."""
    name = f"someone.{person}"
    return {"SessionId": id, "Owner": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}", **({"Reason": reason} if reason else {})}


def ended(owners: tuple[ShellOwner, ...], *shells: Mapping[str, Any]) -> tuple[set[str], Mapping[ShellOwner, int]]:
    """Which of the open shells are ended, and how many of each owner are told."""
    aws = FakeAws({"ssm:DescribeSessions": paged(shells, "Sessions", "NextToken", "NextToken", 2)})
    told = asyncio.run(AwsAccess(sessions_of(aws)).end_shells(TARGET, "eu-west-1", owners))
    assert {region for operation, region, _ in aws.calls if operation.startswith("ssm:")} == {"eu-west-1"}
    return {params["SessionId"] for operation, _, params in aws.calls if operation == "ssm:TerminateSession"}, told


def test_everything_of_a_person_ends_and_nothing_of_others() -> None:
    everything = ShellOwner(source=ALICE)
    theirs = (shell("a"), shell("b", role=READER, reason="G-2: patching"), {"SessionId": "c", "Owner": "arn:aws:iam::1:user/x"})
    assert ended((everything,), *theirs, shell("d", person=BOB)) == ({"a", "b"}, {everything: 2})


@pytest.mark.parametrize(
    ("told", "is_ended"),
    [
        ({"reason": "G-1: honest"}, True),
        ({"reason": "G-ELSEWHERE: of another role"}, True),
        ({"reason": ""}, True),
        ({"reason": "G-1"}, True),
        ({"reason": "G-OVERLAPS: the same role for another reason"}, False),
        ({"reason": "G-1: of another role", "role": READER}, False),
        ({"reason": "G-1", "role": f"{OPERATOR}2"}, False),
    ],
)
def test_where_one_grant_ends_whoever_wrote_the_reason_cannot_spare_a_shell_of_its_role(told: dict[str, str], is_ended: bool) -> None:
    owner = ShellOwner(source=ALICE, role=OPERATOR, grant="G-1", spared=frozenset({"G-1", "G-OVERLAPS"}))
    assert ended((owner,), shell("a", **told))[0] == ({"a"} if is_ended else set())


def test_a_policy_that_stands_is_read_and_not_written() -> None:
    versions = [{"VersionId": "v7", "IsDefaultVersion": True}, *({"VersionId": f"v{number}"} for number in (6, 5, 4, 3))]
    held = {"Version": "2012-10-17", "Statement": []}
    aws = FakeAws(
        {
            "iam:ListPolicyVersions": lambda _params, _region: {"Versions": versions},
            "iam:GetPolicyVersion": lambda params, _region: {"PolicyVersion": {"Document": held if params["VersionId"] == "v7" else None}},
        }
    )
    access = AwsAccess(sessions_of(aws))
    other = json.dumps({**held, "Statement": [{"Sid": "IsthmusRevoked"}]})
    assert asyncio.run(access.denies(TARGET, json.dumps(held))) is True
    assert asyncio.run(access.denies(TARGET, other)) is False
    asyncio.run(access.deny(TARGET, json.dumps(held)))
    assert not [one for one, _, _ in aws.calls if "Create" in one or "Delete" in one]
    asyncio.run(access.deny(TARGET, other))
    written = [(one, params) for one, _, params in aws.calls if "Create" in one or "Delete" in one]
    assert [(one, params.get("VersionId")) for one, params in written] == [
        ("iam:DeletePolicyVersion", "v3"),
        ("iam:CreatePolicyVersion", None),
    ]
    assert written[1][1]["PolicyDocument"] == other
