"""The library's storage over our tables: one object per request, one transaction per operation, one audit record per write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from scim2_models import (
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimProvider,
    SearchRequest,
    TooManyException,
    UniquenessException,
)
from scim2_server.conditions import Conditions
from scim2_server.storage import ScimStorage, SearchPage
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from isthmus.access.directory import GROUP, USER
from isthmus.access.scim import crowd
from isthmus.access.scim.body import is_storable
from isthmus.access.scim.departures import Departed, Watch
from isthmus.access.scim.filters import EVERYTHING, Narrowed, narrow
from isthmus.access.scim.rows import KINDS, Kind, document_of, resource_of, version_of
from isthmus.arm.change import Change
from isthmus.arm.types import Actor
from isthmus.engine import Engine
from isthmus.store import dialect
from isthmus.store.tables import directory_members

MOST_COMPARED = 5_000
"""Rows that one search may compare outside the database."""
_BATCH = 500
_Found = tuple[int, list[Resource[Any]]]


class DirectoryStorage(ScimStorage):
    """What one request reads and writes. Writers take turns; `departed` is told in their transaction who lost what.

    With `leaves_members` groups are read and written without their members, which stay as they are.
    """

    def __init__(
        self, *, engine: Engine, provider: ScimProvider, actor: Actor, departed: Departed, writes: bool, leaves_members: bool
    ) -> None:
        self._engine = engine
        self._provider = provider
        self._actor = actor
        self._departed = departed
        self._writes = writes
        self._leaves_members = leaves_members
        self._open: Connection | None = None

    @contextmanager
    def operation(self) -> Iterator[None]:
        """The transaction; what is raised within undoes all of it."""
        store = self._engine.store
        with store.begin() if self._writes else store.read() as connection:
            if self._writes:
                dialect.lock_name(connection, "directory")
            self._open = connection
            try:
                yield
            finally:
                self._open = None

    def get(
        self, resource_type: ResourceType, resource_id: str, *, response_parameters: ResponseParameters[Any] | None = None
    ) -> Resource[Any]:
        """See ScimStorage. Members are read where they are wanted."""
        kind = KINDS[str(resource_type.name)]
        row = self._row(kind, resource_id)
        shows = kind.name == GROUP and not self._leaves_members and _shows_members(response_parameters)
        members = crowd.members_of(self._connection, [row.id])[row.id] if shows else ()
        return resource_of(kind, self._model(resource_type), row, members)

    def search(self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None) -> SearchPage:
        """See ScimStorage. By index; a filter that no column answers compares so many rows and no more."""
        start, count = (search_request.start_index or 1) - 1, search_request.count
        total, found = 0, list[Resource[Any]]()
        for resource_type in resource_types:
            rest = None if count is None else count - len(found)
            here, page = self._search(resource_type, search_request, max(0, start - total), rest)
            total, found = total + here, [*found, *page]
        return SearchPage(total, found)

    def _search(self, resource_type: ResourceType, asked: SearchRequest[Any], start: int, count: int | None) -> _Found:
        """How many match, and some of them."""
        kind, wanted = KINDS[str(resource_type.name)], asked.filter
        narrowed = EVERYTHING if wanted is None else narrow(kind.name, wanted.ast)
        total = int(self._connection.execute(select(func.count()).select_from(kind.table).where(narrowed.where)).scalar_one())
        if wanted is None or narrowed.is_exact:
            rows = self._page(kind, narrowed, start, count) if start < total else []
            return total, self._resources(resource_type, rows, shows=kind.name == GROUP and _shows_members(asked))
        if total > MOST_COMPARED:
            raise TooManyException(detail=f"The filter would compare {total} resources. Ask for an equal id, externalId or name.")
        found: list[Resource[Any]] = []
        for offset in range(0, total, _BATCH):
            resources = self._resources(resource_type, self._page(kind, narrowed, offset, _BATCH), shows=kind.name == GROUP)
            found += [one for one in resources if wanted.match(one)]
        return len(found), found[start : None if count is None else start + count]

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """See ScimStorage."""
        kind, id, now = KINDS[str(resource_type.name)], self._engine.new_guid(), self._engine.now()
        columns = kind.columns(id, document_of(resource))
        self._require_free(kind, id, columns)
        self._connection.execute(insert(kind.table).values(id=id, **columns, version=1, created_at=now, changed_at=now))
        detail: dict[str, Any] = {"verb": "create"}
        if kind.name == GROUP:
            detail |= crowd.change(self._connection, id, dict.fromkeys(crowd.ids_of(resource), True))
        return self._noted(resource_type, id, columns, detail)

    def update(self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None) -> Resource[Any]:
        """See ScimStorage."""
        kind = KINDS[str(resource_type.name)]
        row = self._row(kind, str(resource.id), expected_version)
        columns = kind.columns(row.id, document_of(resource))
        self._require_free(kind, row.id, columns)
        wanted: dict[str, bool] = {}
        if kind.name == GROUP and not self._leaves_members:
            present, named = crowd.ids_in(self._connection, row.id), set(crowd.ids_of(resource))
            wanted = {**dict.fromkeys(present - named, False), **dict.fromkeys(named - present, True)}
        watch = Watch(self._connection, self._touched(kind, row, columns, wanted))
        self._touch(kind, row, columns)
        detail = {"verb": "update", **crowd.change(self._connection, row.id, wanted)}
        watch.settle(self._departed, self._engine.now())
        return self._noted(resource_type, row.id, columns, detail)

    def change_members(self, group: str, wanted: Mapping[str, bool], conditions: Conditions) -> str:
        """Let users and groups in and out of a group by their ids; what is so already is no change. Answers the group's version."""
        kind = KINDS[GROUP]
        row = self._row(kind, group)
        conditions.check(version_of(row.version), "PATCH")
        changes = crowd.news(self._connection, row.id, wanted)
        if not changes:
            return version_of(row.version)
        watch = Watch(self._connection, self._touched(kind, row, {"object_id": row.object_id}, changes))
        detail = {"verb": "update", **crowd.change(self._connection, row.id, changes)}
        self._touch(kind, row, {})
        watch.settle(self._departed, self._engine.now())
        self._note(kind, "write", row.id, {"objectId": row.object_id, **detail})
        return version_of(row.version + 1)

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        """See ScimStorage. Who is deleted leaves every group (RFC 7644 would keep the id there; offboarding must not)."""
        kind = KINDS[str(resource_type.name)]
        row = self._row(kind, resource_id, expected_version)
        connection = self._connection
        watch = Watch(connection, {row.id} if kind.name == USER else crowd.below(connection, row.id))
        connection.execute(
            delete(directory_members).where((directory_members.c.member_id == row.id) | (directory_members.c.group_id == row.id))
        )
        connection.execute(delete(kind.table).where(kind.table.c.id == row.id))
        watch.settle(self._departed, self._engine.now())
        self._note(kind, "delete", row.id, {"objectId": row.object_id, "verb": "delete"})

    @property
    def _connection(self) -> Connection:
        assert self._open is not None, "the library calls within operation()"
        return self._open

    def _model(self, resource_type: ResourceType) -> type[Resource[Any]]:
        model = self._provider.model_for(resource_type)
        assert model is not None
        assert issubclass(model, Resource)
        return model

    def _row(self, kind: Kind, id: str, expected_version: str | None = None) -> Row[Any]:
        row = None if not is_storable(id) else self._connection.execute(select(kind.table).where(kind.table.c.id == id)).one_or_none()
        if row is None:
            raise NotFoundException(detail=f"There is no {kind.name} '{id[:64]}'.")
        if expected_version is not None and version_of(row.version) != expected_version:
            raise PreconditionFailedException
        return row

    def _page(self, kind: Kind, narrowed: Narrowed, start: int, count: int | None) -> list[Row[Any]]:
        chosen = select(kind.table).where(narrowed.where).order_by(kind.table.c.id).offset(start).limit(count)
        return list(self._connection.execute(chosen)) if count != 0 else []

    def _resources(self, resource_type: ResourceType, rows: list[Row[Any]], *, shows: bool) -> list[Resource[Any]]:
        members = crowd.members_of(self._connection, [row.id for row in rows]) if shows else {}
        model, kind = self._model(resource_type), KINDS[str(resource_type.name)]
        return [resource_of(kind, model, row, members.get(row.id, ())) for row in rows]

    def _require_free(self, kind: Kind, id: str, columns: Mapping[str, Any]) -> None:
        for column, attribute in ((kind.column, kind.unique), ("object_id", "externalId")):
            same = (kind.table.c[column] == columns[column], kind.table.c.id != id)
            if self._connection.execute(select(kind.table.c.id).where(*same)).first():
                raise UniquenessException(detail=f"Another {kind.name} has this {attribute}.")

    def _touched(self, kind: Kind, row: Row[Any], columns: Mapping[str, Any], wanted: Mapping[str, bool]) -> set[str]:
        """Whom a change may take something from."""
        if kind.name == USER:
            is_same = columns["object_id"] == row.object_id and (columns["active"] or not row.active)
            return set() if is_same else {row.id}
        if columns["object_id"] != row.object_id:
            return crowd.below(self._connection, row.id)
        return crowd.users_below(self._connection, [member for member, shall in wanted.items() if not shall])

    def _touch(self, kind: Kind, row: Row[Any], columns: Mapping[str, Any]) -> None:
        changed = {**columns, "version": row.version + 1, "changed_at": self._engine.now()}
        self._connection.execute(update(kind.table).where(kind.table.c.id == row.id).values(**changed))

    def _noted(self, resource_type: ResourceType, id: str, columns: Mapping[str, Any], detail: Mapping[str, Any]) -> Resource[Any]:
        kind = KINDS[str(resource_type.name)]
        more = {"active": columns["active"]} if kind.name == USER else {}
        self._note(kind, "write", id, {"objectId": columns["object_id"], **more, **detail})
        return self.get(resource_type, id)

    def _note(self, kind: Kind, verb: str, id: str, detail: Mapping[str, Any]) -> None:
        action, target = f"Isthmus.Directory/{kind.name.lower()}s/{verb}", f"/scim/v2/{kind.name}s/{id}"
        self._engine.apply_within(self._connection, Change(detail=detail), self._actor, action, target)


def _shows_members(parameters: ResponseParameters[Any] | None) -> bool:
    """Whether an answer holds the members of groups."""
    if parameters is None:
        return True
    if parameters.attributes:
        return any(path.parts[0].lower() == "members" for path in parameters.attributes if path.parts)
    return all(tuple(part.lower() for part in path.parts) != ("members",) for path in parameters.excluded_attributes or ())
