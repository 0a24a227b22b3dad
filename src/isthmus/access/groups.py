"""Where group memberships come from. A source that cannot tell says so: it never answers "no groups" instead."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from isthmus.access.directory import DirectoryGroups
from isthmus.clouds.azure.graph import Graph, GraphFault
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
    """Answers for a person who has signed in. `is_live` sources are the directory itself: they are asked about everybody, also where no
    group is mapped, and whom they call disabled holds nothing."""

    @property
    def is_live(self) -> bool:
        """Whether it is the directory itself."""
        ...

    def ask(self, person: SignedIn, groups: Collection[str]) -> Membership:
        """Which of `groups` the person is in now. Raises GroupsUnknown."""
        ...


class TokenGroups:
    """What the token of the sign-in told, which is as old as the sign-in."""

    is_live = False

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

    is_live = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self._directory = DirectoryGroups()

    def ask(self, person: SignedIn, groups: Collection[str]) -> Membership:
        """See the protocol. Whom the directory does not know (any more) counts as disabled."""
        with self._store.read() as connection:
            is_active = self._directory.is_active(connection, person.object_id)
            found = self._directory.groups_of(connection, person.object_id, groups)
        return Membership(groups=found, is_active=bool(is_active))


class GraphGroups:
    """What Entra says at this moment. Nothing is remembered: each question is asked, so that each session rests on an answer of its own.

    `issuer` is the one of the tenant that is asked: people who come from elsewhere have other object ids there. At most `at_once` questions
    are asked at a time, so that a slow Graph does not hold every thread.
    """

    is_live = True

    def __init__(self, graph: Graph, issuer: str, *, at_once: int = 16) -> None:
        self._graph = graph
        self._issuer = issuer
        self._places = threading.BoundedSemaphore(at_once)

    def ask(self, person: SignedIn, groups: Collection[str]) -> Membership:
        """See the protocol. Whom the directory has disabled or does not know (any more) is not active."""
        if person.issuer != self._issuer:
            raise GroupsUnknown(
                f"The sign-in came from {person.issuer}, and Graph is asked about people of {self._issuer}. "
                "Let ISTHMUS_GRAPH_TENANT_ID name the tenant that people sign in with."
            )
        if not self._places.acquire(blocking=False):
            raise GroupsUnknown("The directory is being asked about too many people at this moment. Try again.")
        try:
            user = self._graph.user(person.object_id)
            found = self._graph.member_groups(person.object_id, groups) if user is not None and user.is_enabled else None
        except GraphFault as error:
            raise GroupsUnknown(f"The directory cannot be asked now, so nothing is given. {error}") from error
        finally:
            self._places.release()
        return Membership(groups=found or frozenset(), is_active=found is not None)


class AskedOnce:
    """A source that is asked once about a person and many groups, for a list: the answers are as old as the list."""

    def __init__(self, source: GroupSource, groups: Collection[str]) -> None:
        self.is_live = source.is_live
        self._source = source
        self._groups = frozenset(groups)
        self._known: dict[str, Membership | GroupsUnknown] = {}

    def ask(self, person: SignedIn, groups: Collection[str]) -> Membership:
        """See the protocol."""
        known = self._known.get(person.id)
        if known is None:
            try:
                known = self._source.ask(person, self._groups)
            except GroupsUnknown as error:
                known = error
            self._known[person.id] = known
        if isinstance(known, GroupsUnknown):
            raise known
        return Membership(groups=known.groups & frozenset(groups), is_active=known.is_active)
