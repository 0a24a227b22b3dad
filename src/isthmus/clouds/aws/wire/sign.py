"""Signature Version 4 (AWS General Reference, "Create a signed AWS API request"), with signing keys kept per day."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import quote

from isthmus.clouds.aws.wire.credentials import Credentials
from isthmus.clouds.aws.wire.models import Service
from isthmus.clouds.aws.wire.write import Draft

_NOTHING = hashlib.sha256(b"").hexdigest()
_KEPT_KEYS = 4096


class Signer:
    """Signs requests. A signing key depends on the secret, day, region and service; deriving it costs as much as the rest."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str, str, str], bytes] = {}
        self._second = -1
        self._stamp = ""

    def sign(
        self, draft: Draft, service: Service, *, host: str, path: str, region: str, credentials: Credentials, now: float
    ) -> dict[str, str]:
        """All headers of the request including `host` and `authorization`.

        `path` is the request's path as sent. S3 wants the body's digest in a header and its path as sent, everyone else the path
        encoded once more.
        """
        stamp = self._time(now)
        digest = hashlib.sha256(draft.body).hexdigest() if draft.body else _NOTHING
        headers = {**draft.headers, "host": host, "x-amz-date": stamp}
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        if service.is_s3:
            headers["x-amz-content-sha256"] = digest
        names = sorted(headers)
        signed = ";".join(names)
        lines = "".join([f"{name}:{headers[name]}\n" for name in names])
        where = path if service.is_s3 or path == "/" else quote(path, safe="/~")
        canonical = f"{draft.method}\n{where}\n{_canonical_query(draft.query)}\n{lines}\n{signed}\n{digest}"
        scope = f"{stamp[:8]}/{region}/{service.signs}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = self._key(credentials.secret_key, stamp[:8], region, service.signs)
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        proof = f"Credential={credentials.access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
        headers["authorization"] = f"AWS4-HMAC-SHA256 {proof}"
        return headers

    def _time(self, now: float) -> str:
        if int(now) != self._second:
            self._second = int(now)
            self._stamp = datetime.fromtimestamp(self._second, UTC).strftime("%Y%m%dT%H%M%SZ")
        return self._stamp

    def _key(self, secret: str, day: str, region: str, service: str) -> bytes:
        found = self._keys.get((secret, day, region, service))
        if found is None:
            if len(self._keys) >= _KEPT_KEYS:
                self._keys.clear()
            found = f"AWS4{secret}".encode()
            for part in (day, region, service, "aws4_request"):
                found = hmac.digest(found, part.encode(), "sha256")
            self._keys[secret, day, region, service] = found
        return found


def encoded_query(query: tuple[tuple[str, str], ...]) -> str:
    """A query string as it is sent: percent-encoded, in the given order; a key without value stands alone."""
    return "&".join([f"{key}={value}" if value else key for key, value in _quoted(query)])


def _canonical_query(query: tuple[tuple[str, str], ...]) -> str:
    return "&".join([f"{key}={value}" for key, value in sorted(_quoted(query))]) if query else ""


def _quoted(query: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in query]
