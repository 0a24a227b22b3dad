"""What AWS is told: the lease of a session, and whom an account denies."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.access.denials import MAX_POLICY, Denied, Keys, keys_of, revocation_policy
from isthmus.access.leases import MAX_SESSION_POLICY, lease_policy
from isthmus.arm.errors import ArmError
from isthmus.clouds.aws.template import Directory
from isthmus.clouds.aws.template.access import PROBE

UNTIL = 1_795_273_500.9
PROTECT = {"Sid": "Protect", "Effect": "Deny", "Action": ["iam:Delete*"], "Resource": ["arn:aws:iam::123456789012:policy/x"]}


def statements(text: str) -> dict[str, dict[str, Any]]:
    return {one["Sid"]: one for one in json.loads(text)["Statement"]}


def test_a_lease_allows_until_a_second_and_denies_from_it() -> None:
    found = statements(lease_policy(UNTIL))
    assert found["Lease"]["Condition"] == {"DateLessThan": {"aws:CurrentTime": "2026-11-21T15:05:00Z"}}
    assert found["LeaseEnd"]["Condition"] == {"DateGreaterThanEquals": {"aws:CurrentTime": "2026-11-21T15:05:00Z"}}
    assert "Elsewhere" not in found


@pytest.mark.parametrize(
    "action",
    [
        "sts:AssumeRole",
        "sts:AssumeRoleWithSAML",
        "sts:AssumeRoleWithWebIdentity",
        "sts:AssumeRoot",
        "sts:GetDelegatedAccessToken",
        "sts:GetFederationToken",
        "sts:GetSessionToken",
        "sts:GetWebIdentityToken",
        "signin:AuthorizeOAuth2Access",
        "signin:CreateOAuth2Token",
        "ssm:GetAccessToken",
        "ec2-instance-connect:OpenTunnel",
        "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
        "ssm-guiconnect:StartConnection",
    ],
)
def test_a_session_begins_nothing_that_would_outlive_its_lease(action: str) -> None:
    chain = statements(lease_policy(UNTIL))["NothingOutlives"]
    assert (chain["Effect"], chain["Resource"], "Condition" in chain) == ("Deny", "*", False)
    assert [one for one in chain["Action"] if fnmatchcase(action, one)]


def test_what_makes_no_session_is_left_alone() -> None:
    chain = statements(lease_policy(UNTIL))["NothingOutlives"]
    for action in (PROBE, "sts:GetCallerIdentity", "sts:GetServiceBearerToken", "ssm:GetParameter", "ec2:RunInstances"):
        assert not [one for one in chain["Action"] if fnmatchcase(action, one)], action


def test_addresses_and_actions_narrow_it_within_what_sts_takes() -> None:
    found = statements(lease_policy(UNTIL, addresses=("10.0.0.0/8", "2001:db8::/32"), actions=("ec2:Describe*", "s3:Get*")))
    assert found["Lease"]["Action"] == ["ec2:Describe*", "s3:Get*"]
    assert found["Elsewhere"]["Condition"] == {
        "NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]},
        "BoolIfExists": {"aws:ViaAWSService": "false"},
    }
    with pytest.raises(ArmError) as caught:
        lease_policy(UNTIL, addresses=tuple(f"10.0.{number}.0/24" for number in range(200)))
    assert caught.value.code == "SessionPolicyTooLarge"
    assert len(lease_policy(UNTIL, addresses=tuple(f"10.0.{number}.0/24" for number in range(40)))) <= MAX_SESSION_POLICY


def test_shells_outlive_a_lease_so_they_are_opened_in_one_region_or_nowhere() -> None:
    assert "Shells" not in statements(lease_policy(UNTIL))
    nowhere = statements(lease_policy(UNTIL, shells_in=""))["Shells"]
    assert (nowhere["Effect"], nowhere["Resource"], "Condition" in nowhere) == ("Deny", "*", False)
    assert {"ssm:StartSession", "ssm:ResumeSession", "ecs:ExecuteCommand", "ec2-instance-connect:SendSSHPublicKey"} == set(
        nowhere["Action"]
    )
    found = statements(lease_policy(UNTIL, shells_in="eu-west-1"))["Shells"]
    assert found["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}
    widest = tuple(f"10.0.{number}.0/24" for number in range(40))
    assert len(lease_policy(UNTIL, addresses=widest, shells_in="ap-southeast-2")) <= MAX_SESSION_POLICY


def test_nobody_denied_is_the_protection_alone() -> None:
    assert list(statements(revocation_policy(Denied(), PROTECT))) == ["Protect"]


def test_people_and_grants_are_denied_each_by_their_own_mark() -> None:
    denied = Denied(people=frozenset({"b", "a"}), before=60, readmitted={"c": 30}, grants=frozenset({"G-1"}))
    found = statements(revocation_policy(denied, PROTECT))
    assert found["IsthmusRevoked"]["Condition"] == {
        "StringEquals": {"aws:SourceIdentity": ["a", "b"]},
        "DateLessThan": {"aws:TokenIssueTime": "1970-01-01T00:01:00Z"},
    }
    assert found["IsthmusReadmitted"]["Condition"] == {
        "StringEquals": {"aws:SourceIdentity": ["c"]},
        "DateLessThan": {"aws:TokenIssueTime": "1970-01-01T00:00:30Z"},
    }
    assert found["IsthmusEnded"]["Condition"] == {"StringEquals": {"aws:PrincipalTag/grant": ["G-1"]}}


def test_who_came_back_earlier_is_not_denied_by_the_instant_of_who_came_back_later() -> None:
    found = statements(revocation_policy(Denied(readmitted={"c": 30, "d": 90, "e": 30}), PROTECT))
    assert {sid: tuple(one["Condition"].values()) for sid, one in found.items() if sid != "Protect"} == {
        "IsthmusReadmitted": ({"aws:SourceIdentity": ["c", "e"]}, {"aws:TokenIssueTime": "1970-01-01T00:00:30Z"}),
        "IsthmusReadmitted2": ({"aws:SourceIdentity": ["d"]}, {"aws:TokenIssueTime": "1970-01-01T00:01:30Z"}),
    }


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
def test_any_number_of_people_fits_and_none_of_them_is_let_through(people: int, readmitted: int, grants: int) -> None:
    """Where the names do not fit, everybody mints again."""
    denied = Denied(
        people=frozenset(str(uuid.UUID(int=number)) for number in range(people)),
        before=100,
        readmitted={str(uuid.UUID(int=number)): 200 - number % 3 for number in range(1000, 1000 + readmitted)},
        grants=frozenset(f"G-{number:016d}" for number in range(grants)),
        ended_before=300 if grants else 0,
    )
    text = revocation_policy(denied, PROTECT)
    assert len(text) <= MAX_POLICY
    found = statements(text)
    assert "Protect" in found
    if "IsthmusEverybody" in found:
        latest = max([100, *denied.readmitted.values(), denied.ended_before])
        instant = datetime.fromtimestamp(latest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert found["IsthmusEverybody"]["Condition"] == {"DateLessThan": {"aws:TokenIssueTime": instant}}
    else:
        assert text.count("00000000-0000") == people + readmitted
        assert text.count("G-0000") == grants


def test_sessions_of_a_directory_are_denied_by_whatever_it_sends_and_whenever_they_began() -> None:
    denied = Denied(people=frozenset({"b", "a"}), before=60, readmitted={"c": 30})
    found = statements(revocation_policy(denied, PROTECT, Keys.DIRECTORY))
    assert {sid: one["Condition"] for sid, one in found.items() if sid.startswith("IsthmusRevoked")} == {
        "IsthmusRevoked": {"StringEquals": {"aws:SourceIdentity": ["a", "b"]}},
        "IsthmusRevokedTag": {"StringEquals": {"aws:PrincipalTag/entra_oid": ["a", "b"]}},
        "IsthmusRevokedName": {"StringLike": {"aws:userid": ["*:a", "*:b"]}},
    }
    began = {"DateLessThan": {"aws:TokenIssueTime": "1970-01-01T00:00:30Z"}}
    assert found["IsthmusReadmittedName"]["Condition"] == {"StringLike": {"aws:userid": ["*:c"]}, **began}


def test_where_sessions_name_nobody_everybody_begins_again() -> None:
    assert list(statements(revocation_policy(Denied(), PROTECT, Keys.NOTHING))) == ["Protect"]
    found = statements(revocation_policy(Denied(people=frozenset({"a"}), before=60), PROTECT, Keys.NOTHING))
    assert list(found) == ["Protect", "IsthmusEverybody"]
    assert found["IsthmusEverybody"]["Condition"] == {"DateLessThan": {"aws:TokenIssueTime": "1970-01-01T00:01:00Z"}}


@pytest.mark.parametrize(
    ("directory", "keys"),
    [
        (None, Keys.SOURCE),
        (Directory(mode="saml", entity_id="e", metadata="m"), Keys.DIRECTORY),
        (Directory(mode="claims", issuer_url="https://idp.test", client_id="c"), Keys.DIRECTORY),
        (Directory(mode="oidc", issuer_url="https://idp.test"), Keys.NOTHING),
    ],
)
def test_what_sessions_carry_follows_from_who_begins_them(directory: Directory | None, keys: Keys) -> None:
    assert keys_of(directory) is keys
