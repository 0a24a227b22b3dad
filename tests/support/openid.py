"""A third-party OpenID provider on loopback: the npm package oidc-provider behind TLS of a throw-away CA, and a browser to visit it."""

from __future__ import annotations

import base64
import hashlib
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from isthmus.keys import LocalAuthority
from tests.support.node import MODULES, NODE, PROGRAMS, running_program

PROGRAM = PROGRAMS / "openid.mjs"
_SECONDS = 30.0


class OpenIdProvider:
    """A running provider. `issuer` is its URL, `ca` the file to trust it by."""

    def __init__(self, issuer: str, ca: Path) -> None:
        self.issuer = issuer
        self.ca = ca

    def set(
        self,
        *,
        clients: Sequence[Mapping[str, Any]] | None = None,
        users: Mapping[str, Mapping[str, Any]] | None = None,
        thin: bool | None = None,
        named: str | None = None,
    ) -> None:
        """Replace its clients or its people (subject to claims); `thin` ID tokens name nobody, the UserInfo endpoint does; `named` is the
        issuer that tokens name instead of its address."""
        wanted = {"clients": clients, "users": users, "isThin": thin, "named": named}
        self._pull("set", {name: value for name, value in wanted.items() if value is not None})

    def rotate(self, *, keep: bool = False) -> None:
        """Sign with a new key, and forget the old one or keep it published."""
        self._pull("rotate", {"keep": keep})

    def sign_in(self, url: str, username: str) -> dict[str, str]:
        """Go to an authorization URL, say who one is, and follow until it leads elsewhere: the parameters that it leads there with."""
        with self._browser() as browser:
            answer = browser.get(url)
            for _ in range(8):
                assert answer.is_redirect, f"{answer.request.url} answered {answer.status_code}: {answer.text[-500:]}"
                there = str(answer.next_request.url) if answer.next_request else ""
                if not there.startswith(self.issuer):
                    return dict(parse_qsl(urlsplit(there).query, strict_parsing=True))
                is_form = urlsplit(there).path.startswith("/interaction/")
                answer = browser.post(there, data={"username": username}) if is_form else browser.get(there)
        raise AssertionError("the provider leads in circles")

    def fetch(self, path: str) -> dict[str, Any]:
        """A document of it."""
        with self._browser() as browser:
            found: dict[str, Any] = browser.get(f"{self.issuer}{path}").raise_for_status().json()
            return found

    def id_token(self, client_id: str, username: str, redirect: str = "https://app.test/callback") -> str:
        """Sign somebody in to a public client by code and PKCE; the ID token."""
        verifier = "v" * 64
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {"client_id": client_id, "response_type": "code", "scope": "openid", "redirect_uri": redirect, "state": "s"}
        asked |= {"nonce": "n", "code_challenge": challenge, "code_challenge_method": "S256"}
        given = self.sign_in(f"{self.issuer}/auth?{urlencode(asked)}", username)
        form = {"grant_type": "authorization_code", "client_id": client_id, "redirect_uri": redirect}
        form |= {"code": given["code"], "code_verifier": verifier}
        with self._browser() as browser:
            answer = browser.post(f"{self.issuer}/token", data=form)
            assert answer.status_code == 200, answer.text
            return str(answer.json()["id_token"])

    def _pull(self, lever: str, body: Mapping[str, Any]) -> None:
        with self._browser() as browser:
            browser.post(f"{self.issuer}/_test/{lever}", json=body).raise_for_status()

    def _browser(self) -> httpx.Client:
        return httpx.Client(verify=ssl.create_default_context(cafile=self.ca), follow_redirects=False, trust_env=False, timeout=_SECONDS)


@contextmanager
def running_provider(folder: Path) -> Iterator[OpenIdProvider]:
    """Start a provider with a CA in `folder` and stop it at the end. AssertionError says what is missing; it is never left out."""
    authority = LocalAuthority(folder, clock=time.time)
    program = running_program(
        PROGRAM,
        authority.server_file(),
        package="oidc-provider",
        folder=folder,
        what="the OpenID provider",
        node=NODE,
        modules=MODULES,
    )
    with program as said:
        yield OpenIdProvider(said["issuer"], authority.ca_path)
