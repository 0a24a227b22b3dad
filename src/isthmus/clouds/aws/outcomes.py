"""What a failure means for a cell of a scan: AWS's codes and messages as outcomes, with a reason that a person can act on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from isthmus.clouds.aws.catalog import action_of
from isthmus.clouds.aws.wire import AwsError, AwsTransportError, classify
from isthmus.clouds.contract import Outcome

DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "NotAuthorized",
        "UnauthorizedException",
        "UnauthorizedOperation",
    }
)
REFUSED_HERE: Final = frozenset({"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"})
"""Our valid session is unknown to this region: the account has not opted in to it."""
UNSUPPORTED: Final = frozenset(
    {
        "Http404",
        "Http501",
        "InvalidAction",
        "NotImplemented",
        "NotImplementedException",
        "OptInRequired",
        "SubscriptionRequiredException",
        "UnknownOperationException",
        "UnsupportedOperation",
    }
)
_ACTION = re.compile(r"perform: ([a-z0-9-]+:[A-Za-z0-9]+)")
_ORGANIZATION = ("service control policy", "resource control policy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why something could not be read. `action` is the missing IAM action of a denial, else empty."""

    outcome: Outcome
    reason: str
    action: str = ""


class Blocked(Exception):
    """Raised where a call is not even tried, because its failure is known."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def judge(error: AwsError | AwsTransportError, *, region_answers: bool = True) -> Failure:
    """The outcome of a failed call. `region_answers` says that the region answered something else: then a host without an address means
    that the service does not exist there, not that the region cannot be reached."""
    if isinstance(error, AwsTransportError):
        return _unreachable(error, region_answers)
    if error.code in DENIED or (error.status == 403 and error.code.startswith("Http")):
        return _denial(error)
    text = f"{error.operation} in {error.region}: {error.code}: {error.message}"
    if error.code in REFUSED_HERE:
        reason = (
            f"AWS does not know our session in {error.region}: enable the region for this account, or leave it out of the connector. {text}"
        )
        return Failure(outcome="not-opted-in", reason=reason)
    if error.code in UNSUPPORTED:
        return Failure(outcome="unsupported", reason=f"The service is not available or not enabled here. {text}")
    if classify(error) == "throttle":
        return Failure(outcome="throttled", reason=f"AWS still throttles after several attempts; the next scan tries again. {text}")
    return Failure(outcome="error", reason=text)


def _denial(error: AwsError) -> Failure:
    found = _ACTION.search(error.message)
    action = found.group(1) if found else action_of(error.operation)
    text = f"{error.operation} in {error.region}: {error.code}: {error.message}"
    if any(policy in error.message for policy in _ORGANIZATION):
        return Failure(
            outcome="scp", reason=f"A policy of the organization forbids {action}; our role is not at fault. {text}", action=action
        )
    reason = f"The role lacks {action}: update the CloudFormation stack with the connector's present template. {text}"
    return Failure(outcome="denied", reason=reason, action=action)


def _unreachable(error: AwsTransportError, region_answers: bool) -> Failure:
    service = error.operation.partition(":")[0]
    if error.reason == "dns" and region_answers:
        return Failure(outcome="unsupported", reason=f"AWS has no endpoint of {service} in {error.region}. {error}")
    return Failure(outcome="error", reason=f"No answer from {service} in {error.region}: {error}")
