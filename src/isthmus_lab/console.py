"""A double of AWS's console sign-in: session credentials become a sign-in token, the token a signed-in browser.

Ours throughout and not validated against AWS. The page behind it says who is signed in and makes one signed call (EC2 DescribeRegions)
through the lab for each request, so a session that was revoked shows as denied. As in AWS the console works with a key of its own that
shares issue time, tags, source identity and policies with the session that it came from.
Source: IAM User Guide, "Enable custom identity broker access to the AWS console".
"""

import html
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from isthmus_lab.adapter.requests import Receive, Scope, Send
from isthmus_lab.adapter.sessions import Sessions
from isthmus_lab.asgi import Request, json_answer
from isthmus_lab.call import Call, Notes
from isthmus_lab.world import Response, RoleCredentials

FEDERATION, PAGE = "/federation", "/_console"
"""Paths: the one that AWS has, and the page that stands for the console (no bucket can have its name)."""

TOKEN_SECONDS = 900.0
_COOKIE = "lab-console"
_REGION = "us-east-1"
_CALL = b"Action=DescribeRegions&Version=2016-11-15"
_CONSOLE_HOSTS = re.compile(r"([a-z0-9-]+\.)*console\.aws\.amazon\.com")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")

App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Token:
    """`key` is the session that asked for it; `until` when it can no longer be used; `ends` when the console's session ends."""

    key: str
    until: float
    ends: float


class _RefusedError(Exception):
    """Answered with HTTP 400 and the reason."""


class Console:
    """Sign-in tokens and signed-in browsers, in memory."""

    def __init__(self, sessions: Sessions, clock: Callable[[], float]) -> None:
        self._sessions, self._clock = sessions, clock
        self._tokens: dict[str, _Token] = {}
        self._browsers: dict[str, RoleCredentials] = {}

    def clear(self) -> None:
        """Forget tokens and browsers."""
        self._tokens.clear()
        self._browsers.clear()

    def is_for(self, request: Request) -> bool:
        """Whether a request is one of the console's; `/federation` may be a bucket too."""
        return request.path == PAGE or (request.path == FEDERATION and _one(request, "Action") in ("getSigninToken", "login"))

    def sign_in(self, request: Request) -> tuple[Response, Call | None]:
        """Answer `/federation`, and the call that the trail records of it."""
        try:
            return self._token(request) if _one(request, "Action") == "getSigninToken" else self._login(request)
        except _RefusedError as error:
            return json_answer(400, {"error": str(error)}), None

    def _token(self, request: Request) -> tuple[Response, Call]:
        try:
            session = json.loads(_one(request, "Session"))
            key, secret, token = (str(session[name]) for name in ("sessionId", "sessionKey", "sessionToken"))
        except (ValueError, KeyError, TypeError) as error:
            raise _RefusedError("Session must be JSON with sessionId, sessionKey and sessionToken.") from error
        real, ends = self._sessions.secrets_of(key), self._sessions.expiry(key)
        if real != (secret, token) or ends is None:
            raise _RefusedError("The session's credentials are not valid.")
        now = self._clock()
        if duration := _one(request, "SessionDuration"):
            if not duration.isdecimal() or not 900 <= int(duration) <= 43_200 or self._sessions.origin(key).is_chained:
                raise _RefusedError("SessionDuration must be 900 to 43200 seconds, and cannot be set for a chained session.")
            ends = now + int(duration)
        word = secrets.token_urlsafe(64)
        self._tokens = {name: one for name, one in self._tokens.items() if one.until > now}
        self._tokens[word] = _Token(key=key, until=min(now + TOKEN_SECONDS, self._sessions.expiry(key) or 0), ends=ends)
        return json_answer(200, {"SigninToken": word}), _call("GetSigninToken", key)

    def _login(self, request: Request) -> tuple[Response, Call]:
        token, now = self._tokens.get(_one(request, "SigninToken")), self._clock()
        there = urlsplit(_one(request, "Destination"))
        if there.scheme != "https" or not _CONSOLE_HOSTS.fullmatch(there.hostname or ""):
            raise _RefusedError("Destination must be a page of the AWS console.")
        if token is None or token.until <= now:
            raise _RefusedError("The sign-in token is not valid or has expired.")
        browser = secrets.token_urlsafe(32)
        credentials = self._sessions.copy(token.key, token.ends)
        if credentials is None:
            raise _RefusedError("The session of the sign-in token is over.")
        self._browsers[browser] = credentials
        cookie = f"{_COOKIE}={browser}; Path={PAGE}; HttpOnly; SameSite=Lax; Max-Age={int(token.ends - now)}"
        location = f"{PAGE}?destination={quote(there.geturl(), safe='')}"
        return (302, {"location": location, "set-cookie": cookie}, b""), _call("ConsoleLogin", credentials.access_key)

    async def page(self, request: Request, app: App) -> Response:
        """The page of a signed-in browser: who it is, and whether a call of it is allowed now."""
        try:
            found = SimpleCookie(request.headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            found = None
        credentials = self._browsers.get(found.value) if found is not None else None
        principal = self._sessions.principal(credentials.access_key, "") if credentials is not None else None
        if credentials is None or principal is None or credentials.expires_at <= self._clock():
            return _shown(request, 401, {"signedIn": None, "message": "Nobody is signed in: the session is over or never was."})
        status, message = await _describe_regions(credentials, app)
        told = {
            "signedIn": principal.arn,
            "sourceIdentity": principal.source_identity or None,
            "call": "ec2:DescribeRegions",
            "allowed": status == 200,
            "message": message,
            "destination": _one(request, "destination"),
        }
        return _shown(request, 200 if status == 200 else 403, told)


def _call(action: str, key: str) -> Call:
    """For the trail: the request's own parameters hold secrets, so none are shown."""
    extra = {"MobileVersion": "No", "MFAUsed": "No"} if action == "ConsoleLogin" else {}
    notes = Notes(parameters={}, elements={action: "Success"}, extra=extra)
    return Call(service="signin", action=action, region=_REGION, key=key, notes=notes)


def _one(request: Request, name: str) -> str:
    """A parameter of the query, or of a form that is sent."""
    is_form = request.method == "POST" and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    form = parse_qs(request.body.decode("latin-1"), keep_blank_values=True) if is_form and request.path == FEDERATION else {}
    return (request.query.get(name) or form.get(name) or [""])[0]


async def _describe_regions(credentials: RoleCredentials, app: App) -> tuple[int, str]:
    """Status and error message of a signed call through the lab."""
    form = {"content-type": "application/x-www-form-urlencoded", "user-agent": "console.amazonaws.com"}
    request = AWSRequest("POST", "http://127.0.0.1/", headers=form, data=_CALL)
    SigV4Auth(Credentials(credentials.access_key, credentials.secret_key, credentials.token), "ec2", _REGION).add_auth(request)
    headers = [(b"host", b"127.0.0.1"), *((name.lower().encode(), value.encode()) for name, value in request.headers.items())]
    scope: Scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers, "client": ("127.0.0.1", 0)}
    status, parts = 0, []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": _CALL, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    await app(scope, receive, send)
    body = b"".join(parts)
    said = _MESSAGE.search(body)
    return status, html.unescape(said[1].decode("utf-8", "replace")) if said else ""


def _shown(request: Request, status: int, told: Mapping[str, object]) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        return json_answer(status, told)
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>" for name, value in told.items() if value is not None)
    title = "The lab's double of the AWS console"
    text = f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1><dl>{rows}</dl></html>'
    return status, {"content-type": "text/html; charset=utf-8", "cache-control": "no-store"}, text.encode()
