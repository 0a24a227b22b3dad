"""What the world sees of an issuer: its documents fetched from under its URL, as a relying party does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from isthmus.keys import KeyRecord

Fetch = Callable[[str], bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Keys that are published, as JWKs, or why none could be seen."""

    keys: tuple[Mapping[str, Any], ...] = ()
    problem: str = ""

    def shows(self, record: KeyRecord) -> bool:
        """Whether this very key is among them, not only its id."""
        return any(all(key.get(part) == record.public_jwk[part] for part in ("kid", "kty", "n", "e")) for key in self.keys)


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """The documents of the issuer `url`. `fetch(url)` returns a body or raises OSError; it verifies TLS and follows no redirect.

    `address` is where it looks instead of the name's own address; empty in production.
    """

    url: str
    fetch: Fetch
    address: str = ""

    def look(self) -> Seen:
        """Discovery document, then the keys that it names (OpenID Connect Discovery 4)."""
        found = self._object(f"{self.url}/.well-known/openid-configuration")
        if isinstance(found, str):
            return Seen(problem=found)
        if found.get("issuer") != self.url:
            return Seen(problem=f"the document under {self.url} is another issuer's")
        address = found.get("jwks_uri")
        if not isinstance(address, str) or urlsplit(address).scheme != "https":
            return Seen(problem=f"the document under {self.url} leads to no keys over https")
        listed = self._object(address)
        if isinstance(listed, str):
            return Seen(problem=listed)
        keys = listed.get("keys")
        return Seen(keys=tuple(key for key in keys if isinstance(key, dict)) if isinstance(keys, list) else ())

    def _object(self, url: str) -> dict[str, Any] | str:
        """A JSON object, or why there is none."""
        try:
            found = json.loads(self.fetch(url))
        except OSError as error:
            return f"{url} does not answer ({error})"
        except (ValueError, RecursionError):
            return f"{url} answers without a JSON document"
        return found if isinstance(found, dict) else f"{url} answers without a JSON object"
