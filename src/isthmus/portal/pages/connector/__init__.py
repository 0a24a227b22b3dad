"""The page of a connector. Its tabs are one address with `?tab=`; each has a module here and a template `connector_<tab>.html`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form
from isthmus.portal.page import Live, Page, Piece, Visit
from isthmus.portal.pages.connector import machines, overview, permissions, removal, resources, scan, solutions, tags, template

VIEWS: Mapping[str, Callable[[Visit], object]] = MappingProxyType(
    {
        "overview": overview.view,
        "scan": scan.view,
        "solutions": solutions.view,
        "permissions": permissions.view,
        "template": template.view,
        "machines": machines.view,
        "resources": resources.view,
        "tags": tags.view,
        "delete": removal.view,
    }
)
ACTS: Mapping[str, Callable[[Visit, Form], object]] = MappingProxyType(
    {
        "scan": scan.act,
        "solutions": solutions.act,
        "permissions": permissions.act,
        "template": template.act,
        "machines": machines.act,
        "tags": tags.act,
        "delete": removal.act,
    }
)
LIVES: Mapping[str, Callable[[Visit, Piece], Live]] = MappingProxyType(
    {"scan": scan.live, "permissions": permissions.live, "template": template.live, "delete": removal.live}
)


def view(visit: Visit) -> object:
    """The tab that the address names."""
    return VIEWS.get(_tab(visit), overview.view)(visit)


def act(visit: Visit, form: Form) -> object:
    """A form of the tab."""
    found = ACTS.get(_tab(visit))
    if found is None:
        raise ArmError("MethodNotAllowed", "This tab takes no form.", status=405)
    return found(visit, form)


def live(visit: Visit, piece: Piece) -> Live:
    """What changes on the tab by itself."""
    found = LIVES.get(_tab(visit))
    if found is None:
        raise ArmError("PageNotFound", "Nothing on this tab changes by itself.", status=404)
    return found(visit, piece)


def _tab(visit: Visit) -> str:
    return visit.query.get("tab", "overview")


PAGES = (
    Page(
        path="/portal/connector/{id:path}",
        template="connector.html",
        view=view,
        act=act,
        live=live,
        live_key=("tab", "operation"),
        nav="connectors",
    ),
)
