"""A row of the table that is the router: everything the API knows about one resource type.

One row gives reads, lists, paging, ETags, creation, changes, deletion, actions and the provider manifest. Hooks are pure:
they look at what is and what is asked, and answer a `Change`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId


class Scope(Enum):
    """Where resources of a type live and are listed."""

    TENANT = "tenant"
    SUBSCRIPTION = "subscription"
    GROUP = "group"
    EXTENSION = "extension"


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who asks: an object id, a kind (User, Application, Machine, System), a name for people, and the sign-in that a person came by."""

    id: str
    kind: str
    name: str = ""
    correlation: str = ""
    sign_in: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A request, parsed. `parent` is the stored resource that the id lies in or extends; None where that is a group or wider.

    `match` is the ETag of If-Match: actions compare it with what they act on; writes of stored resources are compared by the engine.
    """

    id: ResourceId
    version: str
    body: Any
    query: Mapping[str, str]
    actor: Actor
    now: int
    new_guid: Callable[[], str]
    parent: Resource | None = None
    tenant: str = ""
    base_url: str = ""
    match: str = ""
    permits: Callable[[str, str], bool] = lambda _action, _scope: False


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What an action answers at once: a status and a body; `operation` is set when the work goes on."""

    status: int = 200
    body: Any = None
    change: Change | None = None
    style: str = "location"


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A part of an ordered list: bodies, whether more follow, and how many there are (None unless asked, or too many to count in time).

    `after` is the key to go on after, for lists that are too long to count their way through; the next link carries it then. It is
    empty at the end.
    """

    items: Sequence[Mapping[str, Any]]
    count: int | None = None
    more: bool = False
    after: str = ""


Decide = Callable[[Resource | None, Ask], Change]
Act = Callable[[Resource | None, Ask], Answer]


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """A POST on a resource (`testPermissions`) or, with `needs_resource` off, on a scope (`generateAwsTemplate`).

    One that only `reads` needs the right to read its resource, answers no change, and is audited as a GET is: refusals alone. An `is_open`
    one asks for no role: it decides by itself what whoever has signed in may do.
    """

    name: str
    act: Act
    needs_resource: bool = True
    reads: bool = False
    is_open: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceType:
    """One resource type. Verbs whose hook is None answer 405; `versions` empty accepts any date.

    `name_told` says in words what `name_pattern` demands.
    `read` and `enumerate` serve types that are not stored; `show` shapes a stored resource for an api-version.
    `window` lists instead of `enumerate` what people browse: it orders, filters and jumps by the query (see `isthmus.arm.paging`).
    `created` and `updated` are the status codes of PUT, `removal` of DELETE (202 goes with a `Location`); deleting what is not there
    answers 204, or 404 where clients accept no 204 (`must_exist`). Where it `shows_deleted`, the answer is what was deleted.
    `is_open` types list at tenant level what everybody signed in may know, or filter by rights themselves; other lists need a role.
    Where it `opens_each`, `read` decides by itself who may read one.
    What `outlives` can be read when the resource that it extends is gone (history); `Ask.parent` is None then.
    An `aspect` has no row of its own: reads and writes go to the resource that it extends (tags).
    """

    name: str
    scopes: frozenset[Scope]
    lists: frozenset[Scope] = frozenset()
    versions: tuple[str, ...] = ()
    name_pattern: re.Pattern[str] = re.compile(r"^[^<>%&\\?/#]{1,260}$")
    name_told: str = ""
    echo: str = ""
    tracked: bool = False
    manifest: bool = True
    capabilities: str = "None"
    locations: tuple[str, ...] = ()
    put: Decide | None = None
    patch: Decide | None = None
    delete: Decide | None = None
    read: Callable[[Ask], Mapping[str, Any] | None] | None = None
    enumerate: Callable[[Ask], Iterable[Mapping[str, Any]]] | None = None
    window: Callable[[Ask], Window] | None = None
    show: Callable[[Resource, str], Mapping[str, Any]] | None = None
    actions: tuple[Action, ...] = ()
    created: int = 201
    updated: int = 200
    removal: int = 200
    must_exist: bool = False
    shows_deleted: bool = False
    extends: tuple[str, ...] = field(default=())
    aspect: bool = False
    outlives: bool = False
    is_open: bool = False
    opens_each: bool = False

    @property
    def namespace(self) -> str:
        """Provider namespace."""
        return self.name.partition("/")[0]

    @property
    def kind(self) -> str:
        """Type below the namespace, for example `solutionConfigurations/inventory`."""
        return self.name.partition("/")[2]

    @property
    def type_name(self) -> str:
        """The type as answers spell it."""
        return self.echo or self.name

    def action(self, name: str) -> Action | None:
        """The action of this name, in any case."""
        return next((action for action in self.actions if action.name.lower() == name.lower()), None)


class Registry:
    """All rows, found by type without regard to case."""

    def __init__(self, rows: Iterable[ResourceType]) -> None:
        self.rows: dict[str, ResourceType] = {}
        for row in rows:
            if row.name.lower() in self.rows:
                raise ValueError(f"resource type {row.name} is declared twice")
            self.rows[row.name.lower()] = row
        self.namespaces = {row.namespace.lower(): row.namespace for row in self.rows.values()}

    def find(self, full_type: str) -> ResourceType | None:
        """The row of a type, or None."""
        return self.rows.get(full_type.lower())

    def in_namespace(self, namespace: str) -> list[ResourceType]:
        """Rows of one provider, in order of declaration."""
        return [row for row in self.rows.values() if row.namespace.lower() == namespace.lower()]
