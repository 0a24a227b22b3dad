"""OIDC issuers as STS reaches them: discovery and key set over verified TLS, at an address that the lab was told.

The lab never leaves loopback: an issuer that it was not told about cannot be reached, as AWS says of one that is down.
"""

import http.client
import ipaddress
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_LARGEST = 256 * 1024
_FRESH_SECONDS = 300.0
_REFETCH_SECONDS = 1.0


class IssuerError(Exception):
    """The issuer could not be reached, was not trusted or did not answer as OpenID Connect Discovery asks."""


def _on_loopback(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not ipaddress.ip_address(host.strip("[]")).is_loopback or not port.isdigit():
        raise ValueError("connect must be a loopback address and a port, as 127.0.0.1:8443")
    return address


def _loads_as_trust(pem: str) -> str:
    try:
        ssl.create_default_context(cadata=pem)
    except ssl.SSLError as error:
        raise ValueError(f"ca is no PEM certificate: {error}") from error
    return pem


class Issuer(BaseModel):
    """Where a host name listens and which CA vouches for it: `{"host", "connect": "127.0.0.1:8443", "ca": PEM}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(min_length=1, max_length=253)]
    connect: Annotated[str, AfterValidator(_on_loopback)]
    ca: Annotated[str, AfterValidator(_loads_as_trust)]


class Issuers:
    """The issuers that the lab was told of, and their key sets. Thread-safe; blocking, so call it off the event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, Issuer] = {}
        self._keys: dict[str, tuple[float, dict[str, Any]]] = {}

    def add(self, issuer: Issuer) -> None:
        """Tell where a host listens; replaces what was known of it."""
        with self._lock:
            self._known[issuer.host.lower()] = issuer
            self._keys.clear()

    def hosts(self) -> list[str]:
        """Hosts that can be reached."""
        return sorted(self._known)

    def keys(self, url: str, *, missing: str | None = None) -> dict[str, Any]:
        """The key set (RFC 7517) of an issuer URL. With `missing`, a kid that the caller does not find, the set is fetched again, at
        most once a second. Raises IssuerError."""
        with self._lock:
            held = self._keys.get(url)
        age = self._clock() - held[0] if held else _FRESH_SECONDS
        if held and age < (_FRESH_SECONDS if missing is None else _REFETCH_SECONDS):
            return held[1]
        document = self._fetch(url.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != url:
            raise IssuerError(f"The discovery document names the issuer {document.get('issuer')!r}, not {url!r}")
        keys = self._fetch(str(document.get("jwks_uri", "")))
        if not isinstance(keys.get("keys"), list):
            raise IssuerError("The key set has no list of keys")
        with self._lock:
            self._keys[url] = (self._clock(), keys)
        return keys

    def _fetch(self, url: str) -> dict[str, Any]:
        parts = urlsplit(url)
        known = self._known.get((parts.hostname or "").lower())
        if parts.scheme != "https" or known is None:
            raise IssuerError(f"Couldn't retrieve {url or 'a URL that is missing'}: the lab was not told where this host listens")
        try:
            return _get(parts.hostname or "", parts.path or "/", known)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise IssuerError(f"Couldn't retrieve {url}: {error}") from error


def _get(host: str, path: str, issuer: Issuer) -> dict[str, Any]:
    address, _, port = issuer.connect.rpartition(":")
    context = ssl.create_default_context(cadata=issuer.ca)
    with (
        socket.create_connection((address.strip("[]"), int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        connection = http.client.HTTPConnection(host, timeout=5)
        connection.sock = secured
        connection.request("GET", path, headers={"Accept": "application/json", "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(_LARGEST + 1)
    if answer.status != 200 or len(body) > _LARGEST:
        raise ValueError(f"status {answer.status}, {len(body)} bytes")
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


_PROVIDER_URL = re.compile(r"https://[A-Za-z0-9._~-]+(/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?")


def provider_url_problem(url: str) -> str | None:
    """Why IAM refuses a provider URL: https, no port, no query or fragment, at most 255 characters. None when it is fine."""
    if not url.startswith("https://"):
        return "Invalid Open ID Connect Provider URL: it must begin with https://"
    if len(url) > 255:
        return "Invalid Open ID Connect Provider URL: it must have at most 255 characters"
    if not _PROVIDER_URL.fullmatch(url):
        return "Invalid Open ID Connect Provider URL: it must have no port, query or fragment"
    return None
