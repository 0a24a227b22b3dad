"""Every page of the portal: a module each, and its line here."""

from isthmus.portal.page import Page
from isthmus.portal.pages import add, connector, connectors, home, jobs, kit, operations

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *add.PAGES,
    *connectors.PAGES,
    *connector.PAGES,
    *jobs.PAGES,
    *kit.PAGES,
    *operations.PAGES,
)
