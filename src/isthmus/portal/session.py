"""Who is signed in: what the portal needs of those who know, and the cookies that a browser holds."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from isthmus.arm.errors import ArmError

SESSION_COOKIE = "__Host-isthmus"
SIGN_IN_COOKIE = "__Host-isthmus-signin"
SUBSCRIPTION_COOKIE = "__Host-isthmus-subscription"
_MASK = 32


class Session(Protocol):
    """A signed-in browser. `expires_at` is in epoch milliseconds."""

    @property
    def object_id(self) -> str:
        """What role assignments name."""
        ...

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def expires_at(self) -> int:
        """When it ends in any case."""
        ...


class Sessions(Protocol):
    """Sessions of browsers. Secrets are what the cookie holds; they are stored as hashes only."""

    def find(self, secret: str) -> Any:
        """The `Session` of a secret, None when there is none or it has ended."""
        ...

    def token(self, session: Any) -> str:
        """An access token of the session's person for the API."""
        ...

    def csrf(self, secret: str) -> str:
        """What forms of this session must send back: hexadecimal, derived from the secret."""
        ...

    def open(self, person: Any, *, provider: str, sign_in: Any = None) -> str:
        """A new session: its secret. `sign_in` is what the provider vouched for."""
        ...

    def close(self, secret: str) -> None:
        """Sign out."""
        ...


class Link(Protocol):
    """Sign-in by single-use link."""

    def open(self, code: str, *, correlation: str = "") -> str:
        """Use a code up and open a session: its secret. ArmError 401 for a used, unknown or late code."""
        ...


class Provider(Protocol):
    """Sign-in at an OpenID provider."""

    @property
    def label(self) -> str:
        """What the button says."""
        ...

    @property
    def issuer(self) -> str:
        """Who vouches."""
        ...

    def begin(self, return_to: str) -> Any:
        """Start: `url` of the provider's page, and `cookie`, what the browser keeps meanwhile."""
        ...

    def finish(self, cookie: str, query: Mapping[str, str], *, correlation: str = "") -> Any:
        """End: `person`, `sign_in`, and `return_to`, the path to go on at. ArmError 401 with the reason otherwise."""
        ...


class Consents(Protocol):
    """Requests of the command line to act as somebody. Refusals of `find_device` are ArmError 404 and 429, of an ended session 401."""

    def read(self, query: Mapping[str, str]) -> Any:
        """A request for a code: `redirect_uri`, and `query`, which reads back to the same. ArmError 400 for anything else."""
        ...

    def decide(self, secret: str, query: Mapping[str, str], *, is_allowed: bool, address: str, correlation: str = "") -> str:
        """What the person says to it: where the browser goes with the answer, on the loopback of its own computer."""
        ...

    def find_device(self, secret: str, user_code: str, *, correlation: str = "") -> Any:
        """What waits under a user code: `user_code` as the program shows it, `address` and `created_at`."""
        ...

    def decide_device(self, secret: str, user_code: str, *, is_allowed: bool, correlation: str = "") -> None:
        """What the person says to it."""
        ...

    def refuse(self, session: Any, error: ArmError, target: str, correlation: str) -> None:
        """Note a form that was not taken."""
        ...


class SignIn(Protocol):
    """Everything that lets people in and out; `provider` is None where none is set up."""

    @property
    def consents(self) -> Consents:
        """What they decide about the command line."""
        ...

    @property
    def sessions(self) -> Sessions:
        """The sessions."""
        ...

    @property
    def link(self) -> Link:
        """Links."""
        ...

    @property
    def provider(self) -> Provider | None:
        """The provider."""
        ...


def set_cookie(response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """A cookie that scripts cannot read, that leaves this host over TLS only, and that other sites' forms do not send."""
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def drop_cookie(response: Response, name: str) -> None:
    """Forget a cookie."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


def cookie_of(request: Request, name: str) -> str:
    """The value of a cookie; empty when there is none."""
    return request.cookies.get(name, "")


def mask(token: str) -> str:
    """A token that looks different on each page, so that compressed answers give nothing away (BREACH)."""
    plain = bytes.fromhex(token)[:_MASK].ljust(_MASK, b"\0")
    noise = secrets.token_bytes(_MASK)
    return base64.urlsafe_b64encode(noise + bytes(a ^ b for a, b in zip(noise, plain, strict=True))).decode()


def is_token(given: str, token: str) -> bool:
    """Whether a masked token is one of this session's."""
    try:
        raw = base64.b64decode(given.encode(), altchars=b"-_", validate=True)
    except ValueError:
        return False
    if len(raw) != 2 * _MASK:
        return False
    plain = bytes(a ^ b for a, b in zip(raw[:_MASK], raw[_MASK:], strict=True))
    return compare_digest(plain, bytes.fromhex(token)[:_MASK].ljust(_MASK, b"\0"))
