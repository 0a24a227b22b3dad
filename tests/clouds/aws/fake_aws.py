"""An AWS in memory: answers operations from rows, page by page, counts what it is asked, and fails as it is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.wire import AwsError, AwsTransportError, Credentials
from isthmus.clouds.aws.wire.models import operation as find_operation
from isthmus.clouds.contract import ScanTarget

ACCOUNT = "111122223333"
TARGET = ScanTarget(account=ACCOUNT, guid="5f2b7c1e-0000-4000-8000-000000000000", solution="Microsoft.AssetManagement")
NOW = 1_750_000_000.0

Answer = Callable[[Mapping[str, Any], str], Mapping[str, Any]]
Fault = Callable[[str, str], Exception | None]


class FakeAws:
    """Stands where the wire stands. `answers` maps operations to functions of (parameters, region); others answer nothing.

    `fault` is asked before each call and may answer what to raise. `calls` holds (operation, region, parameters).
    """

    def __init__(self, answers: Mapping[str, Answer], *, regions: Mapping[str, str] | None = None, fault: Fault | None = None) -> None:
        self.answers = {"ec2:DescribeRegions": self._regions, "sts:AssumeRoleWithWebIdentity": self._assume, **answers}
        self.regions = regions or {"us-east-1": "opt-in-not-required", "eu-west-1": "opted-in", "me-south-1": "not-opted-in"}
        self.fault = fault
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.credentials: list[Credentials | None] = []
        self.in_flight = self.most_in_flight = 0
        self.lifetime = 3600.0

    async def call(self, operation: str, params: Mapping[str, Any], *, region: str, credentials: Credentials | None) -> dict[str, Any]:
        find_operation(operation).write(params)  # refuses what the operation does not take
        self.calls.append((operation, region, dict(params)))
        self.credentials.append(credentials)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            if self.fault and (error := self.fault(operation, region)):
                raise error
            answer = self.answers.get(operation)
            return dict(answer(params, region)) if answer else {}
        finally:
            self.in_flight -= 1

    def count(self, operation: str) -> int:
        return Counter(call[0] for call in self.calls)[operation]

    def _regions(self, _params: Mapping[str, Any], _region: str) -> Mapping[str, Any]:
        return {"Regions": [{"RegionName": name, "OptInStatus": status} for name, status in self.regions.items()]}

    def _assume(self, _params: Mapping[str, Any], _region: str) -> Mapping[str, Any]:
        number = self.count("sts:AssumeRoleWithWebIdentity")
        expires = "2025-06-15T16:06:40Z" if self.lifetime == 3600.0 else "2025-06-15T15:07:40Z"
        return {"Credentials": {"AccessKeyId": f"AKIA{number}", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": expires}}


class Tokens:
    """Mints unsigned tokens and remembers what for."""

    def __init__(self) -> None:
        self.minted: list[tuple[str, str]] = []

    def mint(self, *, audience: str, subject: str) -> str:
        self.minted.append((audience, subject))
        return "header.claims.signature"


def sessions_of(aws: FakeAws, *, clock: Callable[[], float] = lambda: NOW, slept: list[float] | None = None) -> Sessions:
    """Sessions on this AWS that never really wait."""
    naps = slept if slept is not None else []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        await asyncio.sleep(0)

    pacer = Pacer(clock, sleep=lambda _seconds: asyncio.sleep(0))
    return Sessions(aws, Tokens(), pacer, clock, sleep=sleep, jitter=lambda: 1.0)


def paged(
    rows: Sequence[Any] | Callable[[Mapping[str, Any], str], Sequence[Any]], member: str, token: str, following: str, size: int
) -> Answer:
    """A list in pages of `size`: `token` is the parameter, `following` the answer's member."""

    def answer(params: Mapping[str, Any], region: str) -> Mapping[str, Any]:
        all_rows = rows(params, region) if callable(rows) else rows
        start = int(params.get(token) or 0)
        page: dict[str, Any] = {member: list(all_rows[start : start + size])}
        if start + size < len(all_rows):
            page |= {following: str(start + size), "IsTruncated": True}
        return page

    return answer


def refuse(code: str, operation: str, region: str, *, status: int = 400, message: str = "no") -> AwsError:
    """An error as AWS answers it."""
    return AwsError(code=code, message=message, status=status, operation=operation, region=region)


def unreachable(reason: Any, operation: str, region: str) -> AwsTransportError:
    """No answer."""
    return AwsTransportError(operation=operation, region=region, reason=reason)
