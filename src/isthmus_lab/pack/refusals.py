"""What STS refuses."""


class StsError(Exception):
    """STS refuses the call with AWS's error code and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def denied(message: str) -> StsError:
    """AccessDenied 403."""
    return StsError("AccessDenied", message, 403)
