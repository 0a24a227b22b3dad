"""Which failures are worth another try. The wire itself never retries; its callers ask here."""

from __future__ import annotations

from typing import Literal

from isthmus.clouds.aws.wire.errors import AwsError, AwsTransportError

RetryClass = Literal["throttle", "transient", "credentials", "clock", "final"]

THROTTLE = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "SlowDown",
        "PriorRequestNotComplete",
    }
)
TRANSIENT = frozenset({"RequestTimeout", "RequestTimeoutException", "InternalError", "InternalFailure", "ServiceUnavailable"})
CREDENTIALS = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
CLOCK = frozenset({"RequestTimeTooSkewed"})
TRANSIENT_STATUS = frozenset({500, 502, 503, 504})


def classify(error: Exception) -> RetryClass:
    """How a failed call may be repeated.

    throttle: later and slower. transient: soon. credentials: once, with new ones. clock: once; the wire has learnt the offset from the
    answer's Date. final: never. A code outweighs the HTTP status, since some services answer throttling with 503 and others with 400.
    """
    if isinstance(error, AwsTransportError):
        return "final" if error.reason in ("tls", "too-large") else "transient"
    if not isinstance(error, AwsError):
        return "final"
    if error.code in THROTTLE or error.status == 429:
        return "throttle"
    if error.code in CREDENTIALS:
        return "credentials"
    if error.code in CLOCK:
        return "clock"
    if error.code in TRANSIENT or error.status in TRANSIENT_STATUS:
        return "transient"
    return "final"
