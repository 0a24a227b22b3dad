"""The script that pages load."""

from __future__ import annotations

from importlib.resources import files

from isthmus.portal.assets import SCRIPTS
from tests.portal.conftest import Site, Window


def test_htmx_comes_with_its_extensions_or_not_at_all(site: Site, window: Window) -> None:
    with window() as look:
        page = look.open("/portal/operations")
        assert page.locator("script").count() == 1
        found = look.context.request.get(look.url + str(page.locator("script").get_attribute("src"))).text()
    places = [found.index((files("isthmus.portal") / "static" / name).read_text()) for name in SCRIPTS]
    assert places == sorted(places)
