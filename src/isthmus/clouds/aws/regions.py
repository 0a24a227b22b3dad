"""Which regions an account has: AWS knows, one call tells."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog

from isthmus.clouds.aws.session import HOMES, Sessions
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import ScanTarget

log = structlog.get_logger(__name__)

ENABLED = frozenset({"opt-in-not-required", "opted-in"})

BY_DEFAULT: Mapping[str, tuple[str, ...]] = {
    "aws": (
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
        "ca-central-1",
        "sa-east-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "eu-central-1",
        "eu-north-1",
        "ap-south-1",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-southeast-1",
        "ap-southeast-2",
    ),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-east-1"),
}
"""The regions that every account of a partition has: what is left to try when AWS does not tell."""


async def opt_in_status(sessions: Sessions, target: ScanTarget) -> dict[str, str]:
    """Every region of the partition with its status in the account: opt-in-not-required, opted-in or not-opted-in.

    Raises AwsError or AwsTransportError.
    """
    answer = await sessions.call(target, "ec2:DescribeRegions", {"AllRegions": True}, region=HOMES[target.partition])
    return {row["RegionName"]: row.get("OptInStatus", "opt-in-not-required") for row in answer.get("Regions") or ()}


async def enabled_regions(sessions: Sessions, target: ScanTarget, wanted: Collection[str] | None) -> tuple[str, ...]:
    """The account's enabled regions, sorted, restricted to `wanted` (None: all).

    Where AWS denies the list, the wanted regions are taken at their word, and the partition's default ones stand for all.
    """
    try:
        status = await opt_in_status(sessions, target)
    except (AwsError, AwsTransportError) as error:
        log.warning("aws.regions.unknown", account=target.account, error=str(error))
        return tuple(sorted(BY_DEFAULT[target.partition] if wanted is None else wanted))
    enabled = {region for region, state in status.items() if state in ENABLED}
    return tuple(sorted(enabled if wanted is None else enabled.intersection(wanted)))
