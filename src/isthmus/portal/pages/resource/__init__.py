"""The page of any resource: what it is, its tags, properties, relations and history, and its removal."""

from isthmus.portal.page import Page
from isthmus.portal.pages.resource import act, view

PAGES: tuple[Page, ...] = (Page(path="/portal/resource{id:path}", template="resource.html", view=view.view, act=act.act, nav="inventory"),)
