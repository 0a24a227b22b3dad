"""What people decide about the command line: whether it may act as them. Every decision and every refusal leaves an audit record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from isthmus.arm.change import Change
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.audit import Refusals
from isthmus.engine import Engine
from isthmus.identity import native
from isthmus.identity.codes import Codes, Consent, Pending
from isthmus.identity.native import Authorization
from isthmus.identity.oauth import OAuthError
from isthmus.identity.sessions import Session, Sessions, digest_of
from isthmus.identity.tokens import TokenEndpoint

PAGE, DEVICE_PAGE = "/portal/consent", "/portal/device"
ALLOWED, DENIED = "Isthmus.Identity/consent", "Isthmus.Identity/denyConsent"


@dataclass(frozen=True, kw_only=True)
class Consents:
    """Requests of the command line, put before people. `issuer` is our name in answers.

    `address` is from where a request came, for people and for the record; it decides nothing.
    """

    engine: Engine
    refusals: Refusals
    sessions: Sessions
    tokens: TokenEndpoint
    codes: Codes
    issuer: str

    def page_of(self, pairs: Sequence[tuple[str, str]], *, asked: str, correlation: str = "") -> str:
        """Where the browser goes on with a request for a code: our page, or back to the client with an error.

        OAuthError when it cannot be sent anywhere: unknown tenant or client, another redirect address than loopback.
        """
        parameters = native.once(pairs)
        self.tokens.require_tenant(asked)
        redirect = native.redirect_of(parameters)
        try:
            self.tokens.require_resource(parameters)
            return f"{PAGE}?{native.read_authorization(parameters).query}"
        except OAuthError as error:
            self._count("anonymous", ArmError(error.error, error.description, status=error.status), PAGE, correlation)
            state = parameters.get("state", "")
            known = state if len(state) <= 256 and state.isascii() and state.isprintable() else ""
            return native.answer_url(redirect, self.issuer, error=error.error, error_description=error.description, state=known)

    def read(self, query: Mapping[str, str]) -> Authorization:
        """The request that a page is about; ArmError 400 `InvalidSignInRequest` for one that `page_of` would not have led to."""
        try:
            native.redirect_of(query)
            return native.read_authorization(query)
        except OAuthError as error:
            message = f"This is no request of the command line: {error.description} Run 'isthmus login' again."
            raise ArmError("InvalidSignInRequest", message) from error

    def decide(self, secret: str, query: Mapping[str, str], *, is_allowed: bool, address: str, correlation: str = "") -> str:
        """What a person in a session answers to a request: where the browser goes with it. ArmError 401 `SessionEnded`."""
        asked = self.read(query)
        consent = self._consent(secret)
        if not is_allowed:
            with self.engine.store.begin() as connection:
                self.engine.apply_within(connection, _change("code", address), _actor(consent, correlation), DENIED, PAGE)
            return native.answer_url(
                asked.redirect_uri, self.issuer, error="access_denied", error_description="The person did not allow it.", state=asked.state
            )
        with self.engine.store.begin() as connection:
            code = self.codes.make(connection, asked, consent, address=address)
            self.engine.apply_within(connection, _change("code", address), _actor(consent, correlation), ALLOWED, PAGE)
        return native.answer_url(asked.redirect_uri, self.issuer, code=code, state=asked.state)

    def find_device(self, secret: str, user_code: str, *, correlation: str = "") -> Pending:
        """The device that waits under a user code. ArmError 401 `SessionEnded`, 404 `UnknownUserCode`, 429 `TooManyGuesses`."""
        consent = self._consent(secret)
        with self.engine.store.begin() as connection:
            found = self.codes.find_device(connection, user_code, consent.object_id)
        if isinstance(found, ArmError):
            self._count(consent.object_id, found, DEVICE_PAGE, correlation)
            raise found
        return found

    def decide_device(self, secret: str, user_code: str, *, is_allowed: bool, correlation: str = "") -> None:
        """What a person in a session answers to a device. ArmError as `find_device`."""
        pending, consent = self.find_device(secret, user_code, correlation=correlation), self._consent(secret)
        with self.engine.store.begin() as connection:
            if not self.codes.decide(connection, user_code, consent, is_allowed=is_allowed):
                raise ArmError("UnknownUserCode", "This sign-in waits no more: it was decided or has expired.", status=404)
            action = ALLOWED if is_allowed else DENIED
            self.engine.apply_within(connection, _change("device", pending.address), _actor(consent, correlation), action, DEVICE_PAGE)

    def refuse(self, session: Session | None, error: ArmError, target: str, correlation: str) -> None:
        """Count a form that was not taken."""
        self._count(session.object_id if session else "anonymous", error, target, correlation)

    def _consent(self, secret: str) -> Consent:
        session = self.sessions.find(secret)
        if session is None:
            raise ArmError("SessionEnded", "Your session has ended. Sign in again.", status=401)
        return Consent(
            object_id=session.object_id,
            name=session.name,
            sign_in=session.sign_in,
            session=digest_of(secret),
            ends_at=session.expires_at,
        )

    def _count(self, who: str, error: ArmError, target: str, correlation: str) -> None:
        self.refusals.refuse(Actor(id=who, kind="User", correlation=correlation), "consent", target, error)


def _change(kind: str, address: str) -> Change:
    return Change(detail={"client": native.CLIENT, "kind": kind, "address": address})


def _actor(consent: Consent, correlation: str) -> Actor:
    return Actor(id=consent.object_id, kind="User", name=consent.name, correlation=correlation, sign_in=consent.sign_in)
