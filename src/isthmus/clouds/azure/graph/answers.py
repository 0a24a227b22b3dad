"""What Graph answers, read strictly: what is not as documented is left out or refused, never guessed.

Source: Microsoft Graph v1.0, resources `user`, `group`, `subscription`, and "Use delta query to track changes".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_USER = "#microsoft.graph.user"


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A user of the directory."""

    id: str
    is_enabled: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """Somebody (or a group) that came into a group or left it. `is_user` is None when Graph does not say what it is."""

    group: str
    id: str
    is_removed: bool
    is_user: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What changed since the last time: `touched` are ids of changed resources, `removed` of deleted ones, `disabled` of users who are
    disabled by the last word on them. `link` is where to go on."""

    touched: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    members: tuple[Member, ...] = ()
    link: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscription:
    """A promise to be told; `expires_at` in milliseconds."""

    id: str
    resource: str
    expires_at: int


def guid(value: object) -> str:
    """An object id in lower case; empty for anything else."""
    return value.lower() if isinstance(value, str) and _GUID.fullmatch(value) else ""


def user_of(answer: Mapping[str, Any]) -> User | None:
    """A user; None unless Graph says whether it is enabled, for what is not told is not taken for granted."""
    id, is_enabled = guid(answer.get("id")), answer.get("accountEnabled")
    return User(id=id, is_enabled=is_enabled) if id and isinstance(is_enabled, bool) else None


def values(page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a page."""
    found = page.get("value")
    return (row for row in found if isinstance(row, dict)) if isinstance(found, list) else iter(())


def changes_of(pages: Iterable[Mapping[str, Any]]) -> Changes | None:
    """Everything that the pages of one round tell; None when they do not end with a link to go on from."""
    touched, removed, members, link = set[str](), set[str](), dict[tuple[str, str], Member](), ""
    enabled: dict[str, bool] = {}
    for page in pages:
        for row in values(page):
            id = guid(row.get("id"))
            if id:
                (removed if "@removed" in row else touched).add(id)
                if "accountEnabled" in row:
                    enabled[id] = row["accountEnabled"] is not False
                # The same member may be told several times; the last word counts.
                members.update(((one.group, one.id), one) for one in _members(id, row.get("members@delta")))
        last = page.get("@odata.deltaLink")
        link = last if isinstance(last, str) else ""
    if not link:
        return None
    return Changes(
        touched=frozenset(touched),
        disabled=frozenset(id for id, is_enabled in enabled.items() if not is_enabled),
        removed=frozenset(removed),
        members=tuple(members.values()),
        link=link,
    )


def _members(group: str, told: object) -> Iterator[Member]:
    for row in told if isinstance(told, list) else ():
        id = guid(row.get("id")) if isinstance(row, dict) else ""
        if id:
            kind = row.get("@odata.type")
            yield Member(group=group, id=id, is_removed="@removed" in row, is_user=kind == _USER if isinstance(kind, str) else None)


def subscription_of(answer: Mapping[str, Any]) -> Subscription | None:
    """A subscription as Graph keeps it."""
    id, resource, end = answer.get("id"), answer.get("resource"), answer.get("expirationDateTime")
    if not isinstance(id, str) or not 0 < len(id) <= 64 or not isinstance(resource, str) or not isinstance(end, str):
        return None
    try:
        return Subscription(id=id, resource=resource, expires_at=round(datetime.fromisoformat(end).timestamp() * 1000))
    except ValueError:
        return None
