"""Which groups of Entra matter: those that mappings name, and the groups in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from isthmus.access.entra import marks
from isthmus.access.entra.marks import Mark
from isthmus.access.mappings import ROLE_MAPPINGS
from isthmus.clouds.azure.graph import Graph, guid
from isthmus.engine import Engine, Lookup

NESTED: Final = "nested"
_AGE = 3_600_000
"""How old (ms) the list of groups in groups gets at most; a change of it that is told has it read at once."""


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Finds these groups and remembers those within."""

    engine: Engine
    lookup: Lookup
    graph: Graph

    def mapped(self) -> frozenset[str]:
        """Ids of groups that role mappings name. What is no id of Entra's cannot be one of its groups."""
        found = set[str]()
        for one in self.lookup.all(types=[ROLE_MAPPINGS]):
            found.update(guid(group) for group in one.properties.get("groups") or ())
        return frozenset(found - {""})

    def groups(self) -> frozenset[str]:
        """All that matter, as last read. Raises GraphFault when groups within have to be read and cannot."""
        mapped, now = self.mapped(), self.engine.now()
        with self.engine.store.read() as connection:
            known = marks.find(connection, NESTED)
        if known is not None and known.link == _named(mapped) and 0 <= now - known.read_at < _AGE:
            return mapped | known.covers
        within = frozenset[str]().union(*(self.graph.nested_groups(group) for group in sorted(mapped)))
        with self.engine.store.begin() as connection:
            marks.keep(connection, Mark(name=NESTED, covers=within, link=_named(mapped), read_at=now))
        return mapped | within


def _named(mapped: frozenset[str]) -> str:
    """What the list of groups within was made of."""
    return " ".join(sorted(mapped))
