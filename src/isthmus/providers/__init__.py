"""The ARM vocabulary: one file per namespace, each a few rows of ResourceType. `registry` is the whole table."""

from isthmus.providers.table import Ground, registry

__all__ = ["Ground", "registry"]
