"""What SSM refuses, with AWS' error codes."""

from __future__ import annotations


class SsmError(Exception):
    """An answer of JSON 1.1 with `__type` and `message`; `status` is 400 except for failures of the service itself."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> SsmError:
    """A ValidationException: the request breaks a constraint of the API model."""
    return SsmError("ValidationException", message)
