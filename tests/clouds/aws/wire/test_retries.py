"""Which failures may be repeated."""

from __future__ import annotations

from typing import get_args

import pytest

from isthmus.clouds.aws.wire import AwsError, AwsTransportError, RetryClass, TransportReason, classify


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ThrottlingException", 400, "throttle"),
        ("SlowDown", 503, "throttle"),
        ("Http429", 429, "throttle"),
        ("ExpiredTokenException", 400, "credentials"),
        ("ExpiredToken", 403, "credentials"),
        ("RequestTimeTooSkewed", 403, "clock"),
        ("InternalFailure", 500, "transient"),
        ("Http502", 502, "transient"),
        ("RequestTimeout", 400, "transient"),
        ("AccessDenied", 403, "final"),
        ("RepeatedToken", 200, "final"),
        ("MalformedAnswer", 200, "final"),
        ("TargetGroupNotFound", 400, "final"),
    ],
)
def test_errors_of_aws(code: str, status: int, expected: RetryClass) -> None:
    assert classify(AwsError(code=code, message="", status=status, operation="a:B", region="eu-west-1")) == expected


def test_transport_faults() -> None:
    final = {
        reason for reason in get_args(TransportReason) if classify(AwsTransportError(operation="a:B", region="r", reason=reason)) == "final"
    }
    assert final == {"tls", "too-large"}
    assert classify(RuntimeError("ours")) == "final"
