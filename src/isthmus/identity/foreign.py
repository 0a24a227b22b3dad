"""Documents of servers that are not ours: little, soon, and from the address that was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from isthmus.arm.errors import invalid

LIMIT = 262_144
"""Bytes that are read at most."""
SECONDS = 5.0
"""For everything together, from the connection to the last byte. A resolver that hangs adds its own limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a server answered, whatever the status."""

    status: int
    body: bytes = field(repr=False)


def fetch(url: str, *, limit: int = LIMIT, seconds: float = SECONDS, trust: ssl.SSLContext | None = None, address: str = "") -> bytes:
    """The body at a URL. OSError when there is none in time, it is too long, compressed, or behind a redirect.

    `address` (host:port) is asked instead of the URL's host, which still has to prove that it is that host.

    For threads without an event loop: only a loop can end a wait for a server that sends a byte now and then.
    """
    said = send("GET", url, limit=limit, seconds=seconds, trust=trust, address=address)
    if said.status != 200:
        raise OSError(f"answered {said.status}")
    return said.body


def send(
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    limit: int = LIMIT,
    seconds: float = SECONDS,
    trust: ssl.SSLContext | None = None,
    address: str = "",
) -> Said:
    """One request, with a form or other content as its body where one is given; OSError as for `fetch`, except that every status is an
    answer."""
    try:
        # A small body may decompress to a huge one, so none is asked for.
        request = httpx.Request(method, url, data=form, content=content, headers={**(headers or {}), "Accept-Encoding": "identity"})
        if address:
            request = _led(request, address)
        return asyncio.run(_sent(request, limit, seconds, trust))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(str(error)) from error


def _led(request: httpx.Request, address: str) -> httpx.Request:
    """The same request to another address, under the same name."""
    name, there = request.url.host, httpx.URL(f"https://{address}")
    request.url = request.url.copy_with(host=there.host, port=there.port)
    request.extensions = {**request.extensions, "sni_hostname": name}
    return request


def trusting(file: Path | None) -> ssl.SSLContext | None:
    """The system's CAs and those of a PEM file, None for the usual ones alone; ArmError `UnreadableCertificate` names the file."""
    if file is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(file)
    except (OSError, ssl.SSLError) as error:
        raise invalid(f"The CA file '{file}' cannot be read: {error}.", target=str(file), code="UnreadableCertificate") from error
    return context


async def _sent(request: httpx.Request, limit: int, seconds: float, trust: ssl.SSLContext | None) -> Said:
    # No proxy leads to this machine itself; the CAs that the environment names count for it as for others.
    verify = trust or httpx.create_ssl_context()
    is_local = request.url.host in ("localhost", "::1") or request.url.host.startswith("127.")
    async with (
        asyncio.timeout(seconds),
        httpx.AsyncClient(timeout=seconds, follow_redirects=False, verify=verify, trust_env=not is_local) as client,
    ):
        answer = await client.send(request, stream=True)
        try:
            if "content-encoding" in answer.headers:
                raise OSError(f"answered {answer.status_code}, {answer.headers['content-encoding']}")
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > limit:
                    raise OSError(f"sent more than {limit} bytes")
            return Said(status=answer.status_code, body=bytes(body))
        finally:
            await answer.aclose()
