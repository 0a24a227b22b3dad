"""Signing people in with an OpenID provider: authorization code flow with PKCE S256, state, nonce and the check of `iss` (RFC 9207).

Nothing is stored between the two halves: what has to be remembered travels in a signed value that only the browser which began keeps.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from isthmus.arm.addresses import local_path
from isthmus.arm.errors import ArmError
from isthmus.identity.clients import random_id
from isthmus.identity.federation import IssuerKeys, KeysUnavailable
from isthmus.identity.issuer import Issuer
from isthmus.identity.jws import Parsed, Refused, parse
from isthmus.identity.people import Person, has_name, person_of
from isthmus.identity.relying import Provider, Send, TokenRequests, is_endpoint, unavailable
from isthmus.identity.trust import ID_TOKEN, PENDING_SIGN_IN, Context, verify

LIFETIME = 600
CALLBACK = "/sign-in/callback"
_AT_ONCE = 16
_MAX_PARAMETER = 8192
_MAX_PROFILE = 65_536
_ADDRESS = ("email", "email_verified")


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """Where the browser goes, and what it has to keep until it comes back, at most ten minutes."""

    url: str
    cookie: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Vouched:
    """Whom the provider vouched for by which claims, and where that person wanted to go.

    `once` names this sign-in: it counts once, until `until` (ms).
    """

    person: Person
    claims: Mapping[str, Any]
    return_to: str
    once: str
    until: int


class OpenId:
    """Signs people in with one provider. `public_url` has no trailing slash; `own` signs what the browser keeps, and us where needed.

    `keys` reads the provider's documents. At most 16 codes are redeemed at once, so that a slow provider does not hold every thread.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        keys: IssuerKeys,
        send: Send,
        own: Issuer,
        public_url: str,
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        identifier: Callable[[], str] = random_id,
    ) -> None:
        self.provider = provider
        self.redirect_uri = f"{public_url}{CALLBACK}"
        self._keys = keys
        self._send = send
        self._own = own
        self._clock = clock
        self._random_bytes = random_bytes
        self._requests = TokenRequests(provider, own, send, clock, identifier)
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def begin(self, return_to: str) -> Begun:
        """Begin a sign-in that leads to a page of ours; ArmError 503 `SignInUnavailable` when the provider cannot be asked where to go."""
        endpoint = self._configuration().get("authorization_endpoint")
        if not isinstance(endpoint, str) or not is_endpoint(endpoint):
            raise unavailable("it names no page to sign in at")
        state, nonce, verifier = (_encoded(self._random_bytes(32)) for _ in range(3))
        question = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.provider.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": _encoded(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        kept = {"state": state, "nonce": nonce, "verifier": verifier, "return_to": local_path(return_to)}
        bound = {"sub": self.provider.issuer, "aud": self.redirect_uri}
        cookie = self._own.mint(kept | bound, LIFETIME, typ="isthmus-sign-in+jwt")
        return Begun(url=f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(question)}", cookie=cookie)

    def finish(self, cookie: str, query: Mapping[str, str]) -> Vouched:
        """The second half: what the browser kept and what the provider sent it back with. Each parameter was given once.

        ArmError: 401 `SignInMismatch` (not begun in this browser), 401 `SignInExpired`, 403 `SignInDenied` (the provider said no),
        401 `SignInRefused` (what it answered is not acceptable), 503 `SignInUnavailable`. The code goes to nobody before state and issuer
        are known to be right.
        """
        pending = self._pending(cookie)
        if not hmac.compare_digest(query.get("state", "").encode(errors="replace"), str(pending["state"]).encode()):
            raise _mismatch("the answer belongs to another attempt")
        if not self._places.acquire(blocking=False):
            raise unavailable("too many people sign in at this moment")
        try:
            configuration = self._configuration()
            self._require_issuer(configuration, query)
            code = _code_of(query)
            answer = self._requests.redeem(configuration, code, str(pending["verifier"]), self.redirect_uri)
            claims = self._claims(configuration, answer, str(pending["nonce"]))
        finally:
            self._places.release()
        once = hashlib.sha256(f"{PENDING_SIGN_IN}\0{pending['jti']}".encode()).hexdigest()
        # Two minutes cover what clocks may differ by.
        until = int((pending["exp"] + 120) * 1000)
        return Vouched(person=person_of(claims), claims=claims, return_to=local_path(str(pending["return_to"])), once=once, until=until)

    def _pending(self, cookie: str) -> Mapping[str, Any]:
        if not cookie:
            raise _mismatch("no sign-in was begun in this browser, or it does not keep cookies")
        context = Context(
            now=self._clock(),
            keys=self._own.verification_keys(),
            issuer=self._own.url,
            subject=self.provider.issuer,
            audiences=frozenset({self.redirect_uri}),
        )
        try:
            if _is_over(parse(cookie), self._clock()):
                raise ArmError("SignInExpired", "The sign-in took longer than ten minutes. Begin again.", status=401)
            return verify(PENDING_SIGN_IN, cookie, context)
        except Refused as error:
            raise _mismatch("what it kept is not ours") from error
        except ArmError as error:
            raise (_mismatch("what it kept is not ours") if error.code == "InvalidAuthenticationToken" else error) from error

    def _require_issuer(self, configuration: Mapping[str, Any], query: Mapping[str, str]) -> None:
        """An answer of another provider must not be taken to this one's token endpoint (RFC 9207 2.4)."""
        said = query.get("iss")
        if said is None and configuration.get("authorization_response_iss_parameter_supported") is not True:
            return
        if said != self.provider.issuer:
            raise _refused("the answer does not come from the provider that was asked")

    def _claims(self, configuration: Mapping[str, Any], answer: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str) or not isinstance(access, str):
            raise _refused("its answer holds no ID token")
        digest = hashlib.sha256(access.encode(errors="replace")).digest()
        try:
            keys = self._keys.keys(self.provider.issuer, str(parse(token).header.get("kid", "")))
            context = Context(
                now=self._clock(),
                keys=keys,
                issuer=self.provider.issuer,
                audiences=frozenset({self.provider.client_id}),
                nonce=nonce,
                access_hash=_encoded(digest[:16]),
            )
            claims = verify(ID_TOKEN, token, context)
        except KeysUnavailable as error:
            raise unavailable(str(error)) from error
        except Refused as error:
            raise _refused(f"its ID token was refused: {error}") from error
        except ArmError as error:
            raise _refused(error.message.rstrip(".")) from error
        return claims if has_name(claims) else _completed(claims, self._profile(configuration, access, str(claims["sub"])))

    def _profile(self, configuration: Mapping[str, Any], access: str, subject: str) -> Mapping[str, Any]:
        """Names from the UserInfo endpoint (OpenID Connect Core 5.3), and whether it vouches for the address among them. Without them the
        subject is shown."""
        endpoint = configuration.get("userinfo_endpoint")
        if not isinstance(endpoint, str) or not is_endpoint(endpoint) or not access.isascii() or not access.isprintable():
            return {}
        try:
            said = self._send("GET", endpoint, headers={"Authorization": f"Bearer {access}"}, limit=_MAX_PROFILE)
            found = json.loads(said.body) if said.status == 200 else None
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict) or found.get("sub") != subject:
            return {}
        return {name: found[name] for name in ("name", "preferred_username", *_ADDRESS) if name in found}

    def _configuration(self) -> Mapping[str, Any]:
        try:
            return self._keys.configuration(self.provider.issuer)
        except KeysUnavailable as error:
            raise unavailable(str(error)) from error


