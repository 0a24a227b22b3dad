"""The inventory: every AWS resource that was found, to filter, sort, walk through and take along."""

from isthmus.portal.page import Page
from isthmus.portal.pages.inventory import browse, download, facets

PAGES: tuple[Page, ...] = (*browse.PAGES, *facets.PAGES, *download.PAGES)
