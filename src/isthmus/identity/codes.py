"""Codes of the command line on its way to being signed in: authorization codes (RFC 6749 4.1) and device codes (RFC 8628).

Both are 256 random bits that are stored as hashes and work once. What a person types in is short; guesses are counted per person.
A refusal is answered, not raised, where something is used up by it: the caller's transaction has to commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from isthmus.arm.errors import ArmError
from isthmus.identity import evidence, native, oauth, sessions
from isthmus.identity.oauth import OAuthError, bad_grant
from isthmus.store.dialect import insert_new
from isthmus.store.tables import sign_in_codes as codes

CODE_SECONDS, DEVICE_SECONDS, PAUSE = 60, 600, 5
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""Letters of user codes (RFC 8628 6.1): they make no words, and none is taken for another."""
LETTERS = 8
GUESSES = 5
_MOST_BEGUN, _MOST_PER_ADDRESS = 2_000, 50
# Used and late codes are remembered for a while, so that whoever brings one again is known.
_REMEMBERED = 3_600_000
_UNKNOWN = "The code is not known, was used before, or has expired. Begin the sign-in again."
_GONE = "The person has signed out since, or the sign-in was ended. Begin the sign-in again."


@dataclass(frozen=True, kw_only=True, slots=True)
class Consent:
    """Who allows the command line to act as them: by which sign-in (empty: a link), in which session (its digest), until when (ms)."""

    object_id: str
    name: str
    sign_in: str
    session: str
    ends_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceBegun:
    """A device sign-in: what the program keeps, and what the person types in (eight letters)."""

    device_code: str = field(repr=False)
    user_code: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """A device that waits for a person: the code as it shows it, the address from which it was begun, and when (ms)."""

    user_code: str
    address: str
    created_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Redeemed:
    """A code that was good: whose it was, and the name of the family of refresh tokens that it begins."""

    consent: Consent
    family: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """A code that is not good. `family` is what came of its first use and has to end, since one of the two users is not the right one."""

    error: OAuthError
    family: str = ""


