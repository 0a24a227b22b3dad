"""Members of groups: rows, never lists in a document."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from scim2_models import Context, InvalidValueException, Resource
from sqlalchemy import Connection, Table, delete, insert, select

from isthmus.access.directory import GROUP, USER, users_below
from isthmus.store.tables import directory_groups, directory_members, directory_users

__all__ = ["below", "change", "ids_in", "ids_of", "members_of", "news", "users_below"]

_CHUNK = 400
_NAMED = 50
"""Object ids that an audit record names; it counts the rest."""


def members_of(connection: Connection, groups: Collection[str]) -> dict[str, list[dict[str, str]]]:
    """The members of groups as SCIM shows them; references are relative to the root of the server."""
    found: dict[str, list[dict[str, str]]] = {group: [] for group in groups}
    for part in _parts(groups):
        chosen = select(directory_members).where(directory_members.c.group_id.in_(part)).order_by(directory_members.c.member_id)
        for row in connection.execute(chosen):
            found[row.group_id].append({"value": row.member_id, "$ref": f"{row.kind}s/{row.member_id}", "type": row.kind})
    return found


def ids_in(connection: Connection, group: str) -> set[str]:
    """Ids of the members of a group."""
    return set(connection.execute(select(directory_members.c.member_id).where(directory_members.c.group_id == group)).scalars())


def ids_of(resource: Resource[Any]) -> list[str]:
    """Ids of the members that a group names. Raises InvalidValueException for one without."""
    members = resource.model_dump(scim_ctx=Context.DEFAULT).get("members", ())
    ids = [member.get("value") for member in members]
    if not all(isinstance(id, str) and id for id in ids):
        raise InvalidValueException(detail="Each member needs the id of a user or a group as its value.")
    return ids


def below(connection: Connection, group: str) -> set[str]:
    """Every user in a group, directly or not."""
    return users_below(connection, ids_in(connection, group))


def news(connection: Connection, group: str, wanted: Mapping[str, bool]) -> dict[str, bool]:
    """What of a wish is not so already."""
    present: set[str] = set()
    for part in _parts(wanted):
        chosen = (directory_members.c.group_id == group, directory_members.c.member_id.in_(part))
        present |= set(connection.execute(select(directory_members.c.member_id).where(*chosen)).scalars())
    return {id: shall for id, shall in wanted.items() if shall != (id in present)}


def change(connection: Connection, group: str, changes: Mapping[str, bool]) -> dict[str, Any]:
    """Add and remove members; what the audit record says of it. Raises InvalidValueException for ids that nobody here has."""
    came, went = ([id for id, shall in changes.items() if shall is one] for one in (True, False))
    kinds = _known(connection, came)
    strangers = [id for id in came if id not in kinds]
    if strangers:
        raise InvalidValueException(detail=f"There is no user or group '{strangers[0][:64]}' that could be a member.")
    names = _known(connection, went) | kinds
    for part in _parts(went):
        chosen = (directory_members.c.group_id == group, directory_members.c.member_id.in_(part))
        connection.execute(delete(directory_members).where(*chosen))
    if came:
        rows = [{"group_id": group, "member_id": id, "kind": kinds[id][0]} for id in came]
        connection.execute(insert(directory_members), rows)
    return {**_told("added", came, names), **_told("removed", went, names)}


def _told(word: str, ids: Collection[str], names: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    return {word: sorted(names[id][1] for id in ids if id in names)[:_NAMED], f"{word}Count": len(ids)} if ids else {}


def _known(connection: Connection, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Kind and object id of those ids that somebody has."""
    found: dict[str, tuple[str, str]] = {}
    tables: tuple[tuple[str, Table], ...] = ((USER, directory_users), (GROUP, directory_groups))
    for part in _parts(id for id in ids if "\0" not in id):
        for kind, table in tables:
            rows = connection.execute(select(table.c.id, table.c.object_id).where(table.c.id.in_(part)))
            found.update((row.id, (kind, row.object_id)) for row in rows)
    return found


def _parts(ids: Iterable[str]) -> list[list[str]]:
    every = sorted(ids)
    return [every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK)]
