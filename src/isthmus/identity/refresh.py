"""Refresh tokens of the command line: each works once and is answered with the next (RFC 9700 4.14).

One that is brought twice ends all that came of the same consent: a family, which lives as long as the sign-in behind it at most. The tokens
are 256 random bits, stored as hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from isthmus.identity import evidence
from isthmus.identity.codes import Consent
from isthmus.identity.oauth import OAuthError, bad_grant
from isthmus.store.tables import refresh_tokens as tokens

_UNKNOWN = "The refresh token is not known, has expired, or its sign-in was ended. Sign in again."


@dataclass(frozen=True, kw_only=True, slots=True)
class Refresh:
    """A refresh token and whom it keeps signed in, by which sign-in (empty: a link), until when (ms)."""

    token: str = field(repr=False)
    object_id: str
    name: str
    sign_in: str
    expires_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stale:
    """A refresh token that is not good. `owner` is whose family was ended because the token had been used before, else empty."""

    error: OAuthError
    owner: str = ""


class RefreshTokens:
    """The tokens in the database; every method runs in the caller's transaction, which has to commit even when it answers `Stale`."""

    def __init__(self, clock: Callable[[], float], *, seconds: float, random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._life = int(seconds * 1000)
        self._random_bytes = random_bytes

    def begin(self, connection: Connection, consent: Consent, *, family: str, client_id: str) -> Refresh:
        """The first token of a family; it and those that follow end with what the consent stands on."""
        now = self._now()
        connection.execute(delete(tokens).where(tokens.c.expires_at <= now))
        who = {"object_id": consent.object_id, "name": consent.name, "sign_in": consent.sign_in}
        return self._give(
            connection, {**who, "family": family, "client_id": client_id, "expires_at": min(now + self._life, consent.ends_at)}
        )

    def rotate(self, connection: Connection, token: str, *, client_id: str) -> Refresh | Stale:
        """Use a token up for the next one. Of two concurrent uses one succeeds, and the other ends both."""
        now = self._now()
        row = self._find(connection, token)
        if row is None or row.client_id != client_id or row.expires_at <= now:
            return Stale(error=bad_grant(_UNKNOWN))
        unused = (tokens.c.hash == row.hash) & tokens.c.used_at.is_(None)
        if connection.execute(update(tokens).where(unused).values(used_at=now)).rowcount != 1:
            end_family(connection, row.family)
            message = (
                "The refresh token was used before. Somebody else may have it, so everything that came of it has ended. Sign in again."
            )
            return Stale(error=bad_grant(message), owner=row.object_id)
        if row.sign_in and not evidence.lives(connection, row.sign_in, row.object_id, now):
            end_family(connection, row.family)
            return Stale(error=bad_grant(_UNKNOWN))
        names = ("object_id", "name", "sign_in", "family", "client_id", "expires_at")
        return self._give(connection, {name: getattr(row, name) for name in names})

    def revoke(self, connection: Connection, token: str) -> str:
        """End the family of a token, used or not; whose it was, empty when it is not known."""
        row = self._find(connection, token)
        if row is None:
            return ""
        end_family(connection, row.family)
        return str(row.object_id)

    def _give(self, connection: Connection, row: dict[str, Any]) -> Refresh:
        token = self._random_bytes(32).hex()
        connection.execute(tokens.insert().values(**row, hash=_digest(token), created_at=self._now(), used_at=None))
        return Refresh(token=token, **{name: row[name] for name in ("object_id", "name", "sign_in", "expires_at")})

    def _find(self, connection: Connection, token: str) -> Row[Any] | None:
        return connection.execute(select(tokens).where(tokens.c.hash == _digest(token))).first()

    def _now(self) -> int:
        return int(self._clock() * 1000)


def end_family(connection: Connection, family: str) -> int:
    """End one sign-in of the command line; how many tokens that were, used ones included."""
    return connection.execute(delete(tokens).where(tokens.c.family == family)).rowcount


def end_all(connection: Connection, object_id: str) -> int:
    """End every sign-in of a person's command lines; how many tokens that were, used ones included."""
    return connection.execute(delete(tokens).where(tokens.c.object_id == object_id.lower())).rowcount


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
