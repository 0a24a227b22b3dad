"""Events of trails come in, in any order and as often as they like: each is kept once and joined as soon as it can be.

What is known of a session can change whose its events are: then they are looked at again, and the sessions that they made, until nothing
changes any more. So the outcome is the same whatever came first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, exists, func, select

from isthmus.access.joining import (
    UNKNOWN,
    Console,
    Joined,
    Place,
    console_of,
    exchanged,
    joined,
    key_of,
    loose_of,
    makes_root,
    place_of,
    places,
)
from isthmus.access.trail_rows import Kept, Made, kept_where, made_of, rejoin, write, write_sessions
from isthmus.access.use import Use, note_use
from isthmus.audit.events import Event, part, text
from isthmus.store import dialect
from isthmus.store.tables import access_sessions, audit_checkpoints, trail_events, trail_sessions

BATCH: Final = 1_000
"""Events that are taken in at once: a transaction of some 100 ms on a small computer."""
_CHUNK = 400
_LATELY = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What came of events: how many are new, how many of those are people's, how many older ones were joined anew."""

    new: int = 0
    joined: int = 0
    changed: int = 0


@dataclass(slots=True)
class _Knowledge:
    """Sessions by key and account, as far as they were asked for; `given` are those that we gave."""

    connection: Connection
    given: dict[Place, Joined] = field(default_factory=dict)
    made: dict[Place, Made] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def ask(self, keys: Iterable[str]) -> None:
        """Read what is stored of these keys."""
        fresh = {key for key in keys if key} - self.asked
        self.asked |= fresh
        for chunk in _chunks(sorted(fresh)):
            for row in self.connection.execute(select(access_sessions).where(access_sessions.c.id.in_(chunk))):
                self.given[row.id, row.account] = Joined(person=row.person, sign_in=row.sign_in, grant=row.grant, session=row.id)
            for row in self.connection.execute(select(trail_sessions).where(trail_sessions.c.id.in_(chunk))):
                self.made[row.id, row.account] = made_of(row)

    def find(self) -> dict[Place, Joined]:
        """Whose each known session is, by its places; what we gave ourselves counts more than what an event says of it."""
        return {place: one.whose for (key, account), one in self.made.items() for place in places(key, account, one.home)} | self.given


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
    write(connection, kept)
    write_sessions(connection, knowledge.made)
    rejoin(connection, touched)
    note_use(connection, ((one.whose.grant, one.use) for one in (*kept, *touched.values())))
    return Taken(new=len(kept), joined=sum(not one.whose.foreign for one in kept), changed=len(touched))


def _last(connection: Connection) -> int:
    """The highest number that an event ever had; those that are under a checkpoint may all be deleted."""
    covered = select(func.max(audit_checkpoints.c.size)).where(audit_checkpoints.c.tree == "trail")
    present = connection.execute(select(func.max(trail_events.c.seq))).scalar()
    return int(present or connection.execute(covered).scalar() or 0)


def _fresh(connection: Connection, events: Sequence[Event]) -> list[Event]:
    """Those that are not stored, each once. Its account is part of what tells an event apart: nobody may take the place of another one's.
    So is its time, since by time it is found fast."""
    table = trail_events.c
    unique = {(event.at, event.id, event.account): event for event in events}
    stored: set[tuple[int, str, str]] = set()
    for chunk in _chunks(sorted({at for at, _, _ in unique})):
        known = select(table.at, table.id, table.account).where(table.at.in_(chunk))
        stored.update((row.at, row.id, row.account) for row in connection.execute(known))
    return [event for key, event in unique.items() if key not in stored]


