"""What can go wrong with one call: AWS answered with an error, or no usable answer came."""

from __future__ import annotations

from typing import Literal

TransportReason = Literal["dns", "tls", "connect", "timeout", "truncated", "too-large"]


class AwsError(Exception):
    """An error that AWS answered, of whatever protocol.

    `code` is the service's own word without namespace (`AccessDenied`), or `Http<status>` when the body names none. Two codes are ours:
    `RepeatedToken`, when a list hands out the same page token twice, and `MalformedAnswer`, when a 2xx body cannot be read.
    `status` is the HTTP status, `operation` reads `service:Operation`, `retry_after` is in seconds where the answer says so.
    """

    def __init__(self, *, code: str, message: str, status: int, operation: str, region: str, retry_after: float | None = None) -> None:
        super().__init__(f"{operation} in {region}: {code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.operation = operation
        self.region = region
        self.retry_after = retry_after


class AwsTransportError(Exception):
    """No usable answer. `reason` says why; `detail` is for people and never holds request headers."""

    def __init__(self, *, operation: str, region: str, reason: TransportReason, detail: str = "") -> None:
        super().__init__(f"{operation} in {region}: {reason}" + (f" ({detail})" if detail else ""))
        self.operation = operation
        self.region = region
        self.reason: TransportReason = reason
        self.detail = detail
