"""Errors of the token endpoint: RFC 6749 5.2, with the members that Entra adds and MSAL, az and azure-identity print."""

from __future__ import annotations

import datetime as dt
from typing import Any

# The numbers by which Azure clients and their users know what went wrong.
BAD_SECRET = 7000215
EXPIRED_SECRET = 7000222
BAD_ASSERTION = 700027
NO_FEDERATION = 70021
MISSING_PARAMETER = 900144
UNSUPPORTED_GRANT = 70003
UNKNOWN_RESOURCE = 500011
BAD_SCOPE = 1002012
UNKNOWN_TENANT = 90002
BAD_REQUEST = 9002313
UNAVAILABLE = 90033
BAD_GRANT = 70000
UNKNOWN_REDIRECT = 50011
UNKNOWN_CLIENT = 700016
PENDING = 70016
TOO_FAST = 70036
DENIED = 70044
OVER = 70008


class OAuthError(Exception):
    """A refusal of the token endpoint. `error` is RFC 6749's word, `code` Entra's number, `status` the HTTP status."""

    def __init__(self, error: str, description: str, *, code: int, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.code = code
        self.status = status

    def body(self, *, trace_id: str, correlation_id: str, at: float) -> dict[str, Any]:
        """The JSON answer; `at` in seconds since 1970. Answers of this endpoint carry `Cache-Control: no-store`."""
        return {
            "error": self.error,
            "error_description": self.description,
            "error_codes": [self.code],
            "timestamp": dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
            "trace_id": trace_id,
            "correlation_id": correlation_id,
        }


def bad_request(description: str, code: int = BAD_REQUEST) -> OAuthError:
    """400 invalid_request."""
    return OAuthError("invalid_request", description, code=code)


def bad_grant(description: str, code: int = BAD_GRANT) -> OAuthError:
    """400 invalid_grant."""
    return OAuthError("invalid_grant", description, code=code)


def unknown_client(description: str, code: int) -> OAuthError:
    """401 invalid_client."""
    return OAuthError("invalid_client", description, code=code, status=401)
