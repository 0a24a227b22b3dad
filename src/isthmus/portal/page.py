"""What a page is: a path, a template, a function that makes its context, and perhaps one that acts on its form.

The context is a frozen dataclass; browsers get it as HTML, programs that accept JSON get it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import ResourceId, parse_resource
from isthmus.client import Client
from isthmus.portal.forms import Form


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Who looks at a page."""

    object_id: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One request for a page. `url` is path and query, `client` calls the API as the person; both are empty-handed on open pages."""

    client: Client
    person: Person | None
    url: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    subscription: str
    subscriptions: tuple[tuple[str, str], ...]
    now: int
    correlation: str

    @property
    def root(self) -> str:
        """The id of the subscription that is looked at."""
        return f"/subscriptions/{self.subscription}"

    def id(self, name: str = "id") -> ResourceId:
        """A resource id in the path; ArmError 404 when it is none."""
        try:
            return parse_resource(f"/{self.path[name].strip('/')}")
        except ArmError as error:
            raise ArmError("PageNotFound", "This address holds no resource id. It may have been cut.", status=404) from error

    def number(self, name: str, default: int, *, most: int) -> int:
        """A number of the query, `default` when it is none."""
        given = self.query.get(name, "")
        return min(int(given), most) if given.isascii() and given.isdigit() and len(given) < 10 else default


@dataclass(frozen=True, kw_only=True, slots=True)
class Redirect:
    """Go on at another page of ours."""

    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Invalid:
    """The form is refused: the page again, with what was typed and what is wrong."""

    context: object
    status: int = 422


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """A file to save. What is not there yet is sent as it comes; when it breaks off, the browser says that the file is not whole."""

    name: str
    content: bytes | Iterator[bytes]
    media_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """A part of a list: its context, and how many rows the whole has (None: not counted)."""

    context: object
    total: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """What a page shows now, in pieces: the HTML inside each element by the element's id.

    `shape` changes when elements come or go; then the page is told to fetch itself again. `ended` says that nothing will change any more.
    """

    parts: Mapping[str, str]
    shape: str = ""
    ended: bool = False


class Piece(Protocol):
    """Renders one block of a template, for live pages: display only, without a nonce."""

    def __call__(self, block: str, **values: Any) -> str:
        """The HTML."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page.

    `path` has Starlette's parameters. `view` answers the context, `act` what a POST comes to. `block` renders that block of the template
    alone: a part of a page that is fetched by itself. `live` answers what a stream of the page shows; `live_key` are the names in path and
    query that tell one stream's content from another's. `nav` is the entry of the navigation that the page belongs to.
    """

    path: str
    template: str
    view: Callable[[Visit], object]
    act: Callable[[Visit, Form], object] | None = None
    block: str = ""
    nav: str = ""
    is_open: bool = False
    live: Callable[[Visit, Piece], Live] | None = None
    live_key: tuple[str, ...] = field(default=())


def local(path: str, **query: str) -> str:
    """The address of a page with a query, without what is empty."""
    pairs = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(pairs)}" if pairs else path
