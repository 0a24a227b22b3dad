"""How fast AWS is called: one token bucket per (account, region, service, action), slowed by throttling and recovering by itself.

The quota belongs to the scanned account, whose own programs need it too: the refill is at most `ceiling` (30 %) of the documented rate.
Bursts are allowed as documented, so small accounts never wait. Rates are defaults from AWS's documentation and from limits that others
publish; a service without a known limit gets the documented example of EC2.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

CEILING: Final = 0.3
FLOOR: Final = 0.05
"""Lowest rate, as a part of the ceiling, that throttling can push a bucket to."""
SHARED_WINDOW: Final = 5.0
"""Seconds within which throttling of two actions of one service means that they share a bucket."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """A documented quota: `per_second` requests refill, `burst` at once. `shared` means that all operations of the service share it."""

    per_second: float
    burst: float
    shared: bool = False


DEFAULT: Final = Rate(per_second=20, burst=100)
RATES: Mapping[str, Rate] = {
    "account": Rate(per_second=5, burst=5),
    "cloudfront": Rate(per_second=5, burst=5, shared=True),
    "cloudtrail:LookupEvents": Rate(per_second=2, burst=2),
    "iam": Rate(per_second=15, burst=100),
    "iam:GetAccountAuthorizationDetails": Rate(per_second=15, burst=15),
    "lambda:ListFunctions": Rate(per_second=10, burst=10),
    "resourcegroupstaggingapi": Rate(per_second=15, burst=15),
    "route53": Rate(per_second=5, burst=5, shared=True),
    "s3": Rate(per_second=100, burst=500),
    "sts": Rate(per_second=100, burst=100),
    "waf": Rate(per_second=5, burst=5, shared=True),
    "wafv2": Rate(per_second=5, burst=5),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Headroom:
    """Where a bucket stands: its present and its highest rate in requests per second, and the requests it would let through now."""

    rate: float
    ceiling: float
    available: float


class _Bucket:
    """A token bucket whose tokens may be owed: a caller that takes what is not there waits its turn."""

    __slots__ = ("burst", "ceiling", "rate", "seen", "throttled_at", "tokens")

    def __init__(self, ceiling: float, burst: float, now: float) -> None:
        self.ceiling = self.rate = ceiling
        self.burst = self.tokens = burst
        self.seen = now
        self.throttled_at = float("-inf")

    def refill(self, now: float) -> None:
        passed = max(0.0, now - self.seen)
        self.seen = max(now, self.seen)
        self.tokens = min(self.burst, self.tokens + passed * self.rate)

    def take(self, now: float) -> float:
        self.refill(now)
        self.tokens -= 1
        return max(0.0, -self.tokens / self.rate)

    def slow(self, now: float) -> None:
        """Halve the rate and empty the bucket. Answers that were in flight together count once."""
        self.refill(now)
        if now - self.throttled_at >= 1 / self.rate:
            self.rate = max(self.ceiling * FLOOR, self.rate / 2)
            self.tokens = min(self.tokens, 0.0)
        self.throttled_at = now

    def quicken(self) -> None:
        self.rate = min(self.ceiling, self.rate + self.ceiling / 50)


class Pacer:
    """Every bucket of the process. `clock` answers seconds; `sleep` waits. `throttles` counts what AWS throttled, by service."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        ceiling: float = CEILING,
        rates: Mapping[str, Rate] = RATES,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._ceiling = ceiling
        self._rates = rates
        self._buckets: dict[tuple[str, str, str, str], _Bucket] = {}
        self.throttles: Counter[str] = Counter()

    async def take(self, account: str, region: str, operation: str) -> None:
        """Wait for this call's turn. Callers of one bucket go in the order in which they came."""
        wait = self._bucket(account, region, operation).take(self._clock())
        if wait > 0:
            await self._sleep(wait)

    def throttled(self, account: str, region: str, operation: str) -> None:
        """AWS throttled this call: halve its rate; the whole service's when another of its actions was throttled a moment ago."""
        now = self._clock()
        own = self._bucket(account, region, operation)
        service = operation.partition(":")[0]
        self.throttles[service] += 1
        others = [bucket for key, bucket in self._buckets.items() if key[:3] == (account, region, service) and bucket is not own]
        shared = any(now - bucket.throttled_at < SHARED_WINDOW for bucket in others)
        for bucket in [own, *others] if shared else [own]:
            bucket.slow(now)

    def succeeded(self, account: str, region: str, operation: str) -> None:
        """AWS answered: a slowed bucket regains a fiftieth of its ceiling."""
        self._bucket(account, region, operation).quicken()

    def headroom(self, account: str, region: str, operation: str) -> Headroom:
        """Where the bucket of an operation stands."""
        bucket = self._bucket(account, region, operation)
        bucket.refill(self._clock())
        return Headroom(rate=bucket.rate, ceiling=bucket.ceiling, available=max(0.0, bucket.tokens))

    def slowed(self) -> Mapping[tuple[str, str, str, str], Headroom]:
        """The buckets that throttling holds below their ceiling, by (account, region, service, action)."""
        return {
            key: Headroom(rate=bucket.rate, ceiling=bucket.ceiling, available=max(0.0, bucket.tokens))
            for key, bucket in self._buckets.items()
            if bucket.rate < bucket.ceiling
        }

    def forget(self) -> None:
        """Drop the buckets that are full again and at their ceiling, so that memory follows the work and not the accounts ever seen."""
        now = self._clock()
        for key, bucket in list(self._buckets.items()):
            bucket.refill(now)
            if bucket.tokens >= bucket.burst and bucket.rate >= bucket.ceiling:
                del self._buckets[key]

    def _bucket(self, account: str, region: str, operation: str) -> _Bucket:
        service, _, action = operation.partition(":")
        rate = self._rates.get(operation) or self._rates.get(service) or DEFAULT
        key = (account, region, service, "*" if rate.shared else action)
        found = self._buckets.get(key)
        if found is None:
            found = self._buckets[key] = _Bucket(rate.per_second * self._ceiling, rate.burst, self._clock())
        return found
