"""Where Graph and the tenant's token endpoint are: others in sovereign clouds, loopback in tests."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """`url` and `login_url` are origins without a path; `client` is the application that we are in `tenant`.

    ValueError unless both are https: what is sent there are tokens. Loopback may be http.
    """

    url: str = "https://graph.microsoft.com"
    login_url: str = "https://login.microsoftonline.com"
    tenant: str
    client: str

    def __post_init__(self) -> None:
        for address in (self.url, self.login_url):
            parts = urlsplit(address)
            is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
            if not is_safe or not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
                raise ValueError(f"'{address[:200]}' is not the origin of an https server")

    @property
    def token_url(self) -> str:
        """The tenant's token endpoint."""
        return f"{self.login_url}/{self.tenant}/oauth2/v2.0/token"

    @property
    def issuer(self) -> str:
        """What the tenant's ID tokens name as their issuer: of whom it speaks, Graph can be asked."""
        return f"{self.login_url}/{self.tenant}/v2.0"

    @property
    def scope(self) -> str:
        """What a token for Graph is asked for: whatever the application was given there."""
        return f"{self.url}/.default"

    @property
    def is_here(self) -> bool:
        """Whether Graph is played on this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")

    def is_ours(self, link: str) -> bool:
        """Whether a link leads to this very Graph: no other host is given our token."""
        try:
            parts, mine = urlsplit(link), urlsplit(self.url)
            return (parts.scheme, parts.netloc.lower()) == (mine.scheme, mine.netloc.lower())
        except ValueError:
            return False


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine by its name or address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
