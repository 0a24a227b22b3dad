"""Every page of the portal: a module each, and its line here."""

from isthmus.portal.page import Page
from isthmus.portal.pages import (
    access,
    add,
    applications,
    connector,
    connectors,
    home,
    inventory,
    jobs,
    kit,
    machine,
    machines,
    operations,
    people,
    resource,
    role_assign,
    roles,
)

PAGES: tuple[Page, ...] = (
    *access.PAGES,
    *applications.PAGES,
    *home.PAGES,
    *add.PAGES,
    *connectors.PAGES,
    *connector.PAGES,
    *inventory.PAGES,
    *jobs.PAGES,
    *kit.PAGES,
    *machine.PAGES,
    *machines.PAGES,
    *operations.PAGES,
    *people.PAGES,
    *resource.PAGES,
    *role_assign.PAGES,
    *roles.PAGES,
)
