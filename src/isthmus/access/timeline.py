"""The timeline: sign-ins, grants, sessions and every call, newest first, of one person, machine, session or grant.

Each kind is a range of one index, read from where the page before ended; the pages are those ranges merged.
"""

from __future__ import annotations

import heapq
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Table, literal_column, select, tuple_

from isthmus.access.directory_logs import of_sign_ins
from isthmus.access.joining import OUR_OWN, REASONS
from isthmus.audit.events import unpack
from isthmus.store.tables import access_grants, access_sessions, sign_ins, trail_events, trail_machines, trail_sessions

CALL, SHELL, SESSION, GRANT, SIGN_IN = "Call", "Shell", "Session", "Grant", "SignIn"
_RANKS: Final[Mapping[str, int]] = {CALL: 4, SESSION: 3, GRANT: 2, SIGN_IN: 1}
_SHELLS = frozenset({"StartSession", "ResumeSession", "TerminateSession"})
_PLACE = re.compile(r"([0-9]{1,15}):(4(?=:[0-9]{1,15}$)|[1-3]):(.{1,128})", re.ASCII)
_SHOWN = (
    *("seq", "id", "account", "region", "at", "source", "name", "kind", "access_key", "principal", "source_identity", "outcome"),
    *("read_only", "resources", "person", "sign_in", "grant", "session", "foreign"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What of the timeline is wanted: at most one of the four, nothing before `since` and nothing from `until` on (ms, 0: no end). Where it
    is none of them, what Isthmus itself called is left out unless `own` says so. `after` is an entry's `place`."""

    person: str = ""
    machine: str = ""
    session: str = ""
    grant: str = ""
    own: bool = False
    since: int = 0
    until: int = 0
    after: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing that happened. `detail` is of its kind; `place` goes on after it."""

    kind: str
    at: int
    id: str
    person: str
    sign_in: str
    grant: str
    session: str
    place: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cut:
    """Where the page before ended."""

    at: int
    rank: int
    id: str


def is_place(text: str) -> bool:
    """Whether a text is an entry's `place`."""
    return _PLACE.fullmatch(text) is not None


def page(connection: Connection, asked: Asked, *, limit: int) -> tuple[tuple[Entry, ...], bool]:
    """The newest `limit` entries after `asked.after`, and whether there are more."""
    match = _PLACE.fullmatch(asked.after)
    cut = _Cut(at=int(match[1]), rank=int(match[2]), id=match[3]) if match else None
    sources = [_calls(connection, asked, cut, limit + 1)]
    if not asked.machine:
        sources += [_sessions(connection, asked, cut, limit + 1)]
    if not asked.machine and not asked.session:
        sources += [_grants(connection, asked, cut, limit + 1)]
    if not asked.machine and not asked.session and not asked.grant:
        sources += [_sign_ins(connection, asked, cut, limit + 1)]
    merged = heapq.merge(*sources, key=_order)
    found = tuple(itertools.islice(merged, limit + 1))
    return found[:limit], len(found) > limit


def event(connection: Connection, id: str) -> tuple[Entry, Mapping[str, Any]] | None:
    """One call or shell by the id of its entry, with the event as the account's trail told it. UnreadableEvent where it was damaged."""
    account, _, told = id.partition(".")
    mine = (trail_events.c.id == told, trail_events.c.account == account)
    row = connection.execute(select(trail_events).where(*mine)).first()
    return None if row is None else (_call(row), unpack(row.document)[1].document)


def _order(entry: Entry) -> tuple[int, int]:
    """Newest first; each kind comes in the order of its own index already."""
    return -entry.at, -_RANKS[CALL if entry.kind == SHELL else entry.kind]


def _ranged(query: Select[Any], table: Table, at: str, id: str, rank: int, asked: Asked, cut: _Cut | None, limit: int) -> Select[Any]:
    """A range of an index that ends with `at` and `id`, newest first."""
    when, number = table.c[at], table.c[id]
    query = query.where(when >= asked.since, *([when < asked.until] if asked.until else []))
    if cut is not None and rank == cut.rank:
        key: Any = int(cut.id) if rank == _RANKS[CALL] else cut.id
        query = query.where(tuple_(when, number) < tuple_(cut.at, key))
    elif cut is not None:
        query = query.where(when <= cut.at if rank < cut.rank else when < cut.at)
    return query.order_by(when.desc(), number.desc()).limit(limit)


def _calls(connection: Connection, asked: Asked, cut: _Cut | None, limit: int) -> Iterator[Entry]:
    table = trail_events.c
    columns = [table[name] for name in _SHOWN]
    if asked.machine:
        joined = trail_machines.join(trail_events, trail_events.c.seq == trail_machines.c.seq)
        query = select(*columns).select_from(joined).where(trail_machines.c.machine == asked.machine)
        chosen = _ranged(query, trail_machines, "at", "seq", _RANKS[CALL], asked, cut, limit)
    else:
        chosen = _ranged(select(*columns).where(*_chosen(connection, asked)), trail_events, "at", "seq", _RANKS[CALL], asked, cut, limit)
    return (_call(row) for row in connection.execute(chosen))


def _chosen(connection: Connection, asked: Asked) -> Iterable[ColumnElement[bool]]:
    """By session: everything below one that we gave, or what one further down the chain did itself."""
    table = trail_events.c
    if asked.person:
        yield table.person == asked.person
    elif asked.grant:
        yield table.grant == asked.grant
    elif asked.session:
        is_ours = select(access_sessions.c.id).where(access_sessions.c.id == asked.session)
        root = select(trail_sessions.c.id).where(trail_sessions.c.id == asked.session, trail_sessions.c.session == asked.session)
        known = connection.execute(is_ours.union(root)).first() is not None
        yield (table.session if known else table.access_key) == asked.session
    elif not asked.own:
        # Spelled out as in the index: no index of some of the rows is used for a value that comes later.
        yield table.foreign != literal_column(f"'{OUR_OWN}'")


def _sessions(connection: Connection, asked: Asked, cut: _Cut | None, limit: int) -> Iterator[Entry]:
    table = access_sessions.c
    wanted = [
        *([table.person == asked.person] if asked.person else []),
        *([table.grant == asked.grant] if asked.grant else []),
        *([table.id == asked.session] if asked.session else []),
    ]
    query = _ranged(select(access_sessions).where(*wanted), access_sessions, "issued_at", "id", _RANKS[SESSION], asked, cut, limit)
    for row in connection.execute(query):
        detail = {
            "account": row.account,
            "mapping": row.mapping,
            "roleArn": row.role_arn,
            "use": row.use,
            "leaseUntil": row.lease_until,
            "revokedAt": row.revoked_at,
        }
        yield _entry(SESSION, row.issued_at, row.id, row.person, row.sign_in, row.grant, row.id, detail)


def _grants(connection: Connection, asked: Asked, cut: _Cut | None, limit: int) -> Iterator[Entry]:
    table = access_grants.c
    wanted = [*([table.person == asked.person] if asked.person else []), *([table.id == asked.grant] if asked.grant else [])]
    query = _ranged(select(access_grants).where(*wanted), access_grants, "began_at", "id", _RANKS[GRANT], asked, cut, limit)
    for row in connection.execute(query):
        detail = {"mapping": row.mapping, "because": row.because, "endsAt": row.ends_at, "endedAt": row.ended_at, "ending": row.ending}
        yield _entry(GRANT, row.began_at, row.id, row.person, "", row.id, "", detail)


def _sign_ins(connection: Connection, asked: Asked, cut: _Cut | None, limit: int) -> Iterator[Entry]:
    wanted = [sign_ins.c.object_id == asked.person] if asked.person else []
    query = _ranged(select(sign_ins).where(*wanted), sign_ins, "at", "id", _RANKS[SIGN_IN], asked, cut, limit)
    rows = connection.execute(query).all()
    logged = of_sign_ins(connection, [row.id for row in rows])
    for row in rows:
        told = logged.get(row.id)
        more = {"address": told.address, "conditionalAccess": told.conditional_access, "requirement": told.requirement} if told else {}
        detail = {"issuer": row.issuer, "name": row.name, "methods": json.loads(row.methods), **more}
        yield _entry(SIGN_IN, row.at, row.id, row.object_id, row.id, "", "", detail)


def _call(row: Any) -> Entry:
    kind = SHELL if row.source == "ssm.amazonaws.com" and row.name in _SHELLS else CALL
    detail = {
        "account": row.account,
        "region": row.region,
        "service": row.source.partition(".")[0],
        "operation": row.name,
        "outcome": row.outcome,
        "readOnly": bool(row.read_only),
        "resources": json.loads(row.resources),
        "accessKeyId": row.access_key or "",
        "principal": row.principal,
        "foreign": row.foreign,
        "foreignBecause": REASONS.get(row.foreign, ""),
        "number": row.seq,
    }
    place = f"{row.at}:{_RANKS[CALL]}:{row.seq}"
    whose = {"person": row.person or "", "sign_in": row.sign_in or "", "grant": row.grant or "", "session": row.session or ""}
    # The trail of another account may tell of an event by the same id.
    return Entry(kind=kind, at=row.at, id=f"{row.account}.{row.id}", **whose, place=place, detail=detail)


def _entry(kind: str, at: int, id: str, person: str, sign_in: str, grant: str, session: str, detail: Mapping[str, Any]) -> Entry:
    place = f"{at}:{_RANKS[kind]}:{id}"
    return Entry(kind=kind, at=at, id=id, person=person, sign_in=sign_in, grant=grant, session=session, place=place, detail=detail)
