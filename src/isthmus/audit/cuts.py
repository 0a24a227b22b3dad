"""Where the trail begins: events may be deleted from the oldest on, up to a checkpoint, once the chain says so."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row

from isthmus.audit.merkle import Tree

ACTION: Final = "Isthmus.Access/trail/delete"
"""The action of records that say up to which event the trail was deleted (`until` in their detail)."""


def until_of(record: Row[Any]) -> int:
    """Up to which event a record of the chain says that the trail was deleted; 0 where it says nothing of the kind."""
    if record.action != ACTION or record.outcome != "accepted":
        return 0
    try:
        found = json.loads(record.detail)["until"]
    except (ValueError, KeyError, TypeError):
        return 0
    return found if isinstance(found, int) and found > 0 else 0


def tree_of(row: Row[Any]) -> Tree | None:
    """The tree of a checkpoint, from the hashes to go on from; None where they are not those of the root that was signed."""
    try:
        said: Mapping[str, Any] = json.loads(row.body)
        edge: Sequence[str] = json.loads(row.edge)
        tree = Tree(row.size, [bytes.fromhex(one) for one in edge])
        return tree if said["root"] == tree.root.hex() and said["size"] == row.size else None
    except (ValueError, KeyError, TypeError):
        return None