def _completed(claims: Mapping[str, Any], profile: Mapping[str, Any]) -> Mapping[str, Any]:
    """Claims of an ID token, with what the profile says where they say nothing. An address and whether it was verified stay together: what
    one of both says of its own address is nothing about the other's."""
    kept = {name: value for name, value in claims.items() if name not in _ADDRESS or "email" in claims}
    return {**{name: value for name, value in profile.items() if name not in _ADDRESS or "email" not in claims}, **kept}


def _code_of(query: Mapping[str, str]) -> str:
    error, code = query.get("error", ""), query.get("code", "")
    if error == "access_denied":
        raise ArmError(
            "SignInDenied",
            "The provider did not let you in: somebody cancelled, or its administrator has not given you this application."
            + _described(query.get("error_description", "")),
            status=403,
        )
    if error:
        raise _refused("it answered with an error instead of a code" + _described(query.get("error_description", "")).rstrip("."))
    if not 0 < len(code) <= _MAX_PARAMETER:
        raise _refused("its answer holds no code")
    return code


def _described(given: str) -> str:
    """The provider's own words, where it has any. Whoever got the state right is the provider or the person, so they are shown as text."""
    text = "".join(character for character in given[:300] if character.isprintable()).strip().rstrip(".")
    return f" It said: {text}." if text else ""


def _is_over(parsed: Parsed, now: float) -> bool:
    """Whether it says itself that its time is over; for a better refusal, so it need not be verified."""
    expires = parsed.claims.get("exp")
    return isinstance(expires, int) and expires <= now


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _mismatch(reason: str) -> ArmError:
    return ArmError("SignInMismatch", f"This is not the end of a sign-in that began in this browser: {reason}. Begin again.", status=401)


def _refused(reason: str) -> ArmError:
    return ArmError("SignInRefused", f"What the provider answered was not accepted: {reason}. Begin again.", status=401)
