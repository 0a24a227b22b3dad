"""Home: what is connected, and what needs a person."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.portal.page import Page, Visit


@dataclass(frozen=True, kw_only=True, slots=True)
class HomePage:
    """Connectors by name."""

    connectors: tuple[str, ...]


def view(visit: Visit) -> HomePage:
    """Read it."""
    found = visit.client.list(f"{visit.root}/providers/Microsoft.HybridConnectivity/publicCloudConnectors")
    return HomePage(connectors=tuple(one["name"] for one in found))


PAGES = (Page(path="/portal/", template="home.html", view=view, nav="home"),)
