"""What a directory calls its groups. A name is for people: nothing is decided by it, and what cannot be told is left out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from isthmus.access.directory import group_names
from isthmus.clouds.azure.graph import Graph, GraphFault, guid
from isthmus.store import Store

_log = structlog.get_logger("isthmus.access")
_KEPT: Final = 3_600.0
_PAUSE: Final = 60.0
_MOST: Final = 45

GroupNames = Callable[[Collection[str]], Mapping[str, str]]
"""The names of those groups that the directory can tell, by id in the spelling of the question. Of a directory it raises nothing."""


def provisioned_names(store: Store) -> GroupNames:
    """The names that a directory has provisioned by SCIM."""

    def names(groups: Collection[str]) -> Mapping[str, str]:
        with store.read() as connection:
            return group_names(connection, groups)

    return names


@dataclass(frozen=True, slots=True)
class _Told:
    """A name, empty where there is no such group, and until when it is taken for fresh (seconds of the clock)."""

    name: str = ""
    until: float = float("-inf")


class GraphNames:
    """The names that Entra tells, kept for an hour: pages show the same few groups again and again. One caller at a time asks, for as
    many as three calls tell; others, and everybody for a minute after a fault, get what is known. `clock` is monotonic, in seconds."""

    def __init__(self, graph: Graph, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._graph = graph
        self._clock = clock
        self._known: dict[str, _Told] = {}
        self._asks_from = float("-inf")
        self._asking = threading.Lock()

    def __call__(self, groups: Collection[str]) -> Mapping[str, str]:
        """See `GroupNames`."""
        ids = {group: guid(group) for group in groups}
        stale = sorted({id for id in ids.values() if id and self._told(id).until <= self._clock()})
        if stale and self._clock() >= self._asks_from and self._asking.acquire(blocking=False):
            try:
                self._learn(stale[:_MOST])
            finally:
                self._asking.release()
        return {group: told.name for group, id in ids.items() if (told := self._told(id)).name}

    def _told(self, id: str) -> _Told:
        return self._known.get(id, _Told())

    def _learn(self, ids: Collection[str]) -> None:
        try:
            found = self._graph.group_names(ids)
        except GraphFault as error:
            self._asks_from = self._clock() + _PAUSE
            _log.warning("the directory does not tell what groups are called", error=str(error))
            return
        until = self._clock() + _KEPT
        self._known.update((id, _Told(found.get(id, ""), until)) for id in ids)
