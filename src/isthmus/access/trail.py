"""Events of trails come in, in any order and as often as they like: each is kept once and joined as soon as it can be.

What is known of a session can change whose its events are: then they are looked at again, and the sessions that they made, until nothing
changes any more. So the outcome is the same whatever came first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, select, update

from isthmus.access.joining import UNKNOWN, Console, Joined, console_of, exchanged, joined, key_of, makes_root
from isthmus.access.use import Use, note_use
from isthmus.audit.events import Event, pack, part, resources_text, text
from isthmus.store import dialect
from isthmus.store.tables import access_sessions, audit_checkpoints, trail_events, trail_machines, trail_sessions

BATCH: Final = 1_000
"""Events that are taken in at once: a transaction of some 100 ms on a small computer."""
_CHUNK = 400
_LATELY = 1_000
_WHOSE = ("person", "sign_in", "grant", "session", "foreign")


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What came of events: how many are new, how many of those are people's, how many older ones were joined anew."""

    new: int = 0
    joined: int = 0
    changed: int = 0


@dataclass(slots=True)
class _Kept:
    """An event under way: new, or stored before. `is_fixed` when its own content says whose it is."""

    seq: int
    id: str
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
class _Made:
    """A session as the event tells of it that made it."""

    event: str
    principal: str
    began_at: int
    source_identity: str
    is_root: bool
    whose: Joined
    is_changed: bool = False


@dataclass(slots=True)
class _Knowledge:
    """Sessions by key, as far as they were asked for; `given` are those that we gave."""

    connection: Connection
    given: dict[str, Joined] = field(default_factory=dict)
    made: dict[str, _Made] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def ask(self, keys: Iterable[str]) -> None:
        """Read what is stored of these keys."""
        fresh = {key for key in keys if key} - self.asked
        self.asked |= fresh
        for chunk in _chunks(sorted(fresh)):
            for row in self.connection.execute(select(access_sessions).where(access_sessions.c.id.in_(chunk))):
                self.given[row.id] = Joined(person=row.person, sign_in=row.sign_in, grant=row.grant, session=row.id)
            for row in self.connection.execute(select(trail_sessions).where(trail_sessions.c.id.in_(chunk))):
                self.made[row.id] = _made(row)

    def find(self) -> dict[str, Joined]:
        """Whose each known session is; what we gave ourselves counts more than what an event says of it."""
        return {key: one.whose for key, one in self.made.items()} | self.given


def ingest(connection: Connection, events: Sequence[Event], issuer: str) -> Taken:
    """Take in events (at most `BATCH` at a time is advised) in the caller's transaction; those that are there already change nothing.

    Writers take turns, so that numbers have no gaps and checkpoints cover them in order.
    """
    dialect.lock_name(connection, "trail")
    fresh = _fresh(connection, events)
    last = _last(connection)
    knowledge = _Knowledge(connection)
    knowledge.ask([event.key for event in fresh] + [event.made for event in fresh])
    kept = [_kept(number, event, issuer, knowledge.given) for number, event in enumerate(fresh, last + 1)]
    changed = _note_sessions(kept, knowledge) | _lately_given(connection, knowledge)
    touched = _settle(connection, kept, changed, knowledge)
    _write(connection, kept)
    _write_sessions(connection, knowledge)
    _rejoin(connection, touched)
    note_use(connection, ((one.whose.grant, one.use) for one in (*kept, *touched.values())))
    return Taken(new=len(kept), joined=sum(not one.whose.foreign for one in kept), changed=len(touched))


def _last(connection: Connection) -> int:
    """The highest number that an event ever had; those that are under a checkpoint may all be deleted."""
    covered = select(func.max(audit_checkpoints.c.size)).where(audit_checkpoints.c.tree == "trail")
    present = connection.execute(select(func.max(trail_events.c.seq))).scalar()
    return int(present or connection.execute(covered).scalar() or 0)


def _fresh(connection: Connection, events: Sequence[Event]) -> list[Event]:
    """Those that are not stored, each once. An event's time is part of what tells it apart, since by time it is found fast."""
    table = trail_events.c
    unique = {(event.at, event.id): event for event in events}
    stored: set[tuple[int, str]] = set()
    for chunk in _chunks(sorted({at for at, _ in unique})):
        stored.update((row.at, row.id) for row in connection.execute(select(table.at, table.id).where(table.at.in_(chunk))))
    return [event for key, event in unique.items() if key not in stored]


