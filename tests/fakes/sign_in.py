"""Sessions in memory, for pages under test: every code opens one for the person that the test chose."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from isthmus.arm.errors import ArmError


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeSession:
    """A session of the fake."""

    object_id: str
    name: str
    expires_at: int = 9_999_999_999_999


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeBegun:
    """A sign-in that goes on elsewhere."""

    url: str
    cookie: str


@dataclass(kw_only=True)
class FakeSignIn:
    """Fulfils `isthmus.portal.SignIn`. `tokens` makes the API token of a session."""

    tokens: Callable[[FakeSession], str]
    provider: str = ""
    sessions: dict[str, FakeSession] = field(default_factory=dict)
    codes: dict[str, FakeSession] = field(default_factory=dict)

    def open(self, session: FakeSession) -> str:
        """A session's secret."""
        secret = secrets.token_hex(32)
        self.sessions[secret] = session
        return secret

    def with_code(self, code: str, correlation: str) -> str:
        """Codes work once."""
        if code not in self.codes:
            raise ArmError("InvalidSignInLink", "This sign-in link was used before, has expired, or is not one of ours.", status=401)
        return self.open(self.codes.pop(code))

    def begin(self, return_to: str) -> FakeBegun:
        """Off to the provider."""
        return FakeBegun(url="https://login.example/authorize", cookie=return_to)

    def finish(self, cookie: str, query: Mapping[str, str], correlation: str) -> tuple[str, str]:
        """Back from the provider with a code."""
        return self.with_code(query.get("code", ""), correlation), cookie

    def find(self, secret: str) -> FakeSession | None:
        """The session."""
        return self.sessions.get(secret)

    def token(self, session: FakeSession) -> str:
        """Its token."""
        return self.tokens(session)

    def csrf(self, secret: str) -> str:
        """Derived."""
        return hashlib.sha256(f"csrf {secret}".encode()).hexdigest()

    def close(self, secret: str) -> None:
        """Signed out."""
        self.sessions.pop(secret, None)
