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
    places = [found.index(_last_line(name)) for name in SCRIPTS]
    assert places == sorted(places)
    assert "  // " not in found


def test_our_script_has_no_text_of_several_lines() -> None:
    """Its lines lose their indentation on the way."""
    lines = (files("isthmus.portal") / "static" / "elements.js").read_text().splitlines()
    assert not [line for line in lines if line.count("`") % 2]


def _last_line(name: str) -> str:
    return (files("isthmus.portal") / "static" / name).read_text().splitlines()[-2 if name == "elements.js" else -1].strip()
