"""Least privilege by use: whatever was used stays allowed, the policy fits STS, and nothing is wider than it has to be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.access.leases import MAX_SESSION_POLICY, fits_lease, lease_policy
from isthmus.access.shrinking import EVERYTHING, covers, narrow

UNTIL = 1_800_000_000.0
SERVICES = ("s3", "ec2", "iam", "lambda", "dynamodb", "ssm")
VERBS = ("Get", "List", "Describe", "Put", "Create", "Delete", "Batch")
actions = st.builds(
    lambda service, verb, name: f"{service}:{verb}{name}",
    st.sampled_from(SERVICES),
    st.sampled_from(VERBS),
    st.text("ABCDEFabcdef", min_size=1, max_size=30),
)


def fits(chosen: tuple[str, ...]) -> bool:
    return fits_lease(UNTIL, chosen)


@given(st.sets(actions, min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_what_was_used_stays_allowed_and_fits(used: set[str]) -> None:
    chosen = narrow(used, fits)
    assert all(covers(chosen, one) for one in used)
    policy = lease_policy(UNTIL, actions=chosen)
    assert len(policy) <= MAX_SESSION_POLICY
    if fits(tuple(sorted(used))):
        assert chosen == tuple(sorted(used)), "what fits is not widened"
    if chosen != EVERYTHING:
        assert {one.partition(":")[0] for one in chosen} <= {one.partition(":")[0] for one in used}, "no service that was not used"


def test_few_actions_stay_exact_and_the_lease_holds() -> None:
    chosen = narrow(["s3:GetObject", "ec2:DescribeInstances", "s3:GetObject"], fits)
    assert chosen == ("ec2:DescribeInstances", "s3:GetObject")
    allow, end, chain = json.loads(lease_policy(UNTIL, actions=chosen))["Statement"]
    assert allow["Action"] == ["ec2:DescribeInstances", "s3:GetObject"]
    assert "DateLessThan" in allow["Condition"]
    assert (end["Effect"], chain["Effect"]) == ("Deny", "Deny")


def test_the_longest_group_gives_way_first() -> None:
    many = [f"ec2:Describe{'X' * 10}{number}" for number in range(100)]
    chosen = narrow([*many, "s3:GetObject", "s3:PutObject"], fits)
    assert chosen == ("ec2:Describe*", "s3:GetObject", "s3:PutObject")


def test_verbs_give_way_to_the_service() -> None:
    def short(chosen: tuple[str, ...]) -> bool:
        return len(chosen) <= 2

    assert narrow(["s3:GetA", "s3:GetB", "s3:PutA", "s3:PutB", "s3:ListA", "s3:ListB", "ec2:RunInstances"], short) == (
        "ec2:RunInstances",
        "s3:*",
    )


@pytest.mark.parametrize("used", [[], ["*"], ["s3:GetObject", "nonsense"], ['s3:Get"Object']])
def test_what_nobody_can_tell_locks_nobody_out(used: list[str]) -> None:
    assert narrow(used, fits) == EVERYTHING


def test_what_was_never_told_apart_stays_whole() -> None:
    """A service of which only patterns are known keeps them."""
    assert narrow(["s3:*", "ec2:DescribeVpcs"], fits) == ("ec2:DescribeVpcs", "s3:*")


def test_what_never_fits_is_everything() -> None:
    assert narrow(["s3:GetObject"], lambda _chosen: False) == EVERYTHING


def test_addresses_take_room() -> None:
    networks = [f"10.{number}.0.0/16" for number in range(40)]
    used = [f"ec2:Describe{'Y' * 20}{number}" for number in range(25)]
    assert narrow(used, fits) == tuple(sorted(used))
    chosen = narrow(used, lambda some: fits_lease(UNTIL, some, addresses=networks))
    assert chosen == ("ec2:Describe*",)
    assert len(lease_policy(UNTIL, actions=chosen, addresses=networks)) <= MAX_SESSION_POLICY
