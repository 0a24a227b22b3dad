"""Token ids that were used: each single-use token is accepted once, by whichever of two concurrent requests comes first."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete

from isthmus.store.dialect import insert_new
from isthmus.store.tables import used_assertions


def spender(connection: Connection, clock: Callable[[], float]) -> Callable[[str, int], bool]:
    """`spend` for a trust context, within the caller's transaction; ids whose token has expired are forgotten on the way."""

    def spend(digest: str, expires_at: int) -> bool:
        connection.execute(delete(used_assertions).where(used_assertions.c.expires_at < int(clock() * 1000)))
        return insert_new(connection, used_assertions, {"hash": digest, "expires_at": expires_at})

    return spend
