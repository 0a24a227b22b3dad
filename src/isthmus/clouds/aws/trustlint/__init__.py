"""The lint of trust: whom an account lets in, judged by rules that are declared one by one. Fulfils `contract.TrustCloud`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from isthmus.clouds.aws.outcomes import judge as judge_failure
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.trustlint import holders, saml, web_identity
from isthmus.clouds.aws.trustlint.estate import Estate
from isthmus.clouds.aws.trustlint.reading import Sleep, read_estate, read_roles
from isthmus.clouds.aws.trustlint.rule import Rule
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import Finding, ScanTarget, TrustReport

RULES: Final[tuple[Rule, ...]] = (*web_identity.RULES, *saml.RULES, *holders.RULES)
"""Every rule, in the order of the reference page."""

_ORDER: Final = ("Error", "Warning", "Note")


class AwsTrust:
    """Reads and judges trust. One per process and event loop; `clock` answers seconds since 1970."""

    def __init__(self, sessions: Sessions, clock: Callable[[], float], *, sleep: Sleep = asyncio.sleep) -> None:
        self._sessions = sessions
        self._clock = clock
        self._sleep = sleep

    async def lint(self, target: ScanTarget) -> TrustReport:
        """See the contract."""
        try:
            found, blind = await read_estate(self._sessions, target, self._sleep)
        except AwsError as error:
            raise PermissionError(judge_failure(error).reason) from error
        except AwsTransportError as error:
            raise ConnectionError(judge_failure(error).reason) from error
        looked_at = Counter(roles=len(found.roles), oidcProviders=len(found.oidc), samlProviders=len(found.saml), users=len(found.users))
        # Thousands of roles take seconds: scans that share the loop go on meanwhile.
        findings = await asyncio.to_thread(judge, found, self._clock())
        return TrustReport(findings=findings, blind=blind, looked_at=looked_at)

    async def trusts(self, target: ScanTarget) -> Mapping[str, Mapping[str, Any]]:
        """See the contract."""
        try:
            await self._sessions.check(target)
            return {one.name: one.trust for one in await read_roles(self._sessions, target)}
        except AwsError as error:
            raise PermissionError(judge_failure(error).reason) from error
        except AwsTransportError as error:
            raise ConnectionError(judge_failure(error).reason) from error


def judge(found: Estate, now: float) -> tuple[Finding, ...]:
    """Everything that the rules say of an estate, the worst first. Pure; what two statements of a role repeat is said once."""
    said = dict.fromkeys(
        Finding(rule=rule.id, severity=rule.severity, resource=spot.resource, told=spot.told, remedy=rule.remedy)
        for rule in RULES
        for spot in rule.look(found, now)
    )
    return tuple(sorted(said, key=lambda one: (_ORDER.index(one.severity), one.resource, one.rule)))
