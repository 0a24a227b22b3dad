"""Where group memberships come from. A source that cannot tell says so: it never answers "no groups" instead."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from isthmus.access.directory import DirectoryGroups
from isthmus.identity.evidence import SignedIn
from isthmus.store import Store


class GroupsUnknown(Exception):
    """Nobody can say now in which groups a person is; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Membership:
    """Those of the asked groups that a person is in; `is_active` is False when the directory has disabled the person."""

    groups: frozenset[str]
    is_active: bool = True


class GroupSource(Protocol):
    """Answers for a person who has signed in."""

    def ask(self, person: SignedIn, groups: Collection[str]) -> Membership:
        """Which of `groups` the person is in now. Raises GroupsUnknown."""
        ...


class TokenGroups:
    """What the token of the sign-in told, which is as old as the sign-in."""

    def ask(self, person: SignedIn, groups: Collection[str]) -> Membership:
        """See the protocol. A token that leaves groups out (overage) tells nothing."""
        if person.groups is None:
            raise GroupsUnknown(
                "The directory's token does not tell all groups (there are too many, or the claim is not set up). Let the directory emit "
                "only groups that are assigned to the application, or let Isthmus ask the directory itself."
            )
        return Membership(groups=frozenset(person.groups) & frozenset(groups))


class ProvisionedGroups:
    """What a directory has provisioned by SCIM: as fresh as its last push, and independent of when a person signed in."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._directory = DirectoryGroups()

    def ask(self, person: SignedIn, groups: Collection[str]) -> Membership:
        """See the protocol. Whom the directory does not know (any more) counts as disabled."""
        with self._store.read() as connection:
            is_active = self._directory.is_active(connection, person.object_id)
            found = self._directory.groups_of(connection, person.object_id, groups)
        return Membership(groups=found, is_active=bool(is_active))
