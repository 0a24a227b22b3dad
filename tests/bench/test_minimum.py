"""The minimum of calls is what a person would count by hand."""

from __future__ import annotations

import pytest

from bench.minimum import minimum_calls

FIXED = 2  # the session and the regions


def test_an_empty_cell_costs_its_list() -> None:
    assert minimum_calls({("ec2Volumes", "eu-west-1"): 0, ("ec2Volumes", "us-east-1"): 0}) == FIXED + 2


def test_pages_are_full() -> None:
    assert minimum_calls({("ec2Instances", "eu-west-1"): 1000}) == FIXED + 1
    assert minimum_calls({("ec2Instances", "eu-west-1"): 1001}) == FIXED + 2


def test_a_child_costs_one_list_per_parent() -> None:
    """The parent's list is made once, also when only the child is wanted."""
    assert minimum_calls({("eksClusters", "eu-west-1"): 3, ("eksNodegroups", "eu-west-1"): 0}) == FIXED + 1 + 3 + 3
    assert minimum_calls({("eksNodegroups", "eu-west-1"): 0}, {("eksClusters", "eu-west-1"): 3}) == FIXED + 1 + 3


@pytest.mark.parametrize(("rows", "batches"), [(0, 0), (1, 1), (100, 1), (101, 2)])
def test_details_come_in_the_largest_batches(rows: int, batches: int) -> None:
    assert minimum_calls({("ecsClusters", "eu-west-1"): rows}) == FIXED + max(1, -(-rows // 100)) + batches


def test_rows_inside_their_parents_cost_nothing() -> None:
    alone = minimum_calls({("iamManagedPolicies", ""): 5})
    assert minimum_calls({("iamManagedPolicies", ""): 5, ("iamPolicyVersions", ""): 9}) == alone
