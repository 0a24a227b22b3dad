"""Receiving events by push (RFC 8935): verified against the one transmitter that the settings name, taken in once, with a record.

The transmitter is believed about everybody who signs in here, so only one that may end their sessions is named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select

from isthmus.access.former import trusted_connectors
from isthmus.access.leaving import begin_anew, depart
from isthmus.access.security_events.reading import Effect, SecurityEvent, Subject, Unusable, read_event
from isthmus.arm.change import Change
from isthmus.arm.errors import ArmError, unavailable
from isthmus.arm.types import Actor
from isthmus.clouds.azure.graph import guid
from isthmus.engine import Engine
from isthmus.identity.assertions import spender
from isthmus.identity.federation import IssuerKeys, KeysUnavailable
from isthmus.identity.jws import Refused, VerificationKey, parse, signature_holds, with_kid
from isthmus.identity.trust import SECURITY_EVENT, SKEW, TRUST, Context, verify
from isthmus.store.tables import people

ACTION: Final = "Isthmus.Access/securityEvents/receive"
INVALID_REQUEST, INVALID_KEY, INVALID_ISSUER, INVALID_AUDIENCE = "invalid_request", "invalid_key", "invalid_issuer", "invalid_audience"
"""Error codes of RFC 8935, section 2.4."""


class NotAccepted(Exception):
    """A token is refused, with a code of RFC 8935 and a reason for its sender."""

    def __init__(self, err: str, told: str) -> None:
        super().__init__(told)
        self.err = err


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Takes tokens of `issuer` for `audience`; `keys` finds the issuer's keys."""

    engine: Engine
    issuer: str
    audience: str
    keys: IssuerKeys

    def receive(self, token: str, *, correlation: str = "") -> str:
        """What came of a token, in a word. Raises NotAccepted, and ArmError 503 while the transmitter's keys cannot be had.

        The same token again changes nothing and is accepted, since its sender may not have heard our answer.
        """
        claims = self._verified(token)
        try:
            event = read_event(claims)
        except Unusable as error:
            raise NotAccepted(INVALID_REQUEST, f"The event cannot be acted upon: {error}.") from error
        actor = Actor(id=f"transmitter:{self.issuer}"[:256], kind="Application", name="Transmitter of events", correlation=correlation)
        spent = hashlib.sha256("\0".join((SECURITY_EVENT, self.issuer, claims["jti"])).encode(errors="surrogatepass")).hexdigest()
        until = int((claims["iat"] + TRUST[SECURITY_EVENT].lifetime + 2 * SKEW) * 1000)
        with self.engine.store.begin() as connection:
            if not spender(connection, self.engine.clock)(spent, until):
                return "Repeated"
            person = _find(connection, event.subject) if event.subject else ""
            if not person and event.subject and event.effect is Effect.DEPART and trusted_connectors(connection, self.engine.now()):
                # Where accounts trust a directory themselves, somebody may be in there who never was here: by the directory's object id.
                person = guid(event.subject.id)
            outcome = self._act(connection, event, person, actor)
            detail = {"event": event.kind, "outcome": outcome, "token": spent[:16], "at": int(claims["iat"] * 1000)}
            target = f"/providers/Isthmus.Access/people/{person}" if person else "/"
            self.engine.apply_within(connection, Change(detail=detail), actor, ACTION, target)
        return outcome

    def _act(self, connection: Connection, event: SecurityEvent, person: str, actor: Actor) -> str:
        if event.effect is Effect.VERIFY:
            return "Verified"
        if event.effect is Effect.NONE:
            return "Ignored"
        if not person:
            return "Unknown"
        reason = f"The transmitter of security events told: {event.kind}."
        if event.effect is Effect.DEPART:
            depart(connection, self.engine, person, actor, reason)
            return "Departed"
        begin_anew(connection, self.engine, person, actor, reason)
        return "SessionsEnded"

    def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            parsed = parse(token)
        except Refused as error:
            raise NotAccepted(INVALID_REQUEST, f"This is no security event token: {error}.") from error
        if parsed.claims.get("iss") != self.issuer:
            raise NotAccepted(INVALID_ISSUER, "The issuer of the token is not the one that is trusted here.")
        keys = self._keys(str(parsed.header.get("kid", "")))
        known = with_kid(keys, str(parsed.header.get("kid", "")))
        if known is None or not signature_holds(parsed, known):
            raise NotAccepted(INVALID_KEY, "The token is not signed with a key that its issuer publishes.")
        if parsed.claims.get("aud") not in (self.audience, [self.audience]):
            raise NotAccepted(INVALID_AUDIENCE, "The token is for another audience.")
        context = Context(now=self.engine.clock(), keys=keys, issuer=self.issuer, audiences=frozenset({self.audience}))
        try:
            return verify(SECURITY_EVENT, token, context)
        except ArmError as error:
            raise NotAccepted(INVALID_REQUEST, error.message) from error

    def _keys(self, kid: str) -> tuple[VerificationKey, ...]:
        try:
            return self.keys.keys(self.issuer, kid)
        except KeysUnavailable as error:
            raise unavailable(f"The keys of the transmitter are not available: {error}. Send it again later.", retry_after=30) from error


def _find(connection: Connection, subject: Subject) -> str:
    """The object id of somebody who has signed in here, empty for others. An issuer may name people by object id too, as Entra does."""
    id = subject.id.lower()
    chosen = people.c.object_id == id
    if subject.issuer:
        chosen = (people.c.issuer == subject.issuer) & or_(people.c.subject == subject.id, func.lower(people.c.object_id) == id)
    return str(connection.execute(select(people.c.object_id).where(chosen).order_by(people.c.object_id).limit(1)).scalar() or "")
