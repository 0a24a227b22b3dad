"""What an end state is made of, read from the database directly: the API could hide a double."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from sqlalchemy import func, select

from isthmus.store import Store
from isthmus.store.tables import instances, operations, registrations, resources, scopes, windows

_LAB_DEFAULT = re.compile(r"-0000000\d(?![0-9a-f])")


def store_of(url: str) -> Store:
    """The store behind a database URL, with the dialect settings of the product."""
    return Store(url)


def resources_of(url: str) -> dict[str, tuple[Any, ...]]:
    """Every resource by key: what the cloud said of it (digest), where it derives from, when it was made, its place.

    Default networks are left out: the lab gives theirs the same ids in every region, which AWS never does, so chance says which is kept.
    """
    store = store_of(url)
    with store.read() as connection:
        found = connection.execute(
            select(
                resources.c.key,
                resources.c.id,
                resources.c.type,
                resources.c.source,
                resources.c.digest,
                resources.c.location,
                resources.c.created_at,
            )
        ).all()
    store.close()
    assert len({row.key for row in found}) == len(found)
    return {row.key: tuple(row[1:]) for row in found if not _LAB_DEFAULT.search(row.key)}


def finished_cells(url: str, solution: str) -> int:
    """Cells of the solution's scans that are closed by now."""
    store = store_of(url)
    with store.read() as connection:
        count = connection.execute(select(func.count()).select_from(scopes).where(scopes.c.solution == solution.lower())).scalar()
    store.close()
    return int(count or 0)


def joined(url: str) -> dict[str, Any]:
    """The onboarding's books: instance states, registrations by state, and everything that should be there once."""
    store = store_of(url)
    with store.read() as connection:
        states = connection.execute(select(instances.c.state, instances.c.generation)).all()
        registered = connection.execute(select(registrations)).mappings().all()
        opened = connection.execute(select(windows.c.instance_key, windows.c.generation)).all()
        running = connection.execute(select(operations.c.id, operations.c.kind).where(operations.c.ended_at.is_(None))).all()
    store.close()
    return {
        "states": Counter(row.state for row in states),
        "generations": {row.generation for row in states},
        "registrations": Counter(row["state"] for row in registered),
        "vm_ids": {row["vm_id"] for row in registered},
        "key_hashes": {row["key_hash"] for row in registered},
        "windows": Counter(row.instance_key for row in opened),
        "running": [tuple(row) for row in running],
    }
