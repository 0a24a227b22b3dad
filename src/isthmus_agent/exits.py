"""Exit codes of azcmagent and the one error that carries them.

The numbers are the public contract of the official agent (its AZCM codes are the same numbers in four digits), so that a script which
drives the official agent understands ours.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Process exit codes; the comment in the agent's own words."""

    OK = 0
    UNSPECIFIED = 1
    INTERNAL = 2
    UNSUPPORTED = 3
    INTERRUPTED = 11
    NOT_ADMINISTRATOR = 18
    BAD_ARGUMENT = 23
    NETWORK = 26
    SERVICE_SILENT = 61
    CONNECT_FAILED = 62
    DISCONNECT_FAILED = 63
    ALREADY_CONNECTED = 67
    CONFIG_WRITE = 69
    CONFIG_READ = 70
    CLOUD_CONFIG = 75
    IDENTITY = 81
    RSA_KEYS = 103
    READ_PRIVATE_KEY = 104


class AgentError(Exception):
    """A failure for people: `code` becomes the exit code, `message` says what happened and what to do. Never holds secrets."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"AZCM{int(self.code):04d}: {self.message}"
