"""What the command line asks for, read strictly: a public client that listens on loopback (RFC 8252) and proves itself by PKCE (RFC 7636).

Refusals come in two kinds. Until client and redirect address are known to be right, they are shown and lead nowhere; after that, the client
is told.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import urlencode

from isthmus.identity import oauth
from isthmus.identity.oauth import OAuthError, bad_request

CLIENT = "isthmus-cli"
_LOOPBACK = re.compile(r"http://127\.0\.0\.1:([1-9][0-9]{0,4})/callback")
# What travels in addresses of ours as it is: nothing in it needs to be escaped.
_STATE = re.compile(r"[A-Za-z0-9._~-]{8,256}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Authorization:
    """A request for a code that may be put before a person."""

    redirect_uri: str
    state: str
    challenge: str

    @property
    def query(self) -> str:
        """The same as a query, which reads back to the same."""
        return urlencode(
            {
                "client_id": CLIENT,
                "redirect_uri": self.redirect_uri,
                "response_type": "code",
                "state": self.state,
                "code_challenge": self.challenge,
                "code_challenge_method": "S256",
            }
        )


def once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Parameters by their names; OAuthError invalid_request when one is given twice (RFC 6749 3.1)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise bad_request("A parameter is given twice.")
    return found


def require_client(parameters: Mapping[str, str]) -> None:
    """OAuthError unauthorized_client unless the command line asks."""
    if parameters.get("client_id") != CLIENT:
        message = f"Codes are given to the client '{CLIENT}' only. Other programs sign in as clients of their own (client_credentials)."
        raise OAuthError("unauthorized_client", message, code=oauth.UNKNOWN_CLIENT)


def redirect_of(parameters: Mapping[str, str]) -> str:
    """Where the answer goes; OAuthError when the client is not ours or the address is not loopback. Nobody may be sent there then."""
    require_client(parameters)
    address = parameters.get("redirect_uri", "")
    match = _LOOPBACK.fullmatch(address)
    if match is None or int(match[1]) > 65_535:
        message = "The redirect address must be 'http://127.0.0.1:<port>/callback', where the command line listens."
        raise bad_request(message, oauth.UNKNOWN_REDIRECT)
    return address


def read_authorization(parameters: Mapping[str, str]) -> Authorization:
    """The request; OAuthError that the client may be told at its redirect address, which was looked at before."""
    if parameters.get("response_type") != "code":
        message = "The response type must be 'code'."
        raise OAuthError("unsupported_response_type", message, code=oauth.BAD_REQUEST)
    if parameters.get("response_mode", "query") != "query":
        raise bad_request("The response mode must be 'query'.")
    if not _STATE.fullmatch(parameters.get("state", "")):
        raise bad_request("The parameter 'state' must have 8 to 256 letters, digits or any of '-._~'.", oauth.MISSING_PARAMETER)
    challenge = parameters.get("code_challenge", "")
    if parameters.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise bad_request("PKCE is needed: a 'code_challenge' of 43 characters with the method 'S256'.", oauth.MISSING_PARAMETER)
    return Authorization(redirect_uri=parameters["redirect_uri"], state=parameters["state"], challenge=challenge)


def answer_url(redirect_uri: str, issuer: str, **answer: str) -> str:
    """Where the browser goes with an answer, which names us (RFC 9207). Empty values are left out."""
    return f"{redirect_uri}?{urlencode({name: value for name, value in {**answer, 'iss': issuer}.items() if value})}"


def answers(verifier: str, challenge: str) -> bool:
    """Whether a verifier is the one behind a challenge (RFC 7636 4.6)."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return compare_digest(digest, challenge)
