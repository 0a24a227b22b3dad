"""Reading resources: one by id, or pages of a scope in the order of their keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId
from isthmus.engine.rows import from_row
from isthmus.store import Store
from isthmus.store.tables import resource_tags, resources

_BY_KEY = select(resources).where(resources.c.key == bindparam("wanted"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some resources and the key to go on after; empty when these are the last."""

    items: tuple[Resource, ...]
    after: str


class Lookup:
    """Reads over one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def find(self, id: ResourceId | str) -> Resource | None:
        """The stored resource of an id, or None."""
        with self.store.read() as connection:
            return find(connection, id.key if isinstance(id, ResourceId) else id.lower())

    def holder(self, unique: str) -> Resource | None:
        """The resource that holds what is unique in the tenant, or None."""
        with self.store.read() as connection:
            row = connection.execute(select(resources).where(resources.c.unique_key == unique)).first()
        return None if row is None else from_row(row)

    def page(
        self,
        *,
        types: Sequence[str] = (),
        subscription: str = "",
        group: str = "",
        parent: str | None = None,
        tag: tuple[str, str | None] | None = None,
        name: str = "",
        location: str = "",
        exclude: Sequence[str] = (),
        after: str = "",
        limit: int = 100,
    ) -> Page:
        """Resources that match all of what is given, after the key `after`. `tag` is a name and a value, None standing for any value."""
        wanted: list[ColumnElement[bool]] = [resources.c.key > after]
        if types:
            lowered = [kind.lower() for kind in types]
            wanted.append(resources.c.type == lowered[0] if len(lowered) == 1 else resources.c.type.in_(lowered))
        if exclude:
            wanted.append(resources.c.type.not_in([kind.lower() for kind in exclude]))
        if subscription:
            wanted.append(resources.c.subscription == subscription.lower())
        if group:
            wanted.append(resources.c.resource_group == group.lower())
        if parent is not None:
            wanted.append(resources.c.parent == parent.lower())
        if name:
            wanted.append(func.lower(resources.c.name) == name.lower())
        if location:
            wanted.append(resources.c.location == location)
        if tag is not None:
            named = select(resource_tags.c.resource).where(resource_tags.c.name == tag[0].lower())
            wanted.append(resources.c.key.in_(named if tag[1] is None else named.where(resource_tags.c.value == tag[1])))
        with self.store.read() as connection:
            rows = connection.execute(select(resources).where(*wanted).order_by(resources.c.key).limit(limit + 1)).all()
        return Page(items=tuple(from_row(row) for row in rows[:limit]), after=rows[limit - 1].key if len(rows) > limit else "")

    def all(self, *, types: Sequence[str], subscription: str = "", parent: str | None = None) -> Iterator[Resource]:
        """Every resource of these types, page by page."""
        after = ""
        while True:
            page = self.page(types=types, subscription=subscription, parent=parent, after=after, limit=500)
            yield from page.items
            if not page.after:
                return
            after = page.after


def find(connection: Connection, key: str) -> Resource | None:
    """The resource with this key within a transaction."""
    row = connection.execute(_BY_KEY, {"wanted": key}).first()
    return None if row is None else from_row(row)


def keep(connection: Connection, key: str) -> bool:
    """Whether a resource exists; if so it cannot be deleted before the transaction ends."""
    return connection.execute(select(resources.c.key).where(resources.c.key == key).with_for_update(read=True)).first() is not None
