"""How a client gets its token: by the key of the data folder, by a client's secret or federated token, or by a sign-in of a person.

Tokens of the first two stay in memory. Those of a sign-in are kept in a file that only its owner can read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from isthmus.arm.errors import ArmError
from isthmus.client.calls import error_of, http_client, unreachable
from isthmus.client.kept import Kept, KeptTokens
from isthmus.client.place import Place
from isthmus.keys import OPERATOR, operator_assertion

CLIENT = "isthmus-cli"
_PATH, _REVOKE = "/common/oauth2/v2.0/token", "/common/oauth2/v2.0/revoke"
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_AHEAD = 300.0
_HOUR = 3600.0
_SLACK = 30.0


@dataclass(kw_only=True)
class TokenExchange:
    """A token source over the token endpoint: `proof` gives what proves the client each time a new token is needed."""

    place: Place
    proof: Callable[[], Mapping[str, str]] = field(repr=False)
    clock: Callable[[], float]
    transport: httpx.BaseTransport | None = field(default=None, repr=False)
    _token: str = field(default="", repr=False)
    _until: float = 0.0

    def __call__(self) -> str:
        """A token that is valid for some minutes at least."""
        if self.clock() >= self._until - _AHEAD:
            form = {"grant_type": "client_credentials", "scope": f"{self.place.url}/.default", **self.proof()}
            answer = sent(self.place, _PATH, transport=self.transport, data=form)
            self._token = str(answer["access_token"])
            self._until = self.clock() + float(answer["expires_in"])
        return self._token


@dataclass(kw_only=True)
class KeptSignIn:
    """A token source over a kept sign-in: it is refreshed when its token is near its end, by one process at a time.

    ArmError `SignInEnded` when the sign-in is over or was ended at the server.
    """

    place: Place
    kept: Kept
    clock: Callable[[], float]
    transport: httpx.BaseTransport | None = field(default=None, repr=False)
    _found: KeptTokens | None = field(default=None, repr=False)

    def __call__(self) -> str:
        """A token that is valid for some time at least."""
        if self._found is None or self.clock() >= self._found.until - _AHEAD:
            self._found = self._renewed()
        return self._found.token

    def _renewed(self) -> KeptTokens:
        with self.kept.locked():
            # Another process may have been here in the meantime.
            found, now = self.kept.read(), self.clock()
            if found is not None and found.refresh and now >= found.until - _AHEAD:
                found = self._refreshed(found, now)
            if found is None or found.until - _SLACK <= now:
                raise ArmError("SignInEnded", f"Your sign-in to {self.place.url} has ended. Run 'isthmus login'.", status=401)
            return found

    def _refreshed(self, found: KeptTokens, now: float) -> KeptTokens:
        form = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": found.refresh}
        try:
            answer = sent(self.place, _PATH, transport=self.transport, data=form)
        except ArmError as error:
            if error.code == "InvalidGrant":
                found = replace(found, refresh="", refresh_until=0.0)
                self.kept.write(found)
            elif found.until - _SLACK <= now:
                raise
            return found
        return keep(self.kept, answer, self.clock, began=found.began)


def keep(kept: Kept, answer: Mapping[str, Any], clock: Callable[[], float], *, began: float | None = None) -> KeptTokens:
    """Keep what the token endpoint answered a person who has signed in now, or whose sign-in `began` earlier."""
    now = clock()
    tokens = KeptTokens(
        token=str(answer["access_token"]),
        until=now + min(float(answer["expires_in"]), _HOUR),
        refresh=str(answer.get("refresh_token") or ""),
        refresh_until=now + float(answer.get("refresh_token_expires_in") or 0),
        began=now if began is None else began,
    )
    kept.write(tokens)
    return tokens


def choose_token(
    place: Place, environ: Mapping[str, str], clock: Callable[[], float], *, transport: httpx.BaseTransport | None = None
) -> Callable[[], str]:
    """The token source for a server: the client of the environment, else a sign-in that still holds, else the operator's key.

    ArmError `NotSignedIn` when none of them is there. Environment: ISTHMUS_CLIENT_ID with ISTHMUS_CLIENT_SECRET or
    ISTHMUS_FEDERATED_TOKEN_FILE.
    """
    client = environ.get("ISTHMUS_CLIENT_ID", "")
    if client:
        return TokenExchange(place=place, proof=_environment_proof(client, environ), clock=clock, transport=transport)
    if kept_until(place, environ, clock):
        return KeptSignIn(place=place, kept=Kept(environ, place.url), clock=clock, transport=transport)
    if place.keys is not None and place.keys.is_dir():
        return operator_token(place, clock, transport=transport)
    raise ArmError(
        "NotSignedIn",
        f"You are not signed in to {place.url}. Run 'isthmus login', or 'isthmus login --device-code' where there is no browser, "
        "or set ISTHMUS_CLIENT_ID with ISTHMUS_CLIENT_SECRET or ISTHMUS_FEDERATED_TOKEN_FILE.",
        status=401,
        target=place.url,
    )


def operator_token(place: Place, clock: Callable[[], float], *, transport: httpx.BaseTransport | None = None) -> Callable[[], str]:
    """The token source of the owner of the data folder, whoever is signed in besides. ArmError `NotTheOwner` where that folder is not."""
    if place.keys is None or not place.keys.is_dir():
        told = (
            f"This is for the owner of the data folder of {place.url}. Run it on that computer, with --data where the folder is elsewhere."
        )
        raise ArmError("NotTheOwner", told, status=403, target=place.url)
    return TokenExchange(place=place, proof=_operator_proof(place, place.keys, clock), clock=clock, transport=transport)


def sign_in(
    place: Place, code: str, environ: Mapping[str, str], clock: Callable[[], float], *, transport: httpx.BaseTransport | None = None
) -> float:
    """Use up a sign-in link and keep its token for at most an hour; answers until when (epoch seconds)."""
    answer, kept = sent(place, "/sign-in", transport=transport, json={"code": code}), Kept(environ, place.url)
    with kept.locked():
        return keep(kept, answer, clock).until


def sign_out(place: Place, environ: Mapping[str, str], *, transport: httpx.BaseTransport | None = None) -> bool:
    """Forget a sign-in and end it at the server; False when there was none. ArmError when the server cannot be told: it is forgotten."""
    kept = Kept(environ, place.url)
    with kept.locked():
        found, was_there = kept.read(), kept.remove()
    if found is not None and found.refresh:
        sent(place, _REVOKE, transport=transport, data={"client_id": CLIENT, "token": found.refresh})
    return was_there


def kept_until(place: Place, environ: Mapping[str, str], clock: Callable[[], float]) -> float:
    """Until when a kept sign-in holds (epoch seconds), 0 when there is none or it is over."""
    found = Kept(environ, place.url).read()
    until = max(found.until, found.refresh_until) if found else 0.0
    return until if until - _SLACK > clock() else 0.0


def kept_since(place: Place, environ: Mapping[str, str]) -> float:
    """When the kept sign-in began (epoch seconds), 0 when there is none; whoever signs in anew changes it."""
    found = Kept(environ, place.url).read()
    return found.began if found else 0.0


def link_parts(link: str) -> tuple[str, str]:
    """Server URL and code of a sign-in link; ArmError `InvalidSignInLink` for something else."""
    found = urlsplit(link.strip())
    if found.scheme != "https" or not found.netloc or not found.path.endswith("/sign-in") or not found.fragment:
        raise ArmError(
            "InvalidSignInLink", "This is not a sign-in link. It looks like https://…/sign-in#… and is used whole.", target="link"
        )
    return f"https://{found.netloc}{found.path.removesuffix('/sign-in')}", found.fragment


def _operator_proof(place: Place, keys: Path, clock: Callable[[], float]) -> Callable[[], Mapping[str, str]]:
    def proof() -> Mapping[str, str]:
        assertion = operator_assertion(keys, audience=f"{place.url}{_PATH}", clock=clock)
        return {"client_id": OPERATOR, "client_assertion_type": _JWT_BEARER, "client_assertion": assertion}

    return proof


def _environment_proof(client: str, environ: Mapping[str, str]) -> Callable[[], Mapping[str, str]]:
    secret, file = environ.get("ISTHMUS_CLIENT_SECRET", ""), environ.get("ISTHMUS_FEDERATED_TOKEN_FILE", "")
    if bool(secret) == bool(file):
        raise ArmError(
            "ClientNotConfigured",
            "ISTHMUS_CLIENT_ID is set; set exactly one of ISTHMUS_CLIENT_SECRET and ISTHMUS_FEDERATED_TOKEN_FILE with it.",
            target="ISTHMUS_CLIENT_ID",
        )

    def proof() -> Mapping[str, str]:
        if secret:
            return {"client_id": client, "client_secret": secret}
        try:
            token = Path(file).read_text().strip()
        except OSError as error:
            raise ArmError(
                "UnreadableToken", f"ISTHMUS_FEDERATED_TOKEN_FILE '{file}' cannot be read: {error.strerror}.", target=file
            ) from error
        return {"client_id": client, "client_assertion_type": _JWT_BEARER, "client_assertion": token}

    return proof


def sent(
    place: Place,
    path: str,
    *,
    transport: httpx.BaseTransport | None = None,
    data: Mapping[str, str] | None = None,
    json: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What an endpoint of sign-in answers to a form or a document; ArmError with its reason otherwise."""
    with http_client(place.url, transport=transport, verify=place.ca) as http:
        try:
            response = http.post(path, data=data, json=json)
        except httpx.TransportError as error:
            raise unreachable(place.url, error) from error
    if response.status_code != 200:
        raise error_of(response)
    found: dict[str, Any] = response.json()
    return found
