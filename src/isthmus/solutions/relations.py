"""What a projection names, what names it, what it extends and what extends it, within one account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Subquery, and_, func, literal, null, select, union_all

from isthmus.arm.envelope import Resource
from isthmus.arm.errors import invalid
from isthmus.solutions.places import AWS_CONNECTOR
from isthmus.store import Store, dialect
from isthmus.store.tables import projections, resource_references, resources

DIRECTIONS = ("hostedOn", "hosts", "uses", "usedBy")
_HOSTED_ON, _HOSTS, _USES, _USED_BY = range(4)
_P, _R = projections.c, resource_references.c


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """One relation: the id or ARN that is named, and the stored resource behind it; None for what nobody projected."""

    direction: str
    target: str
    resource: Row[*tuple[Any, ...]] | None


@dataclass(frozen=True, kw_only=True)
class Relations:
    """Reads relations."""

    store: Store
    seconds: float = 5.0

    def window(self, subject: Resource, *, direction: str = "", sees_all: bool, skip: int, top: int) -> tuple[list[Relation], bool]:
        """Relations in the order of DIRECTIONS and of what is named, and whether more follow.

        Who does not see all of the account learns what the subject itself says: its host, and the names it uses.
        Raises ArmError 400 `FilterTooBroad` when the time does not suffice.
        """
        with self.store.read() as connection:
            try:
                with dialect.limit_time(connection, self.seconds):
                    every = _every(connection, subject, direction, sees_all=sees_all)
                    ordered = select(every).order_by(every.c.direction, every.c.target, every.c.key).limit(top + 1).offset(skip)
                    found = connection.execute(ordered).all()
            except dialect.TimeIsUp:
                what = f"The relations take longer than {self.seconds:g} seconds. Ask for one direction."
                raise invalid(what, target="direction", code="FilterTooBroad") from None
            behind = _behind(connection, [row.key for row in found[:top] if row.key is not None])
        shown = [Relation(direction=DIRECTIONS[row.direction], target=row.target, resource=behind.get(row.key)) for row in found[:top]]
        return shown, len(found) > top

    def count(self, subject: Resource, *, direction: str = "", sees_all: bool) -> int | None:
        """How many relations there are; None when counting them takes too long."""
        with self.store.read() as connection:
            try:
                with dialect.limit_time(connection, self.seconds):
                    every = _every(connection, subject, direction, sees_all=sees_all)
                    return int(connection.execute(select(func.count()).select_from(every)).scalar() or 0)
            except dialect.TimeIsUp:
                return None


def _every(connection: Connection, subject: Resource, direction: str, *, sees_all: bool) -> Subquery:
    own = connection.execute(select(projections).where(_P.key == subject.id.key)).first()
    parts = {_HOSTED_ON: _hosted_on(subject), _HOSTS: _hosted(subject)}
    if own is not None:
        parts |= {_USES: _used(connection, own, sees_all=sees_all), _USED_BY: _users(connection, own, sees_all=sees_all)}
    chosen = [part for place, part in parts.items() if direction in ("", DIRECTIONS[place])]
    return union_all(*(chosen or [_nothing()])).subquery()


def _columns(direction: int, target: Any, key: Any) -> tuple[Any, ...]:
    return literal(direction).label("direction"), target.label("target"), key.label("key")


def _hosted_on(subject: Resource) -> Select[*tuple[Any, ...]]:
    host = subject.id.parent
    key = host.key if host is not None and host.namespace != "Microsoft.Resources" else ""
    return select(*_columns(_HOSTED_ON, resources.c.name, resources.c.key)).where(resources.c.key == key)


def _hosted(subject: Resource) -> Select[*tuple[Any, ...]]:
    """Projections that extend the subject."""
    named = func.coalesce(func.nullif(_P.aws_id, ""), resources.c.name)
    kinds = f"{AWS_CONNECTOR}/".lower()
    return (
        select(*_columns(_HOSTS, named, resources.c.key))
        .join_from(resources, projections, _P.key == resources.c.key, isouter=True)
        .where(resources.c.parent == subject.id.key, resources.c.type >= kinds, resources.c.type < f"{kinds[:-1]}0")
    )


def _used(connection: Connection, own: Row[Any], *, sees_all: bool) -> Select[*tuple[Any, ...]]:
    if not sees_all:
        return select(*_columns(_USES, _R.target, null())).where(_R.resource == own.id)
    joined = resource_references.outerjoin(projections, and_(_P.aws_id == _R.target, *_beside(connection, own)))
    return select(*_columns(_USES, _R.target, _P.key)).select_from(joined).where(_R.resource == own.id)


def _users(connection: Connection, own: Row[Any], *, sees_all: bool) -> Select[*tuple[Any, ...]]:
    if not sees_all or not own.aws_id:
        return _nothing()
    columns = _columns(_USED_BY, func.coalesce(func.nullif(_P.aws_id, ""), _P.name), _P.key)
    joined = resource_references.join(projections, _P.id == _R.resource)
    return select(*columns).select_from(joined).where(_R.target == own.aws_id, _P.id != own.id, *_beside(connection, own))


def _beside(connection: Connection, own: Row[Any]) -> Sequence[ColumnElement[bool]]:
    """In the same account, and in the group that holds it: whose name and rights are one. Looked up by account and AWS id, or by number."""
    subscription = dialect.unindexed(connection, _P.subscription)
    return _P.account == own.account, subscription == own.subscription, _P.resource_group == own.resource_group


def _nothing() -> Select[*tuple[Any, ...]]:
    return select(*_columns(_USES, resources.c.name, resources.c.key)).where(literal(1) == 0)


def _behind(connection: Connection, keys: Sequence[str]) -> Mapping[str, Row[*tuple[Any, ...]]]:
    columns: tuple[Any, ...] = (
        resources.c.key,
        resources.c.id,
        resources.c.type,
        resources.c.name,
        _P.type.label("kind"),
        _P.name.label("called"),
    )
    found = select(*columns).join_from(resources, projections, _P.key == resources.c.key, isouter=True).where(resources.c.key.in_(keys))
    return {row.key: row for row in connection.execute(found)}
