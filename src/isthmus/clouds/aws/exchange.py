"""Whether AWS takes a token of ours: an exchange at STS whose credentials nobody keeps. Fulfils `contract.TokenTrial`."""

from __future__ import annotations

from typing import Final

from isthmus.clouds.aws.names import audience, role_arn, role_for, session_name, subject
from isthmus.clouds.aws.outcomes import judge
from isthmus.clouds.aws.session import HOMES, Sessions
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import ScanTarget

_SECONDS: Final = 900
"""The least that STS takes."""


class AwsTokenTrial:
    """Tries tokens. One per process and event loop."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def claims(self, target: ScanTarget) -> dict[str, str]:
        """See the contract."""
        return {"aud": audience(target.account), "sub": subject(target.solution, target.guid)}

    async def try_token(self, target: ScanTarget, token: str) -> None:
        """See the contract."""
        params = {
            "RoleArn": role_arn(target.account, role_for(target.solution, target.guid), target.partition),
            "RoleSessionName": session_name(target.guid),
            "DurationSeconds": _SECONDS,
        }
        try:
            await self._sessions.exchange(lambda: token, params, region=HOMES[target.partition])
        except AwsTransportError as error:
            raise ConnectionError(judge(error).reason) from error
        except AwsError as error:
            if judge(error).outcome == "throttled":
                raise ConnectionError(judge(error).reason) from error
            raise PermissionError(f"{error.code}: {error.message}") from error
