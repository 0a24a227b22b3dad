"""What is known of sessions besides that they were given: from where their person signed in, from where they are used, and their shells.

The directory's log tells the first, the trails of the accounts the others; both come later than the session, and may not come at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from isthmus.access.broker import SHELL
from isthmus.access.directory_logs import of_sign_ins
from isthmus.audit.events import UnreadableEvent, unpack
from isthmus.store.tables import access_grants, access_sessions, trail_events

_ADDRESS: Final = "sourceIPAddress"
_LONGEST = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """One session, with the name of whose it is. Addresses are empty where nobody told them; `last_call` is in milliseconds."""

    name: str = ""
    signed_in_from: str = ""
    used_from: str = ""
    last_call: int | None = None
    shells: int = 0


def watched(connection: Connection, sessions: Sequence[Row[Any]]) -> Mapping[str, Watched]:
    """What is known of each of these rows of `access_sessions`, by its key: a handful of queries for all of them."""
    ids = [row.id for row in sessions]
    logged = of_sign_ins(connection, [row.sign_in for row in sessions])
    named = select(access_grants.c.id, access_grants.c.name).where(access_grants.c.id.in_({row.grant for row in sessions}))
    names = {row.id: row.name for row in connection.execute(named)}
    calls, shells = _last_calls(connection, ids), _shells(connection, [row.id for row in sessions if row.use.startswith(SHELL)])
    return {
        row.id: Watched(
            name=names.get(row.grant, ""),
            signed_in_from=logged[row.sign_in].address if row.sign_in in logged else "",
            used_from=calls[row.id][1] if row.id in calls else "",
            last_call=calls[row.id][0] if row.id in calls else None,
            shells=shells.get(row.id, 0),
        )
        for row in sessions
    }


def _last_calls(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Time and address of the last call of each: one look into the index per session. The exchange that made it was our own call."""
    event, session = trail_events.c, access_sessions.c
    newest = (
        select(event.seq)
        .where(event.session == session.id, event.access_key.is_not(None))
        .order_by(event.at.desc(), event.seq.desc())
        .limit(1)
        .correlate(access_sessions)
        .scalar_subquery()
    )
    last = select(session.id, newest.label("seq")).where(session.id.in_(ids)).subquery()
    joined = select(last.c.id, event.at, event.document).select_from(last.join(trail_events, event.seq == last.c.seq))
    return {row.id: (row.at, _address(row.document)) for row in connection.execute(joined)}


def _address(packed: bytes) -> str:
    try:
        _, event = unpack(packed)
    except UnreadableEvent:
        return ""
    told = event.document.get(_ADDRESS)
    return told[:_LONGEST] if isinstance(told, str) else ""


def _shells(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """How many shells each of them opened. Only sessions for shells may: the others are not asked about."""
    event = trail_events.c
    opened = (event.session.in_(ids), event.source == "ssm.amazonaws.com", event.name == "StartSession", event.outcome == "")
    counted = select(event.session, func.count().label("shells")).where(*opened).group_by(event.session)
    return {row.session: row.shells for row in connection.execute(counted)}
