"""AWS sessions without stored secrets: our own token becomes a role's credentials, kept in memory and renewed ahead of their expiry.

Sessions is how everything but the wire itself calls AWS: paced by the account's quotas, repeated by the class of the failure, with page
after page of a list repeatable on its own. STS is asked regionally: tokens of its global endpoint fail in opt-in regions.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from isthmus.clouds.aws.names import audience, role_arn, role_for, session_name, subject
from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.wire import AwsError, AwsTransportError, Credentials, RetryClass, classify
from isthmus.clouds.aws.wire.models import operation as find_operation
from isthmus.clouds.aws.wire.paging import Cursor
from isthmus.clouds.contract import ScanTarget, TokenSource

HOMES: Mapping[str, str] = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""The region of each partition that answers for global services and is always enabled."""

ASSUME: Final = "sts:AssumeRoleWithWebIdentity"
LIFETIME: Final = 3600
AHEAD: Final = 300.0
"""Credentials that expire within so many seconds are renewed before they are used again."""

ATTEMPTS: Mapping[RetryClass, int] = {"throttle": 7, "transient": 4, "credentials": 2, "clock": 2, "final": 1}
"""How often a call is tried in all, by the class of its failures."""
PAUSES: Mapping[RetryClass, tuple[float, float]] = {"throttle": (0.5, 20.0), "transient": (0.1, 5.0)}
"""First and longest pause in seconds; it doubles each time, and full jitter is applied."""


class Caller(Protocol):
    """The part of the wire that sessions need."""

    async def call(self, operation: str, params: Mapping[str, Any], *, region: str, credentials: Credentials | None) -> dict[str, Any]:
        """One HTTP exchange."""
        ...


class Sessions:
    """Calls AWS on behalf of targets. One per process and event loop.

    `jitter` answers a number between 0 and 1. A session is renewed once, however many callers wait for it.
    """

    def __init__(
        self,
        wire: Caller,
        tokens: TokenSource,
        pacer: Pacer,
        clock: Callable[[], float],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._wire = wire
        self._tokens = tokens
        self._pacer = pacer
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._held: dict[ScanTarget, Credentials] = {}
        self._coming: dict[ScanTarget, asyncio.Task[Credentials]] = {}

    async def call(self, target: ScanTarget, operation: str, params: Mapping[str, Any], *, region: str) -> dict[str, Any]:
        """One answer. Raises AwsError or AwsTransportError once the failure's class allows no further attempt."""

        credentials: Credentials | None = None

        async def attempt(renew: bool) -> dict[str, Any]:
            nonlocal credentials
            credentials = await self.credentials(target, unlike=credentials if renew else None)
            await self._pacer.take(target.account, region, operation)
            try:
                answer = await self._wire.call(operation, params, region=region, credentials=credentials)
            except AwsError as error:
                if classify(error) == "throttle":
                    self._pacer.throttled(target.account, region, operation)
                raise
            self._pacer.succeeded(target.account, region, operation)
            return answer

        return await self._repeat(attempt)

    async def pages(self, target: ScanTarget, operation: str, params: Mapping[str, Any], *, region: str) -> AsyncIterator[dict[str, Any]]:
        """Every page of a list at the largest size; a page that fails is repeated alone. Raises what `call` raises, and AwsError
        `RepeatedToken` when AWS hands out a token twice."""
        cursor = Cursor(find_operation(operation), params, region=region)
        while cursor.params is not None:
            page = await self.call(target, operation, cursor.params, region=region)
            cursor.advance(page)
            yield page

    async def check(self, target: ScanTarget) -> None:
        """Assume the target's role now, whatever is in memory; raises AwsError or AwsTransportError when that is refused."""
        await self.credentials(target, unlike=self._held.get(target))

    async def credentials(self, target: ScanTarget, *, unlike: Credentials | None = None) -> Credentials:
        """Credentials of the target's role, valid for some minutes at least. `unlike` are credentials that AWS refused: others are
        wanted, so that many callers refused at once renew the session once."""
        held = self._held.get(target)
        if held is not None and held is not unlike and held.expires_at - self._clock() > AHEAD:
            return held
        coming = self._coming.get(target)
        if coming is None:
            coming = self._coming[target] = asyncio.ensure_future(self._assume(target))
            coming.add_done_callback(lambda task: self._settle(target, task))
        return await asyncio.shield(coming)

    async def exchange(self, token: Callable[[], str], params: Mapping[str, Any], *, region: str) -> Credentials:
        """AssumeRoleWithWebIdentity with a token made for each attempt. Raises AwsError or AwsTransportError."""

        async def attempt(_renew: bool) -> dict[str, Any]:
            return await self._wire.call(ASSUME, {**params, "WebIdentityToken": token()}, region=region, credentials=None)

        answer = (await self._repeat(attempt))["Credentials"]
        return Credentials(
            access_key=answer["AccessKeyId"],
            secret_key=answer["SecretAccessKey"],
            token=answer["SessionToken"],
            expires_at=datetime.fromisoformat(answer["Expiration"]).timestamp(),
        )

    async def call_as(self, credentials: Credentials, operation: str, params: Mapping[str, Any], *, region: str) -> dict[str, Any]:
        """One call with credentials that are not a target's own; raises what `call` raises."""

        async def attempt(_renew: bool) -> dict[str, Any]:
            return await self._wire.call(operation, params, region=region, credentials=credentials)

        return await self._repeat(attempt)

    def _settle(self, target: ScanTarget, task: asyncio.Task[Credentials]) -> None:
        self._coming.pop(target, None)
        if not task.cancelled():
            task.exception()  # its waiters may all be gone; a failure is theirs to tell, not the loop's

    def forget(self, target: ScanTarget) -> None:
        """Drop a target's credentials, e.g. when its connector is deleted."""
        self._held.pop(target, None)

    async def _assume(self, target: ScanTarget) -> Credentials:
        region = HOMES[target.partition]

        def token() -> str:
            return self._tokens.mint(audience=audience(target.account), subject=subject(target.solution, target.guid))

        params = {
            "RoleArn": role_arn(target.account, role_for(target.solution, target.guid), target.partition),
            "RoleSessionName": session_name(target.guid),
            "DurationSeconds": LIFETIME,
        }
        held = await self.exchange(token, params, region=region)
        self._held[target] = held
        return held

    async def _repeat(self, attempt: Callable[[bool], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Try until it works or the failures' classes are used up: each class has a budget of its own."""
        failures: dict[RetryClass, int] = {}
        renew = False
        while True:
            try:
                return await attempt(renew)
            except (AwsError, AwsTransportError) as error:
                kind = _class_of(error)
                failures[kind] = failures.get(kind, 0) + 1
                if failures[kind] >= ATTEMPTS[kind]:
                    raise
                renew = kind == "credentials"
                await self._pause(kind, failures[kind], error)

    async def _pause(self, kind: RetryClass, failed: int, error: AwsError | AwsTransportError) -> None:
        if kind not in PAUSES:
            return
        first, longest = PAUSES[kind]
        wait = min(longest, first * 2 ** (failed - 1)) * self._jitter()
        asked = getattr(error, "retry_after", None) or 0.0
        await self._sleep(max(wait, min(asked, longest)))


def _class_of(error: AwsError | AwsTransportError) -> RetryClass:
    """As the wire classifies; besides, STS asks to retry when it could not reach our issuer, and a name that does not resolve stays so."""
    if isinstance(error, AwsTransportError) and error.reason == "dns":
        return "final"
    if isinstance(error, AwsError) and error.code == "IDPCommunicationError":
        return "transient"
    return classify(error)