def _kept(seq: int, event: Event, issuer: str, given: Mapping[Place, Joined]) -> Kept:
    is_fixed = event.is_federation
    return Kept(
        seq=seq,
        id=event.id,
        account=event.account,
        caller=event.caller,
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


def _note_sessions(kept: Sequence[Kept], knowledge: _Knowledge) -> set[Place]:
    """Sessions that these events made, where that is news. Were there ever two for one key in an account, the lower event id counts."""
    news = set[Place]()
    for one in kept:
        event = one.event
        if event is None or not one.made:
            continue
        place = (one.made, one.account)
        known = knowledge.made.get(place)
        if known is None or event.id < known.event:
            knowledge.made[place] = Made(
                account=event.account,
                event=event.id,
                home=event.home,
                principal=event.made_principal,
                began_at=event.at,
                source_identity=_inherited(event),
                is_root=makes_root(event),
                whose=one.whose if one.is_fixed else Joined(foreign=UNKNOWN),
                is_changed=True,
            )
            news.add(place)
    return news


def _inherited(event: Event) -> str:
    answer = part(event.document, "responseElements")
    return text(answer, "sourceIdentity", 64) if isinstance(answer.get("sourceIdentity"), str) else event.source_identity


def _lately_given(connection: Connection, knowledge: _Knowledge) -> set[Place]:
    """Sessions of ours whose events came before our own record of the session was written: that takes moments, so the newest are asked."""
    table, event = access_sessions.c, trail_events.c
    lately = select(table.id, table.account).order_by(table.issued_at.desc(), table.id.desc()).limit(_LATELY).subquery()
    waits = exists().where(event.access_key == lately.c.id, event.account == lately.c.account, event.loose.is_not(None))
    found: set[Place] = {(row.id, row.account) for row in connection.execute(select(lately).where(waits))}
    knowledge.ask(key for key, _ in found)
    return found


def _settle(connection: Connection, kept: Sequence[Kept], changed: set[Place], knowledge: _Knowledge) -> dict[int, Kept]:
    """Join what is new, then whatever hangs on a session that changed, until nothing does; stored events that came out differently."""
    by_key, by_console = defaultdict(list), defaultdict(list)
    for one in kept:
        by_key[key_of(one)].append(one)
        console = console_of(one)
        if console is not None:
            by_console[console].append(one)
    stored: dict[int, Kept] = {}
    touched: dict[int, Kept] = {}
    affected: dict[int, Kept] = {one.seq: one for one in kept}
    while changed or affected:
        for one in _hanging(connection, changed, knowledge):
            current = stored.setdefault(one.seq, one)
            affected[current.seq] = current
        for place in changed:
            affected |= {one.seq: one for one in by_key.get(place[0], ())}
            for console in _consoles(place, knowledge):
                affected |= {one.seq: one for one in by_console.get(console, ())}
        knowledge.ask(key_of(one) for one in affected.values())
        moved = _join(connection, [one for one in affected.values() if not one.is_fixed], knowledge)
        touched |= {one.seq: one for one in moved if one.event is None}
        changed, affected = _pass_on(moved, knowledge), {}
    return touched


def _join(connection: Connection, found: Sequence[Kept], knowledge: _Knowledge) -> list[Kept]:
    """Join each; those that came out differently."""
    sessions = knowledge.find()
    roots = _roots(connection, [one for one in found if place_of(one) not in sessions], knowledge)
    moved = []
    for one in found:
        whose, by_key = joined(one, sessions, lambda console: roots.get(console, ()))
        loose = loose_of(one, is_known=by_key)
        if (whose, loose) != (one.whose, one.loose):
            one.whose, one.loose = whose, loose
            moved.append(one)
    return moved


def _pass_on(moved: Iterable[Kept], knowledge: _Knowledge) -> set[Place]:
    """Sessions are whose the events are that made them; those that changed hands by that."""
    makers = [one for one in moved if one.made]
    knowledge.ask(one.made for one in makers)
    changed = set[Place]()
    for one in makers:
        place = (one.made, one.account)
        made = knowledge.made.get(place)
        if made is not None and made.event == one.id and not made.is_root and made.whose != one.whose:
            made.whose, made.is_changed = one.whose, True
            changed.add(place)
    return changed


def _consoles(place: Place, knowledge: _Knowledge) -> Iterator[Console]:
    made = knowledge.made.get(place)
    if made is not None and made.is_root:
        yield _console(made)


def _console(made: Made) -> Console:
    return Console(account=made.account, principal=made.principal, began_at=made.began_at, source_identity=made.source_identity)


def _roots(connection: Connection, found: Sequence[Kept], knowledge: _Knowledge) -> Mapping[Console | None, list[Joined]]:
    """Sessions by tokens that began as these events say their own did."""
    wanted = {console for one in found if (console := console_of(one)) is not None}
    if not wanted:
        return {}
    seen: dict[Place, Made] = {}
    pairs = sorted({(one.principal, one.began_at) for one in wanted})
    for place in dialect.in_pairs(trail_sessions.c.principal, trail_sessions.c.began_at, pairs):
        for row in connection.execute(select(trail_sessions).where(place, trail_sessions.c.is_root)):
            seen[row.id, row.account] = made_of(row)
    roots = defaultdict(list)
    for one in (seen | knowledge.made).values():
        if one.is_root and (console := _console(one)) in wanted:
            roots[console].append(one.whose)
    return roots


def _hanging(connection: Connection, changed: Collection[Place], knowledge: _Knowledge) -> Iterator[Kept]:
    """Stored events that a change of these sessions may concern."""
    table = trail_events.c
    consoles = sorted({(one.principal, one.began_at) for place in changed for one in _consoles(place, knowledge)})
    wanted: list[ColumnElement[bool]] = []
    for chunk in _chunks(sorted({place[0] for place in changed})):
        wanted += [table.access_key.in_(chunk), table.made.in_(chunk)]
    wanted += dialect.in_pairs(table.loose, table.began_at, consoles)
    for condition in wanted:
        yield from kept_where(connection, condition)


def _chunks(values: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield list(values[start : start + _CHUNK])
