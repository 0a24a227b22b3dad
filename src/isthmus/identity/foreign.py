"""Documents of servers that are not ours: little, soon, and from the address that was asked."""

from __future__ import annotations

import asyncio

import httpx

LIMIT = 262_144
"""Bytes that are read at most."""
SECONDS = 5.0
"""For everything together, from the connection to the last byte. A resolver that hangs adds its own limit."""


def fetch(url: str, *, limit: int = LIMIT, seconds: float = SECONDS) -> bytes:
    """The body at a URL. OSError when there is none in time, it is too long, compressed, or behind a redirect.

    For threads without an event loop: only a loop can end a wait for a server that sends a byte now and then.
    """
    try:
        return asyncio.run(_fetched(url, limit, seconds))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(str(error)) from error


async def _fetched(url: str, limit: int, seconds: float) -> bytes:
    # A small body may decompress to a huge one, so none is asked for.
    headers = {"Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(seconds),
        httpx.AsyncClient(timeout=seconds, follow_redirects=False) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        if answer.status_code != 200 or "content-encoding" in answer.headers:
            raise OSError(f"answered {answer.status_code}, {answer.headers.get('content-encoding', 'uncompressed')}")
        body = bytearray()
        async for part in answer.aiter_raw():
            body += part
            if len(body) > limit:
                raise OSError(f"sent more than {limit} bytes")
        return bytes(body)
