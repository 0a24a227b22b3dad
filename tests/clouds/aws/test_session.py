"""Sessions: a token for a role, kept in memory, renewed once for all; failures are repeated by their class."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.session import AHEAD, Sessions
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from tests.clouds.aws.fake_aws import ACCOUNT, NOW, TARGET, FakeAws, Tokens, paged, refuse, sessions_of, unreachable
from tests.support.clock import Clock

ASSUME = "sts:AssumeRoleWithWebIdentity"
REGION = "eu-west-1"


def vpcs(aws: FakeAws, sessions: Sessions) -> dict[str, Any]:
    return asyncio.run(sessions.call(TARGET, "ec2:DescribeVpcs", {}, region=REGION))


def faults(*kinds: Exception | None, operation: str = "ec2:DescribeVpcs") -> Any:
    left = list(kinds)
    return lambda name, _region: left.pop(0) if name == operation and left else None


def test_the_role_is_assumed_with_our_token_unsigned_and_regionally() -> None:
    aws, tokens = FakeAws({}), Tokens()
    sessions = Sessions(aws, tokens, Pacer(lambda: NOW), lambda: NOW)
    asyncio.run(sessions.check(TARGET))
    ((operation, region, params),) = aws.calls
    assert (operation, region) == (ASSUME, "us-east-1")
    assert aws.credentials == [None]
    assert tokens.minted == [(f"isthmus:aws:{ACCOUNT}", f"svc:Microsoft.AssetManagement:{TARGET.guid}")]
    assert params["RoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/IsthmusInventory-5f2b7c1e"
    assert params["RoleSessionName"] == f"ConnectorPrimaryIdentifier_{TARGET.guid}"


def test_many_callers_share_one_session() -> None:
    aws = FakeAws({})
    sessions = sessions_of(aws)

    async def run() -> None:
        await asyncio.gather(*(sessions.call(TARGET, "ec2:DescribeVpcs", {}, region=REGION) for _ in range(30)))

    asyncio.run(run())
    assert aws.count(ASSUME) == 1
    assert aws.count("ec2:DescribeVpcs") == 30


def test_a_session_is_renewed_ahead_of_its_expiry() -> None:
    aws, clock = FakeAws({}), Clock(NOW)
    sessions = sessions_of(aws, clock=clock)
    vpcs(aws, sessions)
    clock.now = 1_750_003_600 - AHEAD - 1
    vpcs(aws, sessions)
    assert aws.count(ASSUME) == 1
    clock.advance(2)
    vpcs(aws, sessions)
    assert aws.count(ASSUME) == 2


def test_a_caller_who_gives_up_does_not_end_the_others_session() -> None:
    aws = FakeAws({})
    sessions = sessions_of(aws)

    async def run() -> str:
        first = asyncio.ensure_future(sessions.credentials(TARGET))
        second = asyncio.ensure_future(sessions.credentials(TARGET))
        await asyncio.sleep(0)
        first.cancel()
        return (await second).access_key

    assert asyncio.run(run()) == "AKIA1"
    assert aws.count(ASSUME) == 1


def test_secrets_do_not_show() -> None:
    held = asyncio.run(sessions_of(FakeAws({})).credentials(TARGET))
    assert "AKIA1" in repr(held)
    assert "'s'" not in repr(held)
    assert "'t'" not in repr(held)


@pytest.mark.parametrize(
    ("failures", "pauses"),
    [
        ([refuse("Throttling", "o", REGION)] * 6, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]),
        ([refuse("InternalError", "o", REGION, status=500)] * 3, [0.1, 0.2, 0.4]),
        ([unreachable("timeout", "o", REGION)] * 3, [0.1, 0.2, 0.4]),
        ([refuse("RequestTimeTooSkewed", "o", REGION)], []),
        ([refuse("Throttling", "o", REGION), unreachable("connect", "o", REGION), refuse("ExpiredToken", "o", REGION)], [0.5, 0.1]),
    ],
)
def test_failures_are_repeated_by_class(failures: list[Exception], pauses: list[float]) -> None:
    slept: list[float] = []
    aws = FakeAws({"ec2:DescribeVpcs": lambda p, r: {"Vpcs": []}}, fault=faults(*failures))
    assert vpcs(aws, sessions_of(aws, slept=slept)) == {"Vpcs": []}
    assert [pause for pause in slept if pause in pauses] == pauses


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (refuse("AccessDenied", "o", REGION), 1),
        (refuse("ValidationError", "o", REGION), 1),
        (unreachable("dns", "o", REGION), 1),
        (unreachable("tls", "o", REGION), 1),
        (refuse("Throttling", "o", REGION), 7),
        (unreachable("connect", "o", REGION), 4),
        (refuse("ExpiredTokenException", "o", REGION), 2),
        (refuse("RequestTimeTooSkewed", "o", REGION), 2),
    ],
)
def test_budgets_end(failure: Exception, tries: int) -> None:
    aws = FakeAws({}, fault=faults(*[failure] * 20))
    with pytest.raises((AwsError, AwsTransportError)):
        vpcs(aws, sessions_of(aws))
    assert aws.count("ec2:DescribeVpcs") == tries


def test_refused_credentials_are_renewed_once_for_all_callers() -> None:
    refused = {"AKIA1"}

    async def run() -> None:
        await asyncio.gather(*(sessions.call(TARGET, "ec2:DescribeVpcs", {}, region=REGION) for _ in range(10)))

    def fault(operation: str, region: str) -> Exception | None:
        used = aws.credentials[-1]
        return refuse("ExpiredToken", operation, region) if used and used.access_key in refused else None

    aws = FakeAws({}, fault=fault)
    aws_call = aws.call

    async def serial(operation: str, params: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        async with gate:
            return await aws_call(operation, params, **more)

    gate = asyncio.Semaphore(1)
    aws.call = serial  # type: ignore[method-assign]
    sessions = sessions_of(aws)
    asyncio.run(run())
    assert aws.count(ASSUME) == 2


def test_a_retry_after_is_respected() -> None:
    slept: list[float] = []
    error = AwsError(code="SlowDown", message="", status=503, operation="o", region=REGION, retry_after=3.0)
    aws = FakeAws({}, fault=faults(error))
    vpcs(aws, sessions_of(aws, slept=slept))
    assert 3.0 in slept


def test_sts_is_asked_again_when_it_could_not_reach_our_issuer() -> None:
    aws = FakeAws({}, fault=faults(refuse("IDPCommunicationError", ASSUME, "us-east-1"), operation=ASSUME))
    vpcs(aws, sessions_of(aws))
    assert aws.count(ASSUME) == 2


def test_a_page_that_fails_is_repeated_alone() -> None:
    rows = [{"VpcId": f"vpc-{number}"} for number in range(6)]
    fault = faults(None, refuse("InternalError", "o", REGION, status=500), None, None)
    aws = FakeAws({"ec2:DescribeVpcs": paged(rows, "Vpcs", "NextToken", "NextToken", 2)}, fault=fault)
    sessions = sessions_of(aws)

    async def run() -> list[Any]:
        return [row async for page in sessions.pages(TARGET, "ec2:DescribeVpcs", {}, region=REGION) for row in page["Vpcs"]]

    assert asyncio.run(run()) == rows
    assert [params.get("NextToken") for name, _, params in aws.calls if name == "ec2:DescribeVpcs"] == [None, "2", "2", "4"]
    assert all(params["MaxResults"] == 1000 for name, _, params in aws.calls if name == "ec2:DescribeVpcs")


def test_throttling_reaches_the_pacer() -> None:
    aws = FakeAws({}, fault=faults(refuse("Throttling", "o", REGION)))
    pacer = Pacer(lambda: NOW, sleep=lambda _: asyncio.sleep(0))
    sessions = Sessions(aws, Tokens(), pacer, lambda: NOW, sleep=lambda _: asyncio.sleep(0))
    vpcs(aws, sessions)
    assert pacer.headroom(ACCOUNT, REGION, "ec2:DescribeVpcs").rate < pacer.headroom(ACCOUNT, REGION, "ec2:DescribeVpcs").ceiling
