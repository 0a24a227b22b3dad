"""What the command line exchanges for tokens at the token endpoint: codes that a person allowed, and refresh tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from isthmus.api.consents import DEVICE_PAGE
from isthmus.arm.change import Change
from isthmus.arm.types import Actor
from isthmus.engine import Engine
from isthmus.identity import native, oauth, refresh
from isthmus.identity.codes import DEVICE_SECONDS, PAUSE, Codes, Redeemed, Spent, shown
from isthmus.identity.oauth import bad_request
from isthmus.identity.refresh import Refresh, RefreshTokens, Stale
from isthmus.identity.tokens import TokenEndpoint

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SIGN_IN, SIGN_OUT, END = "Isthmus.Identity/signIn", "Isthmus.Identity/signOut", "Isthmus.Identity/endSignIn"
_TOKEN = "/token"  # noqa: S105 - what records say


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Grants of people's command lines. Errors are OAuthError; whatever was used up by a refused request stays used up."""

    engine: Engine
    tokens: TokenEndpoint
    codes: Codes
    refreshes: RefreshTokens
    public_url: str

    def answer(self, form: Mapping[str, str], *, asked: str, correlation: str) -> dict[str, Any] | None:
        """The answer to one of our grants (RFC 6749 5.1, with `refresh_token_expires_in` in seconds); None for another grant."""
        grants: Mapping[str, Callable[[Connection, Mapping[str, str], str], Refresh | Spent | Stale]] = {
            "authorization_code": self._by_code,
            DEVICE_GRANT: self._by_device,
            "refresh_token": self._by_refresh,
        }
        grant = grants.get(form.get("grant_type", ""))
        if grant is None:
            return None
        self.tokens.require_tenant(asked)
        native.require_client(form)
        self.tokens.require_resource(form)
        with self.engine.store.begin() as connection:
            given = grant(connection, form, correlation)
        if not isinstance(given, Refresh):
            raise given.error
        made = self.tokens.for_person(given.object_id, given.name, client_id=native.CLIENT, sign_in=given.sign_in, until=given.expires_at)
        left = max(0, int(given.expires_at / 1000 - self.engine.clock()))
        return {**made, "refresh_token": given.token, "refresh_token_expires_in": left}

    def begin_device(self, form: Mapping[str, str], *, asked: str, address: str) -> dict[str, Any]:
        """The device authorization response (RFC 8628 3.2), with the `message` that Azure's clients print."""
        self.tokens.require_tenant(asked)
        native.require_client(form)
        self.tokens.require_resource(form)
        with self.engine.store.begin() as connection:
            begun = self.codes.begin_device(connection, address=address)
        page, code = f"{self.public_url}{DEVICE_PAGE}", shown(begun.user_code)
        return {
            "device_code": begun.device_code,
            "user_code": code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?code={code}",
            "expires_in": DEVICE_SECONDS,
            "interval": PAUSE,
            "message": f"To sign in, open {page} in a browser and enter the code {code}.",
        }

    def revoke(self, form: Mapping[str, str], *, asked: str, correlation: str) -> None:
        """End a sign-in by its refresh token (RFC 7009); an unknown one is ended already."""
        self.tokens.require_tenant(asked)
        native.require_client(form)
        if not form.get("token"):
            raise bad_request("The parameter 'token' is missing.", oauth.MISSING_PARAMETER)
        with self.engine.store.begin() as connection:
            owner = self.refreshes.revoke(connection, form["token"])
            if owner:
                self._note(connection, owner, correlation, SIGN_OUT, {"client": native.CLIENT})

    def _by_code(self, connection: Connection, form: Mapping[str, str], correlation: str) -> Refresh | Spent:
        code, address, verifier = (_wanted(form, name) for name in ("code", "redirect_uri", "code_verifier"))
        found = self.codes.redeem(connection, code, client_id=native.CLIENT, redirect_uri=address, verifier=verifier)
        return self._begun(connection, found, "authorization_code", correlation)

    def _by_device(self, connection: Connection, form: Mapping[str, str], correlation: str) -> Refresh | Spent:
        found = self.codes.poll(connection, _wanted(form, "device_code"), client_id=native.CLIENT)
        return self._begun(connection, found, "device_code", correlation)

    def _begun(self, connection: Connection, found: Redeemed | Spent, grant: str, correlation: str) -> Refresh | Spent:
        if isinstance(found, Spent):
            if found.family and refresh.end_family(connection, found.family):
                self._note(connection, "anonymous", correlation, END, {"client": native.CLIENT, "reason": "code used twice"})
            return found
        given = self.refreshes.begin(connection, found.consent, family=found.family, client_id=native.CLIENT)
        actor = Actor(id=given.object_id, kind="User", name=given.name, correlation=correlation, sign_in=given.sign_in)
        detail = {"client": native.CLIENT, "grant": grant, "signIn": given.sign_in}
        self.engine.apply_within(connection, Change(detail=detail), actor, SIGN_IN, _TOKEN)
        return given

    def _by_refresh(self, connection: Connection, form: Mapping[str, str], correlation: str) -> Refresh | Stale:
        given = self.refreshes.rotate(connection, _wanted(form, "refresh_token"), client_id=native.CLIENT)
        if isinstance(given, Stale) and given.owner:
            self._note(connection, given.owner, correlation, END, {"client": native.CLIENT, "reason": "refresh token used twice"})
        return given

    def _note(self, connection: Connection, who: str, correlation: str, action: str, detail: Mapping[str, str]) -> None:
        self.engine.apply_within(connection, Change(detail=detail), Actor(id=who, kind="User", correlation=correlation), action, _TOKEN)


def _wanted(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise bad_request(f"The parameter '{name}' is missing.", oauth.MISSING_PARAMETER)
    return value
