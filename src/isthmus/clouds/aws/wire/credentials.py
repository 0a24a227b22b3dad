"""AWS credentials of one session, as STS hands them out."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """An access key for one session. `expires_at` is in epoch seconds. The secret and the token never show in its repr."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)
    expires_at: float
