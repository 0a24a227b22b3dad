"""Enrolment windows: one per instance and generation, open for minutes, used once.

A window bounds how long a registered key may wait for its machine. The machine's `vmId` derives from it, so a window that was never used
leaves nothing behind that anybody could guess or use again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID, uuid5

from sqlalchemy import Connection, delete, func, select, update

from isthmus.store import dialect
from isthmus.store.tables import windows

MILLISECONDS = 600_000
"""How long a window stays open."""

_NAMESPACE = UUID("b1f5d6f0-6c0a-5d0e-9a64-3f4f7f3c2c55")
_CHUNK = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """An open window; `expires_at` in epoch milliseconds."""

    id: str
    instance: str
    generation: int
    expires_at: int

    @property
    def vm_id(self) -> str:
        """The vmId of a machine that is registered in this window and had none before."""
        return str(uuid5(_NAMESPACE, self.id))


def open_window(connection: Connection, instance: str, generation: int, *, id: str, now: int) -> Window:
    """Open the window of an instance's generation under the new id `id`, or find it open already.

    Raises ValueError when this generation had its window before: a new try needs a new generation.
    """
    row = {"id": id, "instance_key": instance, "generation": generation, "state": "open", "opened_at": now}
    dialect.insert_new(connection, windows, row | {"expires_at": now + MILLISECONDS})
    found = connection.execute(select(windows).where(windows.c.instance_key == instance, windows.c.generation == generation)).one()
    if found.state != "open" or found.expires_at <= now:
        raise ValueError(f"Generation {generation} of {instance} had its window already.")
    return Window(id=found.id, instance=instance, generation=generation, expires_at=found.expires_at)


def consume(connection: Connection, id: str, now: int) -> bool:
    """Use a window. Atomic: of any number of callers one gets True, and only while the window is open."""
    used = update(windows).where(windows.c.id == id, windows.c.state == "open", windows.c.expires_at > now).values(state="used")
    return connection.execute(used).rowcount == 1


def expire(connection: Connection, now: int) -> list[str]:
    """Close the windows whose time is over, and answer their ids."""
    over = (windows.c.state == "open", windows.c.expires_at <= now)
    ids = list(connection.execute(select(windows.c.id).where(*over).order_by(windows.c.expires_at).limit(_CHUNK)).scalars())
    if ids:
        connection.execute(update(windows).where(windows.c.id.in_(ids)).values(state="expired"))
    return ids


def generations(connection: Connection, instances: Collection[str]) -> dict[str, int]:
    """The highest generation that ever had a window, for those instances that had one."""
    keys = sorted(instances)
    found: dict[str, int] = {}
    for start in range(0, len(keys), _CHUNK):
        chosen = windows.c.instance_key.in_(keys[start : start + _CHUNK])
        rows = connection.execute(
            select(windows.c.instance_key, func.max(windows.c.generation)).where(chosen).group_by(windows.c.instance_key)
        )
        found.update((key, int(highest)) for key, highest in rows)
    return found


def delete_old(connection: Connection, before: int) -> None:
    """Forget windows that ended before an instant, except each instance's latest, which keeps its generations from repeating."""
    newer = windows.alias()
    superseded = (
        select(newer.c.id).where(newer.c.instance_key == windows.c.instance_key, newer.c.generation > windows.c.generation).exists()
    )
    connection.execute(delete(windows).where(windows.c.state != "open", windows.c.expires_at < before, superseded))