def _kept(seq: int, event: Event, issuer: str, given: Mapping[str, Joined]) -> _Kept:
    is_fixed = event.is_federation
    return _Kept(
        seq=seq,
        id=event.id,
        kind=event.kind,
        key=event.key,
        principal=event.principal,
        source_identity=event.source_identity,
        began_at=event.began_at,
        made=event.made,
        use=Use(source=event.source, name=event.name, outcome=event.outcome, at=event.at),
        whose=exchanged(event, issuer, given) if is_fixed else Joined(),
        is_fixed=is_fixed,
        event=event,
    )


def _note_sessions(kept: Sequence[_Kept], knowledge: _Knowledge) -> set[str]:
    """Sessions that these events made; their keys where that is news. Were there ever two for one key, the lower event id counts."""
    news = set()
    for one in kept:
        event = one.event
        if event is None or not one.made or one.kind == "AWSAccount":
            continue
        known = knowledge.made.get(one.made)
        if known is None or event.id < known.event:
            knowledge.made[one.made] = _Made(
                event=event.id,
                principal=event.made_principal,
                began_at=event.at,
                source_identity=_inherited(event),
                is_root=makes_root(event),
                whose=one.whose if one.is_fixed else Joined(foreign=UNKNOWN),
                is_changed=True,
            )
            news.add(one.made)
    return news


def _inherited(event: Event) -> str:
    answer = part(event.document, "responseElements")
    return text(answer, "sourceIdentity", 64) if isinstance(answer.get("sourceIdentity"), str) else event.source_identity


def _lately_given(connection: Connection, knowledge: _Knowledge) -> set[str]:
    """Keys of ours whose events came before our own record of the session was written: that takes moments, so the newest are asked."""
    newest = select(access_sessions.c.id).order_by(access_sessions.c.issued_at.desc(), access_sessions.c.id.desc()).limit(_LATELY)
    lately = newest.subquery()
    waits = exists().where(trail_events.c.access_key == lately.c.id, trail_events.c.loose.is_not(None))
    found = set(connection.execute(select(lately.c.id).where(waits)).scalars())
    knowledge.ask(found)
    return found


def _settle(connection: Connection, kept: Sequence[_Kept], changed: set[str], knowledge: _Knowledge) -> dict[int, _Kept]:
    """Join what is new, then whatever hangs on a session that changed, until nothing does; stored events that came out differently."""
    by_key, by_console = defaultdict(list), defaultdict(list)
    for one in kept:
        by_key[key_of(one)].append(one)
        console = console_of(one)
        if console is not None:
            by_console[console].append(one)
    stored: dict[int, _Kept] = {}
    touched: dict[int, _Kept] = {}
    affected: dict[int, _Kept] = {one.seq: one for one in kept}
    while changed or affected:
        for one in _hanging(connection, changed, knowledge):
            current = stored.setdefault(one.seq, one)
            affected[current.seq] = current
        for key in changed:
            affected |= {one.seq: one for one in by_key.get(key, ())}
            for console in _consoles(key, knowledge):
                affected |= {one.seq: one for one in by_console.get(console, ())}
        knowledge.ask(key_of(one) for one in affected.values())
        moved = _join(connection, [one for one in affected.values() if not one.is_fixed], knowledge)
        touched |= {one.seq: one for one in moved if one.event is None}
        changed, affected = _pass_on(moved, knowledge), {}
    return touched


def _join(connection: Connection, found: Sequence[_Kept], knowledge: _Knowledge) -> list[_Kept]:
    """Join each; those that came out differently."""
    sessions = knowledge.find()
    roots = _roots(connection, [one for one in found if key_of(one) not in sessions], knowledge)
    moved = []
    for one in found:
        whose, by_key = joined(one, sessions, lambda console: roots.get(console, ()))
        loose = one.principal if not by_key and one.source_identity else None
        if (whose, loose) != (one.whose, one.loose):
            one.whose, one.loose = whose, loose
            moved.append(one)
    return moved


def _pass_on(moved: Iterable[_Kept], knowledge: _Knowledge) -> set[str]:
    """Sessions are whose the events are that made them; keys of those that changed hands by that."""
    makers = [one for one in moved if one.made and one.kind != "AWSAccount"]
    knowledge.ask(one.made for one in makers)
    changed = set()
    for one in makers:
        made = knowledge.made.get(one.made)
        if made is not None and made.event == one.id and not made.is_root and made.whose != one.whose:
            made.whose, made.is_changed = one.whose, True
            changed.add(one.made)
    return changed


