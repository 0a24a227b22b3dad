"""The breaker of a region: a dead or closed region costs one call, not one per type."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from isthmus.clouds.aws.outcomes import REFUSED_HERE, Blocked, Failure, judge
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import ScanTarget

EVERYWHERE: Final = frozenset(
    {
        "autoscaling",
        "cloudformation",
        "cloudwatch",
        "dynamodb",
        "ec2",
        "elbv2",
        "iam",
        "kms",
        "lambda",
        "logs",
        "rds",
        "s3",
        "sns",
        "sqs",
        "ssm",
    }
)
"""Services of every region: when the host of one has no address, it is the region that cannot be reached."""

TRIES: Final = 3
"""So many calls in a row without an answer close a region that answered before."""


class Gate:
    """One region of one scan. The first call goes alone; the others wait for what it learns."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._failure: Failure | None = None
        self._known = False
        self._probing = False
        self._learnt = asyncio.Event()
        self._silent = 0

    async def enter(self) -> bool:
        """Wait until the region is known to answer; True for the caller whose call finds out. Raises Blocked for a closed region."""
        while not self._known:
            if not self._probing:
                self._probing = True
                return True
            await self._learnt.wait()
        if self._failure:
            raise Blocked(self._failure)
        return False

    def leave(self, is_probe: bool, error: BaseException | None) -> None:
        """Learn from the end of a call."""
        if isinstance(error, AwsTransportError):
            self._learn_silence(error, is_probe)
        elif isinstance(error, AwsError):
            self._silent = 0
            self._known = True
            if error.code in REFUSED_HERE and is_probe:
                self._failure = judge(error)
        elif error is None:
            self._silent = 0
            self._known = True
        if is_probe:
            self._probing = False
            self._learnt.set()
            if not self._known:
                self._learnt = asyncio.Event()

    def _learn_silence(self, error: AwsTransportError, is_probe: bool) -> None:
        service = error.operation.partition(":")[0]
        if error.reason in ("truncated", "too-large"):  # it did answer
            self._known = True
            return
        if error.reason == "dns" and (not is_probe or service not in EVERYWHERE):
            return
        self._silent += 1
        if is_probe or self._silent >= TRIES:
            self._known = True
            self._failure = judge(error, region_answers=False)

    @property
    def answers(self) -> bool:
        """Whether the region answered anything yet."""
        return self._known and self._failure is None


class Gates:
    """The regions of one scan, and the only way in which a scan calls AWS."""

    def __init__(self, sessions: Sessions, target: ScanTarget) -> None:
        self._sessions = sessions
        self._target = target
        self._gates: dict[str, Gate] = {}

    async def call(self, operation: str, params: dict[str, Any], *, region: str) -> dict[str, Any]:
        """One answer; raises Blocked for a closed region, else AwsError or AwsTransportError."""
        gate = self._gates.setdefault(region, Gate(region))
        is_probe = await gate.enter()
        try:
            answer = await self._sessions.call(self._target, operation, params, region=region)
        except BaseException as error:
            gate.leave(is_probe, error)
            raise
        gate.leave(is_probe, None)
        return answer

    def judge(self, error: AwsError | AwsTransportError | Blocked) -> Failure:
        """What a failed call means, given what is known of its region."""
        if isinstance(error, Blocked):
            return error.failure
        gate = self._gates.get(error.region)
        return judge(error, region_answers=gate is not None and gate.answers)
