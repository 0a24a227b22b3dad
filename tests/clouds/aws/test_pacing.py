"""Pacing: bursts as documented, never more than the ceiling afterwards, slower when AWS throttles, and back again."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clouds.aws.pacing import Pacer, Rate
from tests.support.clock import Clock

ACCOUNT, REGION, VPCS, SUBNETS = "1", "eu-west-1", "ec2:DescribeVpcs", "ec2:DescribeSubnets"
RATES = {"ec2": Rate(per_second=20, burst=100), "route53": Rate(per_second=5, burst=5, shared=True)}


class Time:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.clock = Clock(0.0)

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)


def pacer(time: Time) -> Pacer:
    return Pacer(time.clock, sleep=time.sleep, rates=RATES)


def take(one: Pacer, times: int, operation: str = VPCS) -> None:
    async def run() -> None:
        for _ in range(times):
            await one.take(ACCOUNT, REGION, operation)

    asyncio.run(run())


def test_a_burst_goes_at_once_and_then_thirty_percent_of_the_quota() -> None:
    time = Time()
    one = pacer(time)
    take(one, 100)
    assert time.clock() == 0
    take(one, 60)
    assert time.clock() == pytest.approx(10)


def test_accounts_regions_and_actions_do_not_share() -> None:
    time = Time()
    one = pacer(time)
    take(one, 100)
    take(one, 100, SUBNETS)
    asyncio.run(one.take("2", REGION, VPCS))
    asyncio.run(one.take(ACCOUNT, "eu-west-2", VPCS))
    assert time.clock() == 0


def test_operations_of_a_shared_quota_share() -> None:
    time = Time()
    one = pacer(time)
    take(one, 5, "route53:ListHostedZones")
    take(one, 3, "route53:GetHostedZone")
    assert time.clock() == pytest.approx(2)


def test_throttling_halves_the_rate_and_success_restores_it() -> None:
    time = Time()
    one = pacer(time)
    one.throttled(ACCOUNT, REGION, VPCS)
    assert one.headroom(ACCOUNT, REGION, VPCS).rate == pytest.approx(3)
    assert one.headroom(ACCOUNT, REGION, VPCS).available == 0
    one.throttled(ACCOUNT, REGION, VPCS)
    assert one.headroom(ACCOUNT, REGION, VPCS).rate == pytest.approx(3), "answers in flight together count once"
    time.clock.advance(1)
    one.throttled(ACCOUNT, REGION, VPCS)
    assert one.headroom(ACCOUNT, REGION, VPCS).rate == pytest.approx(1.5)
    assert [key[3] for key in one.slowed()] == ["DescribeVpcs"]
    for _ in range(50):
        one.succeeded(ACCOUNT, REGION, VPCS)
    head = one.headroom(ACCOUNT, REGION, VPCS)
    assert head.rate == head.ceiling == pytest.approx(6)
    assert not one.slowed()


def test_two_throttled_actions_slow_the_whole_service() -> None:
    time = Time()
    one = pacer(time)
    take(one, 1, "ec2:DescribeVolumes")
    one.throttled(ACCOUNT, REGION, VPCS)
    assert one.headroom(ACCOUNT, REGION, "ec2:DescribeVolumes").rate == pytest.approx(6)
    time.clock.advance(1)
    one.throttled(ACCOUNT, REGION, SUBNETS)
    assert one.headroom(ACCOUNT, REGION, "ec2:DescribeVolumes").rate == pytest.approx(3)


def test_idle_buckets_are_forgotten_and_slowed_ones_are_not() -> None:
    time = Time()
    one = pacer(time)
    take(one, 1)
    one.throttled(ACCOUNT, REGION, SUBNETS)
    time.clock.advance(1000)
    one.forget()
    assert list(one.slowed()) == [(ACCOUNT, REGION, "ec2", "DescribeSubnets")]


@given(st.lists(st.one_of(st.just("call"), st.just("throttle"), st.floats(0, 5)), max_size=300))
def test_no_window_ever_sees_more_than_burst_and_ceiling(steps: list[str | float]) -> None:
    time = Time()
    one = pacer(time)
    sent: list[float] = []
    for step in steps:
        if step == "call":
            take(one, 1)
            sent.append(time.clock())
        elif step == "throttle":
            one.throttled(ACCOUNT, REGION, VPCS)
        else:
            time.clock.advance(float(step))
    for at, start in enumerate(sent):
        for count, end in enumerate(sent[at:], start=1):
            assert count <= 100 + 6 * (end - start) + 1 + 1e-6
    head = one.headroom(ACCOUNT, REGION, VPCS)
    assert 0 < head.rate <= head.ceiling
