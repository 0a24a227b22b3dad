"""What we are to an OpenID provider: a client with an id, a way to prove that it is the one, and requests to its token endpoint."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlsplit

from isthmus.arm.errors import ArmError, invalid
from isthmus.identity.federation import DEFAULT_AUDIENCE
from isthmus.identity.foreign import Said
from isthmus.identity.issuer import Issuer
from isthmus.identity.people import entra_tenant
from isthmus.keys import compact

ClientAuth = Literal["none", "private_key_jwt", "client_secret"]
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME = 120
_MAX_ANSWER = 131_072
_MAX_SECRET = 4096


class Send(Protocol):
    """One request to a server that is not ours (`isthmus.identity.foreign.send`); OSError when there is no answer in time."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = ...,
    ) -> Said:
        """Status and body, whatever the status."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """An OpenID provider and our registration with it. `name` is the label of its button.

    `auth`: `none` is a public client, `private_key_jwt` signs with our keys for API tokens (RFC 7523), `client_secret` reads `secret_file`
    each time. ArmError `InvalidSignInProvider` when the parts do not fit together.
    """

    issuer: str
    client_id: str
    name: str = ""
    scopes: str = "openid profile email"
    auth: ClientAuth = "none"
    secret_file: Path | None = None

    def __post_init__(self) -> None:
        if not is_endpoint(self.issuer) or "?" in self.issuer:
            raise _unusable("oidc_issuer", f"'{self.issuer}' is not an https URL without user, query and fragment")
        if not self.client_id or not self.client_id.isprintable():
            raise _unusable("oidc_client_id", "the client id under which the provider knows this installation is missing")
        if "openid" not in self.scopes.split():
            raise _unusable("oidc_scopes", "the scopes do not hold 'openid'")
        if (self.auth == "client_secret") != (self.secret_file is not None):
            raise _unusable("oidc_client_secret_file", "it is needed for the client authentication 'client_secret', and only for it")

    @property
    def label(self) -> str:
        """What the button says: the name, or the provider's host."""
        return self.name or str(urlsplit(self.issuer).hostname)


class TokenRequests:
    """Asks the provider's token endpoint (RFC 6749 4.1.3) as the registered client."""

    def __init__(self, provider: Provider, own: Issuer, send: Send, clock: Callable[[], float], identifier: Callable[[], str]) -> None:
        self._provider = provider
        self._own = own
        self._send = send
        self._clock = clock
        self._identifier = identifier

    def redeem(self, configuration: Mapping[str, Any], code: str, verifier: str, redirect_uri: str) -> Mapping[str, Any]:
        """What a code is worth: the JSON of a success. ArmError 401 `SignInRefused` for a refusal, 503 `SignInUnavailable` otherwise.

        A refusal names the provider's error code only: descriptions are for its own pages.
        """
        endpoint = configuration.get("token_endpoint")
        if not isinstance(endpoint, str) or not is_endpoint(endpoint):
            raise unavailable("it names no token endpoint")
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}
        more, headers = self._proof(configuration, endpoint)
        try:
            said = self._send("POST", endpoint, form=form | more, headers=headers | {"Accept": "application/json"}, limit=_MAX_ANSWER)
        except OSError as error:
            raise unavailable("its token endpoint does not answer") from error
        answer = _json(said.body)
        if said.status == 200 and answer is not None:
            return answer
        if said.status in (400, 401, 403) and answer is not None and isinstance(answer.get("error"), str):
            reason = answer["error"]
            known = reason if reason.isascii() and reason.replace("_", "").isalnum() and len(reason) <= 64 else "an unknown error"
            raise _refusal(known)
        raise unavailable(f"its token endpoint answered {said.status}")

    def _proof(self, configuration: Mapping[str, Any], endpoint: str) -> tuple[dict[str, str], dict[str, str]]:
        """Form fields and headers by which the client proves that it is the one."""
        provider = self._provider
        if provider.auth == "none":
            return {"client_id": provider.client_id}, {}
        if provider.auth == "private_key_jwt":
            assertion = {"client_assertion_type": JWT_BEARER, "client_assertion": self._assertion(endpoint)}
            return {"client_id": provider.client_id, **assertion}, {}
        secret = _read_secret(provider.secret_file)
        supported = configuration.get("token_endpoint_auth_methods_supported")
        if isinstance(supported, list) and "client_secret_basic" not in supported and "client_secret_post" in supported:
            return {"client_id": provider.client_id, "client_secret": secret}, {}
        # Basic is what a provider that says nothing understands (OpenID Connect Discovery 3); both halves are encoded (RFC 6749 2.3.1).
        pair = f"{quote(provider.client_id, safe='')}:{quote(secret, safe='')}"
        return {}, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def _assertion(self, endpoint: str) -> str:
        """RFC 7523: the client speaks of itself. Entra takes foreign keys as a federated credential: our issuer speaks of the client."""
        client, now = self._provider.client_id, int(self._clock())
        if entra_tenant(self._provider.issuer):
            return self._own.mint({"aud": DEFAULT_AUDIENCE, "sub": client}, ASSERTION_LIFETIME)
        claims = {"iss": client, "sub": client, "aud": endpoint, "iat": now, "nbf": now, "exp": now + ASSERTION_LIFETIME}
        return compact(self._own.ring.signer(), {**claims, "jti": self._identifier()})


def is_endpoint(address: str) -> bool:
    """Whether this is an https URL to send something to: a host, no user, no fragment, nothing invisible."""
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and "#" not in address and address.isprintable()
    except ValueError:
        return False


def unavailable(reason: str) -> ArmError:
    """503 `SignInUnavailable`: the provider does not do its part; nobody is refused."""
    message = f"The sign-in provider cannot be used right now: {reason}. Try again, or sign in with a link ('isthmus login --link')."
    return ArmError("SignInUnavailable", message, status=503, retry_after=10)


def _refusal(reason: str) -> ArmError:
    message = (
        f"The provider did not accept the sign-in ({reason}). Begin again; if that repeats, an owner checks client id and client proof."
    )
    return ArmError("SignInRefused", message, status=401)


def _unusable(setting: str, reason: str) -> ArmError:
    return invalid(f"Sign-in by OpenID Connect is not configured usably: {reason}.", target=setting, code="InvalidSignInProvider")


def _read_secret(file: Path | None) -> str:
    try:
        secret = file.read_text(encoding="utf-8").strip() if file is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise _no_secret(file) from error
    if not 0 < len(secret) <= _MAX_SECRET or not secret.isprintable():
        raise _no_secret(file)
    return secret


def _no_secret(file: Path | None) -> ArmError:
    message = f"The client secret in '{file}' cannot be read, or is none: it is one line of text. Correct the file; no restart is needed."
    return ArmError("UnreadableClientSecret", message, status=500, target="oidc_client_secret_file")


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
