"""Every page of the portal: a module each, and its line here."""

from isthmus.portal.page import Page
from isthmus.portal.pages import home, inventory, kit, resource

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *inventory.PAGES,
    *kit.PAGES,
    *resource.PAGES,
)
