"""How a client gets its token: by the key of the data folder, by a client's secret or federated token, or by a sign-in link.

Tokens of the first two stay in memory. The one of a sign-in link is kept for its hour in a file that only its owner can read.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from isthmus.arm.errors import ArmError
from isthmus.client.calls import error_of, http_client, unreachable
from isthmus.client.place import Place
from isthmus.keys import OPERATOR, operator_assertion

_PATH = "/common/oauth2/v2.0/token"
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_AHEAD = 300.0
_HOUR = 3600.0


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
            answer = _sent(self.place, _PATH, transport=self.transport, data=form)
            self._token = str(answer["access_token"])
            self._until = self.clock() + float(answer["expires_in"])
        return self._token


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
    kept = _Kept(environ, place.url)
    token = kept.read(clock)
    if token:
        return lambda: token
    if place.keys is not None and place.keys.is_dir():
        return TokenExchange(place=place, proof=_operator_proof(place, place.keys, clock), clock=clock, transport=transport)
    raise ArmError(
        "NotSignedIn",
        f"You are not signed in to {place.url}. Ask its operator for a link ('isthmus login --link' there) and run 'isthmus login', "
        "or set ISTHMUS_CLIENT_ID with ISTHMUS_CLIENT_SECRET or ISTHMUS_FEDERATED_TOKEN_FILE.",
        status=401,
        target=place.url,
    )


def sign_in(
    place: Place, code: str, environ: Mapping[str, str], clock: Callable[[], float], *, transport: httpx.BaseTransport | None = None
) -> float:
    """Use up a sign-in link and keep its token for at most an hour; answers until when (epoch seconds)."""
    answer = _sent(place, "/sign-in", transport=transport, json={"code": code})
    until = clock() + min(float(answer["expires_in"]), _HOUR)
    _Kept(environ, place.url).write(str(answer["access_token"]), until)
    return until


def forget_token(place_url: str, environ: Mapping[str, str]) -> bool:
    """Remove the token of a sign-in; False when there was none."""
    return _Kept(environ, place_url).remove()


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


def _sent(
    place: Place,
    path: str,
    *,
    transport: httpx.BaseTransport | None = None,
    data: Mapping[str, str] | None = None,
    json: Mapping[str, str] | None = None,
) -> dict[str, str]:
    with http_client(place.url, transport=transport, verify=place.ca) as http:
        try:
            response = http.post(path, data=data, json=json)
        except httpx.TransportError as error:
            raise unreachable(place.url, error) from error
    if response.status_code != 200:
        raise error_of(response)
    found: dict[str, str] = response.json()
    return found


class _Kept:
    """The token file of one server, `$XDG_CACHE_HOME/isthmus/<hash of its URL>.json`, mode 0600."""

    def __init__(self, environ: Mapping[str, str], url: str) -> None:
        home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".cache")
        self._path = Path(home) / "isthmus" / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"

    def read(self, clock: Callable[[], float]) -> str:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return ""
        with os.fdopen(descriptor) as file:
            seen = os.fstat(descriptor)
            if stat.S_IMODE(seen.st_mode) & 0o077 or seen.st_uid != os.geteuid():
                return ""
            try:
                found = json.load(file)
                return str(found["token"]) if float(found["until"]) - 30 > clock() else ""
            except (ValueError, KeyError, TypeError):
                return ""

    def write(self, token: str, until: float) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._path.with_suffix(f".{os.getpid()}.partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"token": token, "until": until}, file)
        partial.replace(self._path)

    def remove(self) -> bool:
        present = self._path.exists()
        self._path.unlink(missing_ok=True)
        return present
