"""A third-party SAML identity provider on loopback: the npm package samlp."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import httpx

from tests.support.node import PROGRAMS, running_program

PROGRAM = PROGRAMS / "saml.cjs"
Users = Mapping[str, Mapping[str, str | Sequence[str]]]
"""Attributes by name of each person."""


class SamlProvider:
    """A running provider. `url` is its address; people sign in by their name alone."""

    def __init__(self, url: str) -> None:
        self.url = url

    def metadata(self) -> str:
        """Its metadata, with the certificate that it signs with now."""
        return self._get("/metadata").raise_for_status().text

    def sign_in(self, user: str) -> str:
        """The base64 response that a browser would post to the service."""
        page = self._get(f"/saml2?user={user}").raise_for_status().text
        found = re.search(r'name="SAMLResponse"\s+value="([^"]+)"', page)
        assert found, page[:500]
        return unescape(found[1])

    def refuses(self, user: str) -> bool:
        """Whether the person is not let in."""
        return self._get(f"/saml2?user={user}").status_code == 401

    def set(self, users: Users) -> None:
        """Replace its people."""
        self._post("/_test/set", {"users": users})

    def rotate(self) -> None:
        """Sign with the next key."""
        self._post("/_test/rotate", {})

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, trust_env=False, timeout=30)

    def _post(self, path: str, body: object) -> None:
        httpx.post(self.url + path, json=body, trust_env=False, timeout=30).raise_for_status()


@contextmanager
def running_saml_provider(
    folder: Path, *, issuer: str, recipient: str, audience: str, keys: Sequence[tuple[str, str]], users: Users
) -> Iterator[SamlProvider]:
    """Start a provider; `keys` are pairs of private key and certificate in PEM, the first signs. AssertionError when it cannot start."""
    settings = folder / "saml.json"
    pairs = [{"key": key, "cert": certificate} for key, certificate in keys]
    wanted = {"issuer": issuer, "recipient": recipient, "audience": audience, "keys": pairs, "users": users}
    settings.write_text(json.dumps(wanted))
    with running_program(PROGRAM, settings, package="samlp", folder=folder, what="the SAML provider") as said:
        yield SamlProvider(said["url"])
