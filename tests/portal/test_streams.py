"""Streams of pages where windows come and go, and the script that opens them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.resources import files

from isthmus.portal.assets import SCRIPTS
from isthmus.portal.live import Hub
from isthmus.portal.page import Live
from tests.portal.conftest import Site, Window


async def _next(stream: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(anext(stream), 5)


def test_who_joins_as_the_last_viewer_leaves_is_told_what_changes() -> None:
    """Between the opening of a stream and its first word the only other viewer goes, and with it the reading for both."""

    async def play() -> None:
        shown = ["a"]

        async def read() -> Live:
            return Live(parts={"x": shown[0]})

        hub = Hub()
        first = await hub.open(("page",), read, "")
        await _next(first)
        second = await hub.open(("page",), read, "")
        await first.aclose()  # type: ignore[attr-defined]
        assert await _next(second) == "retry: 1000\n\n"
        assert "a" in await _next(second)
        shown[0] = "b"
        assert ">b<" in await _next(second)
        await second.aclose()  # type: ignore[attr-defined]
        assert hub.viewers == 0

    asyncio.run(play())


def test_htmx_comes_with_its_extensions_or_not_at_all(site: Site, window: Window) -> None:
    with window() as look:
        page = look.open("/portal/operations")
        assert page.locator("script").count() == 1
        found = look.context.request.get(look.url + str(page.locator("script").get_attribute("src"))).text()
    places = [found.index((files("isthmus.portal") / "static" / name).read_text()) for name in SCRIPTS]
    assert places == sorted(places)
