"""Who loses something by a change: people that went, and groups that people are no longer in, however they were in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from isthmus.access.directory import memberships
from isthmus.access.entra.holders import concerned
from isthmus.access.revocations import hold_person
from isthmus.store.tables import directory_users

Departed = Callable[[Connection, str, frozenset[str]], None]
"""Told of an object id and the groups (object ids) it is no longer in, in the transaction of the change and after it. The groups may be
none: the person became inactive or was deleted, which `DirectoryGroups.is_active` tells in the same transaction."""

_CHUNK = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class _Standing:
    object_id: str
    is_active: bool
    groups: frozenset[str]


class Watch:
    """What users are before a change; `settle` tells what it took from them."""

    def __init__(self, connection: Connection, users: Collection[str]) -> None:
        self._connection = connection
        self._users = frozenset(users)
        self._before = self._standings()

    def settle(self, departed: Departed, now: int) -> None:
        """Compare with what is so at this moment (ms)."""
        after = self._standings()
        gone: dict[str, frozenset[str]] = {}
        left: dict[str, frozenset[str]] = {}
        for user, was in self._before.items():
            is_now = after.get(user)
            if is_now is None or is_now.object_id != was.object_id or (was.is_active and not is_now.is_active):
                gone[was.object_id] = was.groups
            elif lost := was.groups - is_now.groups:
                left[was.object_id] = lost
        # All before the first, whose record makes every other writer wait: also who holds one of these people. Of a large group nearly
        # nobody is here, and databases do not remember any number of locks.
        for person in sorted({person.lower() for person in gone} | concerned(self._connection, now, {one.lower() for one in left})):
            hold_person(self._connection, person)
        for person, groups in sorted({**left, **gone}.items()):
            departed(self._connection, person, groups)

    def _standings(self) -> Mapping[str, _Standing]:
        found: dict[str, _Standing] = {}
        users = sorted(self._users)
        for start in range(0, len(users), _CHUNK):
            part = users[start : start + _CHUNK]
            chosen = select(directory_users.c.id, directory_users.c.object_id, directory_users.c.active)
            rows = self._connection.execute(chosen.where(directory_users.c.id.in_(part))).all()
            held = memberships(self._connection, [row.id for row in rows if row.active])
            for row in rows:
                found[row.id] = _Standing(object_id=row.object_id, is_active=row.active, groups=held.get(row.id, frozenset()))
        return found
