"""One HTTP exchange: bounded in time and size, following nothing, over connections that are kept."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from isthmus.clouds.azure.graph.faults import GraphUnavailable

LARGEST = 16 * 1024 * 1024
SECONDS = 10.0
"""For one exchange, from the connection to the last byte."""
LONGEST_PAUSE = 300.0
"""Seconds for which a server may keep us away at once, whatever it says."""
_HTTP_SECONDS = 5.0
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """An answer, whatever its status; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; empty for anything else."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def retry_after(self) -> float:
        """Seconds after which it wants to be asked again, at most `LONGEST_PAUSE`; 0 where it does not say."""
        given = self.headers.get("retry-after", "")
        return min(float(given), LONGEST_PAUSE) if _DIGITS.fullmatch(given) else 0.0


class Wire:
    """Connections to Graph and to the token endpoint, for any thread."""

    def __init__(self, *, seconds: float = SECONDS, by_proxy: bool = True) -> None:
        self._seconds = seconds
        # A small body may decompress to a huge one, so none is asked for. No proxy leads to this machine itself.
        headers = {"Accept-Encoding": "identity"}
        limit = min(_HTTP_SECONDS, seconds)
        self._client = httpx.Client(timeout=limit, follow_redirects=False, headers=headers, trust_env=by_proxy)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Said:
        """One request. GraphUnavailable when there is no whole answer in time."""
        host = httpx.URL(url).host
        until = time.monotonic() + self._seconds
        try:
            with self._client.stream(method, url, headers=headers, data=form, json=body) as answer:
                read = bytearray()
                for part in answer.iter_raw():
                    read += part
                    if len(read) > LARGEST or time.monotonic() > until:
                        raise GraphUnavailable(f"{host} sends too much or too slowly. Nothing was taken from it.")
                return Said(status=answer.status_code, headers={k.lower(): v for k, v in answer.headers.items()}, body=bytes(read))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            told = f"{host} does not answer ({type(error).__name__}). Look at network, proxy and its state, then try again."
            raise GraphUnavailable(told) from error

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()
