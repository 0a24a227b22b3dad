"""A command line that signs in, and a browser beside it, both in this process."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from sqlalchemy import select

from isthmus.store.tables import audit_records, refresh_tokens, sign_in_codes, sign_ins
from tests.api.conftest import Api
from tests.portal.test_frame import Browser, found_token

OURS = "2026-11-01"
REDIRECT = "http://127.0.0.1:49152/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
STATE = "state-of-this-attempt"
ASKED = {
    "client_id": "isthmus-cli",
    "redirect_uri": REDIRECT,
    "response_type": "code",
    "state": STATE,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Line:
    """A command line and a browser beside it."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.browser = Browser(api)

    def authorize(self, **changes: str | None) -> httpx.Response:
        """Open the address that the command line shows."""
        asked = {name: value for name, value in {**ASKED, **changes}.items() if value is not None}
        return self.browser.send("GET", f"/common/oauth2/v2.0/authorize?{httpx.QueryParams(asked)}")

    def consent(self, decision: str = "allow", **changes: str) -> httpx.Response:
        """Ask, and press a button."""
        page = self.browser.send("GET", self.authorize().headers["location"])
        assert page.status_code == 200, page.text
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))
        return self.browser.send("POST", "/portal/consent", data={**fields, "decision": decision, **changes})

    def code(self) -> str:
        """A code that a person has allowed."""
        return answer_of(self.consent())["code"]

    def token(self, **form: str) -> httpx.Response:
        """Ask the token endpoint."""
        return self.api.http.post(self.api.token_url, data={"client_id": "isthmus-cli", **form})

    def redeem(self, code: str, **changes: str) -> httpx.Response:
        """Give a code for tokens."""
        return self.token(
            **{"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER, **changes}
        )

    def refresh(self, token: str) -> httpx.Response:
        """Give a refresh token for tokens."""
        return self.token(grant_type="refresh_token", refresh_token=token)

    def begin_device(self) -> dict[str, Any]:
        """What the command line shows and keeps."""
        answer = self.api.http.post("/common/oauth2/v2.0/devicecode", data={"client_id": "isthmus-cli"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def poll(self, device: dict[str, Any]) -> httpx.Response:
        """Ask whether somebody has allowed it."""
        return self.token(grant_type=DEVICE_GRANT, device_code=device["device_code"])

    def device(self, code: str, decision: str = "") -> httpx.Response:
        """Send the form of the page for codes."""
        token = found_token(self.browser.send("GET", "/portal/device").text)
        return self.browser.send("POST", "/portal/device", data={"_token": token, "code": code, "decision": decision})

    def me(self, token: str) -> dict[str, Any]:
        """Who that is."""
        [me] = self.api.call("GET", "/providers/Isthmus.Identity/me", version=OURS, token=token).json()["value"]
        return dict(me["properties"])

    def records(self, action: str) -> list[Any]:
        """The records of an action."""
        with self.api.app.engine.store.read() as connection:
            return list(connection.execute(select(audit_records).where(audit_records.c.action == action).order_by(audit_records.c.seq)))

    def kept(self) -> str:
        """Everything that the tables of sign-ins hold, as text."""
        with self.api.app.engine.store.read() as connection:
            return str([list(connection.execute(select(table))) for table in (sign_in_codes, refresh_tokens, sign_ins, audit_records)])


def answer_of(response: httpx.Response) -> dict[str, str]:
    """What the browser brings to the loopback."""
    assert response.status_code == 303, response.text
    to = urlsplit(response.headers["location"])
    assert (to.scheme, to.netloc, to.path) == ("http", "127.0.0.1:49152", "/callback"), response.headers["location"]
    return {name: value for name, [value] in parse_qs(to.query, strict_parsing=True).items()}


def refused(response: httpx.Response, error: str, status: int = 400) -> dict[str, Any]:
    """The error in OAuth's form."""
    assert (response.status_code, response.json().get("error")) == (status, error), response.text
    assert response.json()["error_description"]
    assert "access_token" not in response.json()
    return dict(response.json())
