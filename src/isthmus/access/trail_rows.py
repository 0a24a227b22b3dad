"""Rows of events and of the sessions that they made: read and written, and nothing decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, case, or_, select, update

from isthmus.access.joining import OTHER_ACCOUNT, Joined, Place
from isthmus.access.use import Use
from isthmus.audit.events import SAML, STS, WEB, Event, UnreadableEvent, pack, resources_text, unpack
from isthmus.store import dialect
from isthmus.store.tables import trail_events, trail_machines, trail_sessions

WHOSE: Final = ("person", "sign_in", "grant", "session", "foreign")
_TOLD = (
    *("seq", "id", "account", "kind", "access_key", "principal", "source_identity", "began_at", "made", "source", "name", "outcome", "at"),
    "loose",
)


@dataclass(slots=True)
class Kept:
    """An event under way: new, or stored before. `is_fixed` when its own content says whose it is."""

    seq: int
    id: str
    account: str
    caller: str
    kind: str
    key: str
    principal: str
    source_identity: str
    began_at: int
    made: str
    use: Use
    whose: Joined
    loose: str | None = None
    is_fixed: bool = False
    event: Event | None = None


@dataclass(slots=True)
class Made:
    """A session as the event tells of it that made it. `home` is the account in which it acts, None where that was not kept."""

    account: str
    event: str
    home: str | None
    principal: str
    began_at: int
    source_identity: str
    is_root: bool
    whose: Joined
    is_changed: bool = False


def kept_where(connection: Connection, condition: ColumnElement[bool]) -> Iterator[Kept]:
    """Stored events under a condition. The caller's account is read from the documents of those alone that may have another one."""
    table = trail_events.c
    is_abroad = or_(table.kind == "AWSAccount", table.foreign == OTHER_ACCOUNT)
    columns: list[ColumnElement[Any]] = [table[name] for name in (*_TOLD, *WHOSE)]
    columns.append(case((is_abroad, table.document)).label("abroad"))
    for row in connection.execute(select(*columns).where(condition)):
        yield Kept(
            seq=row.seq,
            id=row.id,
            account=row.account,
            caller=row.account if row.abroad is None else _caller(row.abroad),
            kind=row.kind,
            key=row.access_key or "",
            principal=row.principal,
            source_identity=row.source_identity,
            began_at=row.began_at,
            made=row.made or "",
            use=Use(source=row.source, name=row.name, outcome=row.outcome, at=row.at),
            whose=Joined(**{name: getattr(row, name) for name in WHOSE}),
            loose=row.loose,
            # An exchange says itself whose it is; its caller has no key of a session.
            is_fixed=row.source == STS and row.name in (WEB, SAML),
        )


def _caller(packed: bytes) -> str:
    """The account of a caller of another account, which the document alone tells. Empty where that was damaged: it joins nothing."""
    try:
        return unpack(packed)[1].caller
    except UnreadableEvent:
        return ""


def write(connection: Connection, kept: Sequence[Kept]) -> None:
    """Store new events, and which machines they name."""
    rows, machines = [], []
    for one in kept:
        event = one.event
        assert event is not None
        rows.append(_row(one, event))
        machines += [(machine, event.at, one.seq) for machine in event.machines]
    dialect.insert_many(connection, trail_events, rows)
    dialect.insert_many(connection, trail_machines, machines)


def _row(one: Kept, event: Event) -> tuple[Any, ...]:
    """A value for each column, in the table's order."""
    digest, document = pack(event)
    whose = one.whose
    return (
        one.seq,
        event.id,
        event.account,
        event.region,
        event.at,
        event.source,
        event.name,
        event.kind,
        event.key or None,
        event.principal,
        event.source_identity,
        event.began_at,
        event.made or None,
        event.outcome,
        event.is_read_only,
        resources_text(event),
        whose.person,
        whose.sign_in,
        whose.grant,
        whose.session,
        whose.foreign,
        one.loose,
        digest,
        document,
    )


def write_sessions(connection: Connection, made: Mapping[Place, Made]) -> None:
    """Store the sessions that changed."""
    rows = [
        {
            "id": key,
            "account": account,
            "event": one.event,
            "home": one.home,
            "principal": one.principal,
            "began_at": one.began_at,
            "source_identity": one.source_identity,
            "is_root": one.is_root,
            **_values(one.whose),
        }
        for (key, account), one in made.items()
        if one.is_changed
    ]
    dialect.upsert(connection, trail_sessions, rows)


def rejoin(connection: Connection, touched: Mapping[int, Kept]) -> None:
    """Store whose these stored events are now."""
    if touched:
        changed = update(trail_events).where(trail_events.c.seq == bindparam("number"))
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in (*WHOSE, "loose")}
        rows = [
            {"number": seq, "new_loose": one.loose, **{f"new_{name}": value for name, value in _values(one.whose).items()}}
            for seq, one in sorted(touched.items())
        ]
        connection.execute(changed.values(values), rows)


def _values(whose: Joined) -> dict[str, str | None]:
    return {name: getattr(whose, name) for name in WHOSE}


def made_of(row: Any) -> Made:
    """The session of a row."""
    return Made(
        account=row.account,
        event=row.event,
        home=row.home,
        principal=row.principal,
        began_at=row.began_at,
        source_identity=row.source_identity,
        is_root=bool(row.is_root),
        whose=Joined(**{name: getattr(row, name) for name in WHOSE}),
    )
