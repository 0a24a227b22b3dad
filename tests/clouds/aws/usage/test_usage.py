"""What events prove, and what has to stay allowed: nothing that was used, or could have been used unseen, is ever missing."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clouds.aws.usage import load
from isthmus.clouds.aws.usage.compile import PLACE, compiled
from isthmus.clouds.aws.usage.facts import EXCEPTIONS, IMPLIED, KEPT, LOGGED_ONLY, SERVICES

USAGE = load()


def left(*permitted: str, events: Collection[tuple[str, str]] = ()) -> tuple[str, ...]:
    return USAGE.remaining(permitted, [(f"{service}.amazonaws.com", name) for service, name in events])


def test_the_committed_file_is_what_the_sources_give() -> None:
    assert PLACE.read_text() == compiled(), "run make models"


def test_the_reviewed_facts_name_real_actions() -> None:
    every = {f"{service}:{one}" for service in SERVICES for one in USAGE.proven[service] | USAGE.kept[service]}
    named = {f"{service}:{one}" for table in (KEPT, LOGGED_ONLY) for service, actions in table.items() for one in actions}
    named |= {f"{service}:{one}" for service, events in EXCEPTIONS.items() for actions in events.values() for one in actions}
    named |= {*IMPLIED, *(one for asked in IMPLIED.values() for one in asked)}
    assert named <= every


def test_of_three_actions_two_were_used() -> None:
    role = ("ec2:DescribeVpcs", "ec2:TerminateInstances", "iam:ListRoles")
    assert left(*role, events=[("ec2", "DescribeVpcs"), ("iam", "ListRoles")]) == ("ec2:DescribeVpcs", "iam:ListRoles")


@pytest.mark.parametrize(
    "action",
    [
        "iam:PassRole",  # has no operation
        "ec2:CreateTags",  # RunInstances tags without an event
        "s3:GetObject",  # data
        "s3:ListBucket",  # asked for by operations that are data
        "kms:Decrypt",  # data keys are kept for a while
        "sts:TagSession",
        "dynamodb:GetItem",  # the service is not reviewed
        "dynamodb:DeleteTable",
    ],
)
def test_what_leaves_no_event_is_never_taken_away(action: str) -> None:
    assert left(action, events=[("ec2", "DescribeVpcs")]) == (action,)


def test_a_pattern_becomes_what_was_used_and_what_nobody_would_have_seen() -> None:
    found = left("ec2:*", "s3:*", events=[("ec2", "DescribeVpcs"), ("s3", "ListBuckets")])
    assert {"ec2:DescribeVpcs", "ec2:CreateTags", "s3:ListAllMyBuckets", "s3:GetObject", "s3:PutObject"} <= set(found)
    assert not {"ec2:RunInstances", "s3:DeleteBucket", "s3:PutBucketPolicy", "ec2:*", "s3:*"} & set(found)


@pytest.mark.parametrize("case", ["EC2:describevpcs", "ec2:DESCRIBEVPCS", "ec2:describe?pcs"])
def test_actions_are_compared_as_iam_compares_them(case: str) -> None:
    assert left(case.replace("EC2", "ec2"), events=[("ec2", "DescribeVpcs")]) == (case.replace("EC2", "ec2"),)


def test_an_event_of_no_sure_action_leaves_its_service_as_it_is_and_no_other() -> None:
    events = [("ec2", "DescribeVpcs"), ("ec2", "SomethingOfNextYear"), ("iam", "ListRoles")]
    assert left("ec2:*", "iam:*Role*", events=events)[0] == "ec2:*"
    assert "iam:DeleteRole" not in left("ec2:*", "iam:*Role*", events=events)


def test_what_an_action_asks_for_beside_itself_stays() -> None:
    role = ("autoscaling:CreateAutoScalingGroup", "ec2:RunInstances", "ec2:StopInstances")
    assert left(*role, events=[("autoscaling", "CreateAutoScalingGroup")]) == role[:2]
    role = ("rds:CreateDBInstance", "secretsmanager:CreateSecret", "rds:DeleteDBInstance")
    assert set(left(*role, events=[("rds", "CreateDBInstance")])) == set(role[:2])
    role = ("aps:CreateScraper", "ec2:DescribeSubnets", "ec2:StopInstances")
    assert set(left(*role, events=[("aps", "CreateScraper")])) == set(role[:2]), "of a service that was not reviewed too"
    role = ("cloudwatch:PutMetricAlarm", "ec2:StopInstances", "ec2:RunInstances")
    asked = set(USAGE.implied.get("cloudwatch:PutMetricAlarm", ())) & set(role)
    assert set(left(*role, events=[("monitoring", "PutMetricAlarm")])) == {role[0], *asked}


@given(
    used=st.sets(st.sampled_from([(service, one) for service in SERVICES for one in sorted(USAGE.proven[service])]), max_size=30),
    permitted=st.sets(
        st.sampled_from(["ec2:*", "ec2:Describe*", "iam:Get*", "s3:*", "kms:*", "rds:*Instance*", "sts:*", "dynamodb:*"]), min_size=1
    ),
)
def test_nothing_that_was_used_is_ever_missing_and_nothing_is_added(used: set[tuple[str, str]], permitted: set[str]) -> None:
    events = [(service, name) for service, name in used if service != "s3"]
    found = left(*permitted, events=events)
    for service, name in events:
        action = f"{service}:{name}".lower()
        if any(fnmatchcase(action, one.lower()) for one in permitted):
            assert any(fnmatchcase(action, one.lower()) for one in found), action
    assert all(any(fnmatchcase(one.lower(), wide.lower()) for wide in permitted) for one in found)