class Codes:
    """The codes in the database; every method runs in the caller's transaction."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        random_bytes: Callable[[int], bytes],
        identifier: Callable[[], str],
        device_seconds: float = DEVICE_SECONDS,
    ) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._identifier = identifier
        self._device_life = int(device_seconds * 1000)

    def make(self, connection: Connection, asked: native.Authorization, consent: Consent, *, address: str) -> str:
        """An authorization code, which a person has just allowed; good for 60 seconds."""
        now = self._forget_old(connection)
        code = self._random_bytes(32).hex()
        row = self._row(code, "code", now + CODE_SECONDS * 1000, address)
        given = {"state": "allowed", "redirect_uri": asked.redirect_uri, "challenge": asked.challenge}
        connection.execute(codes.insert().values({**row, **given, **_columns(consent)}))
        return code

    def redeem(self, connection: Connection, code: str, *, client_id: str, redirect_uri: str, verifier: str) -> Redeemed | Spent:
        """Use an authorization code up. A wrong verifier uses it up too: whoever has the code and not the verifier has stolen it."""
        found = self._use(connection, "code", code, client_id)
        if isinstance(found, Spent):
            return found
        if found.redirect_uri != redirect_uri:
            return Spent(error=bad_grant("The redirect address is not the one that the code was asked with."))
        if not native.answers(verifier, found.challenge):
            return Spent(error=bad_grant("The code verifier is not the one that the code was asked with."))
        return self._redeemed(connection, found)

    def begin_device(self, connection: Connection, *, address: str) -> DeviceBegun:
        """Begin a device sign-in; OAuthError temporarily_unavailable when very many wait already, everywhere or at one address."""
        now = self._forget_old(connection)
        waiting = (codes.c.kind == "device") & (codes.c.state == "pending") & (codes.c.expires_at > now)
        for most, chosen in ((_MOST_BEGUN, waiting), (_MOST_PER_ADDRESS, waiting & (codes.c.address == address))):
            if connection.execute(select(func.count()).select_from(codes).where(chosen)).scalar_one() >= most:
                message = "Too many sign-ins wait for a person to allow them. Try again in some minutes."
                raise OAuthError("temporarily_unavailable", message, code=oauth.UNAVAILABLE, status=429)
        while True:
            begun = DeviceBegun(device_code=self._random_bytes(32).hex(), user_code=self._letters())
            row = self._row(begun.device_code, "device", now + self._device_life, address)
            if insert_new(connection, codes, {**row, "state": "pending", "user_code": _digest(begun.user_code)}):
                return begun

    def find_device(self, connection: Connection, user_code: str, object_id: str) -> Pending | ArmError:
        """The device that waits under a user code; a wrong one counts. ArmError 404 `UnknownUserCode`, 429 `TooManyGuesses`."""
        now = self._now()
        guessed = (codes.c.kind == "guess") & (codes.c.object_id == object_id) & (codes.c.expires_at > now)
        if connection.execute(select(func.count()).select_from(codes).where(guessed)).scalar_one() >= GUESSES:
            message = "Too many codes that were none. Wait ten minutes, then copy the code that the program shows."
            return ArmError("TooManyGuesses", message, status=429, retry_after=DEVICE_SECONDS)
        row = connection.execute(select(codes).where(self._waiting(user_code, now))).first()
        if row is not None:
            return Pending(user_code=shown(typed(user_code)), address=row.address, created_at=row.created_at)
        guess = self._row(self._random_bytes(32).hex(), "guess", now + DEVICE_SECONDS * 1000, "")
        connection.execute(codes.insert().values({**guess, "state": "used", "object_id": object_id}))
        message = "No sign-in waits under this code. It may have expired: the program that showed it has ten minutes."
        return ArmError("UnknownUserCode", message, status=404)

    def decide(self, connection: Connection, user_code: str, consent: Consent, *, is_allowed: bool) -> bool:
        """Allow or deny a device; False when it waits no more."""
        values = {"state": "allowed" if is_allowed else "denied", **_columns(consent)}
        return connection.execute(update(codes).where(self._waiting(user_code, self._now())).values(**values)).rowcount == 1

    def poll(self, connection: Connection, device_code: str, *, client_id: str) -> Redeemed | Spent:
        """What a device is told: RFC 8628 3.5. One that asks too soon has to wait five seconds longer from then on."""
        now = self._now()
        row = self._find(connection, "device", device_code, client_id)
        if row is not None and row.expires_at <= now and row.state in ("pending", "allowed"):
            return Spent(error=OAuthError("expired_token", "Nobody allowed it within ten minutes. Begin again.", code=oauth.OVER))
        if row is None or row.state in ("allowed", "used"):
            found = self._use(connection, "device", device_code, client_id)
            return found if isinstance(found, Spent) else self._redeemed(connection, found)
        if row.state == "denied":
            return Spent(error=OAuthError("access_denied", "The person did not allow it.", code=oauth.DENIED))
        is_early = row.polled_at is not None and now - row.polled_at < (row.pause - 1) * 1000
        values = {"polled_at": now, **({"pause": row.pause + PAUSE} if is_early else {})}
        connection.execute(update(codes).where(codes.c.hash == row.hash).values(**values))
        if is_early:
            return Spent(error=OAuthError("slow_down", "Ask less often: five seconds longer apart.", code=oauth.TOO_FAST))
        return Spent(error=OAuthError("authorization_pending", "Nobody has allowed it yet.", code=oauth.PENDING))

    def _use(self, connection: Connection, kind: str, code: str, client_id: str) -> Row[Any] | Spent:
        row = self._find(connection, kind, code, client_id)
        if row is None:
            return Spent(error=bad_grant(_UNKNOWN))
        good = (codes.c.hash == row.hash) & (codes.c.state == "allowed")
        if connection.execute(update(codes).where(good).values(state="used")).rowcount != 1:
            return Spent(error=bad_grant(_UNKNOWN), family=row.family)
        return row if row.expires_at > self._now() else Spent(error=bad_grant(_UNKNOWN, oauth.OVER))

    def _find(self, connection: Connection, kind: str, code: str, client_id: str) -> Row[Any] | None:
        wanted = (codes.c.hash == _digest(code)) & (codes.c.kind == kind) & (codes.c.client_id == client_id)
        return connection.execute(select(codes).where(wanted)).first()

    def _redeemed(self, connection: Connection, row: Row[Any]) -> Redeemed | Spent:
        now = self._now()
        is_ended = row.sign_in and not evidence.lives(connection, row.sign_in, row.object_id, now)
        if is_ended or row.ends_at <= now or not sessions.lives(connection, row.session, now):
            return Spent(error=bad_grant(_GONE))
        consent = Consent(object_id=row.object_id, name=row.name, sign_in=row.sign_in, session=row.session, ends_at=row.ends_at)
        return Redeemed(consent=consent, family=row.family)

    def _waiting(self, user_code: str, now: int) -> ColumnElement[bool]:
        return (codes.c.user_code == _digest(typed(user_code))) & (codes.c.state == "pending") & (codes.c.expires_at > now)

    def _row(self, code: str, kind: str, expires_at: int, address: str) -> dict[str, Any]:
        texts = dict.fromkeys(("redirect_uri", "challenge", "object_id", "name", "sign_in", "session"), "")
        mine = {"hash": _digest(code), "kind": kind, "client_id": native.CLIENT, "family": self._identifier(), "address": address[:64]}
        return {**texts, **mine, "ends_at": 0, "pause": PAUSE, "created_at": self._now(), "expires_at": expires_at}

    def _letters(self) -> str:
        """Each letter is as likely as any other: bytes beyond the last whole turn of the alphabet are thrown away."""
        found = ""
        turn = 256 - 256 % len(ALPHABET)
        while len(found) < LETTERS:
            found += "".join(ALPHABET[byte % len(ALPHABET)] for byte in self._random_bytes(LETTERS) if byte < turn)
        return found[:LETTERS]

    def _forget_old(self, connection: Connection) -> int:
        now = self._now()
        connection.execute(delete(codes).where(codes.c.expires_at <= now - _REMEMBERED))
        return now

    def _now(self) -> int:
        return int(self._clock() * 1000)


def typed(user_code: str) -> str:
    """A user code as it is compared: whatever stands between the letters, and their case, is for the eye."""
    return "".join(letter for letter in user_code.upper()[:64] if letter.isalnum())


def shown(user_code: str) -> str:
    """A user code as people see it: two groups of four."""
    return f"{user_code[:4]}-{user_code[4:]}"


def _columns(consent: Consent) -> dict[str, Any]:
    return {name: getattr(consent, name) for name in ("object_id", "name", "sign_in", "session", "ends_at")}


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest()