def _consoles(key: str, knowledge: _Knowledge) -> Iterator[Console]:
    made = knowledge.made.get(key)
    if made is not None and made.is_root:
        yield Console(principal=made.principal, began_at=made.began_at, source_identity=made.source_identity)


def _roots(connection: Connection, found: Sequence[_Kept], knowledge: _Knowledge) -> dict[Console, list[Joined]]:
    """Sessions by tokens that began as these events say their own did."""
    wanted = {console for one in found if (console := console_of(one)) is not None}
    if not wanted:
        return {}
    seen: dict[str, _Made] = {}
    pairs = sorted({(one.principal, one.began_at) for one in wanted})
    for place in dialect.in_pairs(trail_sessions.c.principal, trail_sessions.c.began_at, pairs):
        for row in connection.execute(select(trail_sessions).where(place, trail_sessions.c.is_root)):
            seen[row.id] = _made(row)
    roots = defaultdict(list)
    for one in (seen | knowledge.made).values():
        console = Console(principal=one.principal, began_at=one.began_at, source_identity=one.source_identity)
        if one.is_root and console in wanted:
            roots[console].append(one.whose)
    return roots


def _hanging(connection: Connection, changed: Collection[str], knowledge: _Knowledge) -> Iterator[_Kept]:
    """Stored events that a change of these sessions may concern."""
    table = trail_events.c
    told = (
        "seq",
        "id",
        "kind",
        "access_key",
        "principal",
        "source_identity",
        "began_at",
        "made",
        "source",
        "name",
        "outcome",
        "at",
        "loose",
    )
    columns = [table[name] for name in (*told, *_WHOSE)]
    consoles = sorted({(one.principal, one.began_at) for key in changed for one in _consoles(key, knowledge)})
    wanted: list[ColumnElement[bool]] = []
    for chunk in _chunks(sorted(changed)):
        wanted += [table.access_key.in_(chunk), table.made.in_(chunk)]
    wanted += dialect.in_pairs(table.loose, table.began_at, consoles)
    for condition in wanted:
        for row in connection.execute(select(*columns).where(condition)):
            yield _Kept(
                seq=row.seq,
                id=row.id,
                kind=row.kind,
                key=row.access_key or "",
                principal=row.principal,
                source_identity=row.source_identity,
                began_at=row.began_at,
                made=row.made or "",
                use=Use(source=row.source, name=row.name, outcome=row.outcome, at=row.at),
                whose=Joined(**{name: getattr(row, name) for name in _WHOSE}),
                loose=row.loose,
                # An exchange says itself whose it is; its caller has no key of a session.
                is_fixed=row.name.startswith("AssumeRoleWith"),
            )


def _write(connection: Connection, kept: Sequence[_Kept]) -> None:
    rows, machines = [], []
    for one in kept:
        event = one.event
        assert event is not None
        rows.append(_row(one, event))
        machines += [(machine, event.at, one.seq) for machine in event.machines]
    dialect.insert_many(connection, trail_events, rows)
    dialect.insert_many(connection, trail_machines, machines)


def _row(one: _Kept, event: Event) -> tuple[Any, ...]:
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


def _write_sessions(connection: Connection, knowledge: _Knowledge) -> None:
    rows = [
        {
            "id": key,
            "event": one.event,
            "principal": one.principal,
            "began_at": one.began_at,
            "source_identity": one.source_identity,
            "is_root": one.is_root,
            **_values(one.whose),
        }
        for key, one in knowledge.made.items()
        if one.is_changed
    ]
    dialect.upsert(connection, trail_sessions, rows)


def _rejoin(connection: Connection, touched: Mapping[int, _Kept]) -> None:
    if touched:
        changed = update(trail_events).where(trail_events.c.seq == bindparam("number"))
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in (*_WHOSE, "loose")}
        rows = [
            {"number": seq, "new_loose": one.loose, **{f"new_{name}": value for name, value in _values(one.whose).items()}}
            for seq, one in sorted(touched.items())
        ]
        connection.execute(changed.values(values), rows)


def _values(whose: Joined) -> dict[str, str | None]:
    return {name: getattr(whose, name) for name in _WHOSE}


def _made(row: Any) -> _Made:
    return _Made(
        event=row.event,
        principal=row.principal,
        began_at=row.began_at,
        source_identity=row.source_identity,
        is_root=bool(row.is_root),
        whose=Joined(**{name: getattr(row, name) for name in _WHOSE}),
    )


def _chunks(values: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield list(values[start : start + _CHUNK])
