"""What the provisioned directory knows: whether somebody is active, and which groups they are in, nested ones included.

Functions over the caller's connection: what they answer is true in that transaction. Users and groups are named by object id: the
`externalId` where that is a GUID (Entra's own object id, when it is mapped so), else the SCIM id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

from sqlalchemy import Connection, select

from isthmus.store.tables import directory_groups, directory_members, directory_users

MAX_DEPTH = 16
"""Levels of groups in groups that count; what is nested deeper counts as no membership."""
GROUP, USER = "Group", "User"
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CHUNK = 400


class DirectoryGroups:
    """Questions about people who may have a directory entry."""

    def groups_of(self, connection: Connection, object_id: str, asked: Collection[str]) -> frozenset[str]:
        """Those of the `asked` groups that an active user is in, directly or through groups in groups; none for anybody else."""
        chosen = (directory_users.c.object_id == object_id.lower(), directory_users.c.active)
        user = connection.execute(select(directory_users.c.id).where(*chosen)).scalar()
        if user is None or not asked:
            return frozenset()
        held = memberships(connection, [user])[user]
        return frozenset(group for group in asked if group.lower() in held)

    def is_active(self, connection: Connection, object_id: str) -> bool | None:
        """Whether a user is active; None when the directory does not know them."""
        chosen = select(directory_users.c.active).where(directory_users.c.object_id == object_id.lower())
        return connection.execute(chosen).scalar()


def group_names(connection: Connection, groups: Collection[str]) -> Mapping[str, str]:
    """What groups are called, by object id as it was asked for; without those that the directory does not know."""
    found: dict[str, str] = {}
    for part in _parts({group.lower() for group in groups}):
        rows = select(directory_groups.c.object_id, directory_groups.c.document).where(directory_groups.c.object_id.in_(part))
        found.update((id, str(json.loads(document)["displayName"])) for id, document in connection.execute(rows))
    return {group: found[group.lower()] for group in groups if group.lower() in found}


def object_id_of(external_id: str | None, scim_id: str) -> str:
    """Under which id the rest of Isthmus knows a user or a group."""
    return external_id.lower() if external_id and _GUID.fullmatch(external_id) else scim_id


def memberships(connection: Connection, users: Collection[str]) -> Mapping[str, frozenset[str]]:
    """Users by SCIM id: the object ids of every group each of them is in. Circles of groups end by themselves."""
    direct: dict[str, set[str]] = {user: set() for user in users}
    for row in _up(connection, users):
        direct[row[0]].add(row[1])
    above: dict[str, set[str]] = {}
    edge = {group for groups in direct.values() for group in groups}
    for _ in range(MAX_DEPTH - 1):
        for group in edge:
            above[group] = set()
        for member, group in _up(connection, edge):
            above[member].add(group)
        edge = {group for member in edge for group in above[member]} - above.keys()
        if not edge:
            break
    names = _object_ids(connection, {*above, *edge})
    return {user: frozenset(names[group] for group in _closed(groups, above)) for user, groups in direct.items()}


def users_below(connection: Connection, members: Iterable[str]) -> set[str]:
    """The users among members, given by SCIM id, and those in the groups among them."""
    found: set[str] = set()
    seen: set[str] = set()
    edge = set(members)
    known = {
        id
        for part in _parts(edge)
        for id in connection.execute(select(directory_users.c.id).where(directory_users.c.id.in_(part))).scalars()
    }
    found |= known
    edge -= known
    for _ in range(MAX_DEPTH):
        seen |= edge
        below: set[str] = set()
        for part in _parts(edge):
            chosen = select(directory_members.c.member_id, directory_members.c.kind).where(directory_members.c.group_id.in_(part))
            for row in connection.execute(chosen):
                (found if row.kind == USER else below).add(row.member_id)
        edge = below - seen
        if not edge:
            break
    return found


def _closed(groups: set[str], above: Mapping[str, set[str]]) -> set[str]:
    """Groups and everything above them, at most so many levels up."""
    found, edge = set(groups), groups
    for _ in range(MAX_DEPTH - 1):
        edge = {upper for group in edge for upper in above.get(group, ())} - found
        if not edge:
            break
        found |= edge
    return found


def _up(connection: Connection, members: Collection[str]) -> Iterator[tuple[str, str]]:
    """Member and group, for each group that one of the members is in."""
    for part in _parts(members):
        chosen = select(directory_members.c.member_id, directory_members.c.group_id).where(directory_members.c.member_id.in_(part))
        yield from ((row.member_id, row.group_id) for row in connection.execute(chosen))


def _object_ids(connection: Connection, groups: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in _parts(groups):
        chosen = select(directory_groups.c.id, directory_groups.c.object_id).where(directory_groups.c.id.in_(part))
        found.update((row.id, row.object_id) for row in connection.execute(chosen))
    return found


def _parts(ids: Collection[str]) -> Iterator[list[str]]:
    rest = iter(sorted(ids))
    while part := list(islice(rest, _CHUNK)):
        yield part
