"""Sessions of signed-in browsers: 256 random bits that only the browser keeps, stored as a hash.

A session ends when it was not used for a while, at the latest some hours after the sign-in, and when its person signs out. What the API
gets to see is an access token of the person, which stays in this process.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, delete, select, update

from isthmus.arm.errors import ArmError
from isthmus.identity.evidence import SignedIn
from isthmus.identity.people import Person
from isthmus.store import Store
from isthmus.store.tables import sessions

CLIENT = "isthmus-portal"
_SECRET = re.compile(r"[0-9a-f]{64}")
_TOUCH = 60_000
_AHEAD = 300.0
_MOST_TOKENS = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A signed-in browser. `provider` is the issuer that vouched and `sign_in` its evidence's id, both empty for sign-in links.

    Times in milliseconds since 1970. `expires_at` is the last moment whatever happens; a session that nobody uses ends before.
    """

    object_id: str
    name: str
    provider: str
    created_at: int
    expires_at: int
    sign_in: str = ""


class PersonTokens(Protocol):
    """Who mints access tokens of people (`isthmus.identity.tokens.TokenEndpoint`)."""

    def for_person(self, object_id: str, name: str, *, client_id: str, sign_in: str = "", until: int | None = None) -> dict[str, Any]:
        """`access_token` and `expires_in` in seconds; not longer than `until` (ms)."""
        ...


class Sessions:
    """All sessions of an installation. `idle_minutes` without use end one, and so do `hours` since its sign-in."""

    def __init__(
        self,
        store: Store,
        tokens: PersonTokens,
        clock: Callable[[], float],
        *,
        idle_minutes: float = 60,
        hours: float = 12,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._mint = tokens
        self._clock = clock
        self._idle = int(idle_minutes * 60_000)
        self._life = int(hours * 3_600_000)
        self._random_bytes = random_bytes
        self._tokens: OrderedDict[Session, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, person: Person, *, provider: str, sign_in: SignedIn | None = None) -> str:
        """Begin a session; its secret, which exists nowhere else and is new at every sign-in. It ends with the sign-in at the latest."""
        with self._store.begin() as connection:
            return self.open_within(connection, person, provider=provider, sign_in=sign_in)

    def open_within(self, connection: Connection, person: Person, *, provider: str, sign_in: SignedIn | None = None) -> str:
        """As `open`, in the transaction of the sign-in."""
        now = self._now()
        connection.execute(delete(sessions).where((sessions.c.expires_at <= now) | (sessions.c.seen_at <= now - self._idle)))
        secret = self._random_bytes(32).hex()
        row = {
            "object_id": person.object_id.lower(),
            "name": person.name,
            "provider": provider,
            "created_at": now,
            "sign_in": sign_in.id if sign_in else "",
            "expires_at": min(now + self._life, sign_in.ends_at) if sign_in else now + self._life,
        }
        connection.execute(sessions.insert().values(hash=digest_of(secret), seen_at=now, **row))
        return secret

    def find(self, secret: str) -> Session | None:
        """The living session of a secret. Texts that are none cost at most one read; using a session is noted at most once a minute."""
        if not _SECRET.fullmatch(secret):
            return None
        digest, now = digest_of(secret), self._now()
        with self._store.read() as connection:
            row = connection.execute(select(sessions).where(sessions.c.hash == digest)).first()
        if row is None or not hmac.compare_digest(row.hash, digest):
            return None
        if row.expires_at <= now or row.seen_at <= now - self._idle:
            self._delete(sessions.c.hash == digest)
            return None
        if now - row.seen_at >= _TOUCH and not self._touch(digest, now):
            return None
        return _session(row)

    def close(self, secret: str) -> None:
        """Sign out: the session is gone. A text that is no secret of a session changes nothing."""
        found = self.find(secret)
        if found is not None:
            self._delete(sessions.c.hash == digest_of(secret))
            with self._lock:
                self._tokens.pop(found, None)

    def end_all(self, object_id: str) -> int:
        """Sign a person out everywhere; how many sessions that were."""
        with self._store.begin() as connection:
            return end_all(connection, object_id)

    def token(self, session: Session) -> str:
        """An access token of the API for the person of a session; the same one until five minutes before its end."""
        with self._lock:
            token, until = self._tokens.get(session, ("", 0.0))
            if token and self._clock() < until - _AHEAD:
                return token
        answer = self._mint.for_person(session.object_id, session.name, client_id=CLIENT, sign_in=session.sign_in, until=session.expires_at)
        made = (str(answer["access_token"]), self._clock() + float(answer["expires_in"]))
        with self._lock:
            self._tokens[session] = made
            self._tokens.move_to_end(session)
            while len(self._tokens) > _MOST_TOKENS:
                self._tokens.popitem(last=False)
        return made[0]

    def csrf(self, secret: str) -> str:
        """What a form of this session must bring back; compare it with `hmac.compare_digest`."""
        return hmac.new(secret.encode(errors="surrogatepass"), b"isthmus form", hashlib.sha256).hexdigest()

    def _touch(self, digest: str, now: int) -> bool:
        """Whether the session still exists. A busy database is no reason to turn its person away."""
        try:
            with self._store.begin() as connection:
                return connection.execute(update(sessions).where(sessions.c.hash == digest).values(seen_at=now)).rowcount == 1
        except ArmError as error:
            if error.status != 503:
                raise
            return True

    def _delete(self, chosen: ColumnElement[bool]) -> None:
        with self._store.begin() as connection:
            connection.execute(delete(sessions).where(chosen))

    def _now(self) -> int:
        return int(self._clock() * 1000)


def end_all(connection: Connection, object_id: str) -> int:
    """Sign a person out everywhere, within a transaction; how many sessions that were."""
    return connection.execute(delete(sessions).where(sessions.c.object_id == object_id.lower())).rowcount


def lives(connection: Connection, digest: str, now: int) -> bool:
    """Whether the session that is stored under a digest is still there."""
    found = (sessions.c.hash == digest) & (sessions.c.expires_at > now)
    return connection.execute(select(sessions.c.hash).where(found)).first() is not None


def _session(row: Any) -> Session:
    names = ("object_id", "name", "provider", "created_at", "expires_at", "sign_in")
    return Session(**{name: getattr(row, name) for name in names})


def digest_of(secret: str) -> str:
    """Under what a session is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()
