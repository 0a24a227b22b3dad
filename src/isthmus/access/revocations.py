"""Taking access away: what is written at once, and what is ordered from the accounts in the same transaction.

From the moment of that transaction nothing is minted any more (T0), leases run out by themselves (T1), and a job changes the policy of
every account in which something may still live (T2) and ends shells there (T4).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, bindparam, exists, func, select, update

from isthmus.access import grants
from isthmus.access.denials import Denied
from isthmus.access.federation import LONGEST_LEASE
from isthmus.access.former import trusted_connectors
from isthmus.access.grants import Grant
from isthmus.arm.change import Change, JobOrder
from isthmus.arm.types import Actor
from isthmus.engine import Engine
from isthmus.store import dialect
from isthmus.store.tables import access_denials, access_grants, access_revocations, access_sessions

DENY: Final = "access.deny"
QUEUE: Final = "access"
LONGEST_SESSION: Final = 3_600_000
"""Milliseconds: no session of ours, nor one that begins in it, lives longer."""
LASTING: Final = 86_400_000
"""Milliseconds for which an account that trusts a directory denies a person: time to stop the sign-ins there, which nothing here can."""
_AHEAD = 2_000
_KEEP_TRYING = 7 * 86_400_000
"""Milliseconds for which an account is still told, or still found, after sessions have ended by themselves: shells outlive them."""
_LISTED = 60_000
"""Milliseconds after which a shell that was opened at the end of a lease is surely listed."""

PENDING, DENIED, UNREACHABLE = "Pending", "Denied", "Unreachable"

IS_REVOKED: Final = exists().where(
    access_revocations.c.person == bindparam("revoked_person"),
    access_revocations.c.grant == "",
    access_revocations.c.readmitted_at.is_(None),
)
"""Whether the person `revoked_person` (object id) was taken everything and not let in again."""
# Written once: it is asked three times for every session that is given.
_IS_REVOKED = select(IS_REVOKED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Denial:
    """Where one account stands with one revocation; times in milliseconds."""

    connector: str
    state: str
    attached_at: int | None = None
    denied_at: int | None = None
    shells: int = 0
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Revocation:
    """A person (or one grant of theirs) whose access was taken away."""

    id: str
    person: str
    grant: str
    actor: str
    reason: str
    at: int
    before: int
    until: int
    readmitted_at: int | None = None
    denials: tuple[Denial, ...] = ()


def is_revoked(connection: Connection, person: str) -> bool:
    """Whether a person was taken everything and not let in again."""
    return bool(connection.execute(_IS_REVOKED, {"revoked_person": person.lower()}).scalar())


def was_revoked(connection: Connection, person: str, since: int) -> bool:
    """Whether a person was taken everything at an instant (ms) or later, be it that they were let in again."""
    later = (access_revocations.c.person == person.lower(), access_revocations.c.grant == "", access_revocations.c.at >= since)
    return connection.execute(select(access_revocations.c.id).where(*later).limit(1)).first() is not None


def hold_person(connection: Connection, person: str) -> None:
    """Until the transaction ends nobody else takes a person's access away, signs them in, or gives them a grant. Who holds a mapping as
    well holds it first, and who writes a record writes it afterwards: writers of the chain take turns, so several people are held before
    the first record, in the order of their ids."""
    dialect.lock_name(connection, f"person:{person.lower()}")


def revoke_person(connection: Connection, engine: Engine, person: str, actor: Actor, reason: str) -> str:
    """Take everything from a person; the id of the revocation. Sign-ins and sessions of ours are the caller's to end.

    Accounts that trust a directory are always told: nobody here knows who holds a session there."""
    hold_person(connection, person)
    now, person = engine.now(), person.lower()
    held = grants.living(connection, person, now)
    grants.end(connection, held, now, reason)
    grants.mark_revoked(connection, person, now)
    direct = set(trusted_connectors(connection, now))
    touched = _touched(connection, person, now) | {grant.connector for grant in held} | direct
    return _order(connection, engine, person, "", actor, reason, touched, lasts=LASTING if direct else LONGEST_SESSION)


def end_grants(connection: Connection, engine: Engine, ended: Sequence[Grant], actor: Actor, reason: str) -> tuple[str, ...]:
    """End single grants; sessions of other grants of the same person go on. The ids of the revocations."""
    for person in sorted({grant.person for grant in ended}):
        hold_person(connection, person)
    now = engine.now()
    grants.end(connection, ended, now, reason)
    made = []
    for grant in ended:
        if grants.mark_revoked(connection, grant.person, now, grant=grant.id) or grants.opened_shells(connection, grant.id):
            made.append(_order(connection, engine, grant.person, grant.id, actor, reason, {grant.connector}))
    return tuple(made)


def end_outlived_shells(connection: Connection, engine: Engine, actor: Actor) -> tuple[str, ...]:
    """Order the end of shells whose grant ran out by itself, where the person holds no other grant of the same role by now. The ids of the
    revocations; sessions need nothing, for their leases have ended with the grant."""
    now, grant, later = engine.now(), access_grants.c, access_grants.alias().c
    told = exists().where(access_revocations.c.person == grant.person, access_revocations.c.grant == grant.id)
    follows = exists().where(later.person == grant.person, later.mapping == grant.mapping, later.ended_at.is_(None), later.ends_at > now)
    over = (grant.ended_at.is_(None), grant.ends_at <= now, grant.ends_at > now - _KEEP_TRYING)
    rows = connection.execute(select(access_grants).where(*over, grant.id.in_(grants.OF_SHELLS), ~told, ~follows)).all()
    reason = "The grant ran out, and shells outlive it."
    return tuple(_order(connection, engine, row.person, row.id, actor, reason, {row.connector}, lasts=-_AHEAD) for row in rows)


def readmit(connection: Connection, engine: Engine, person: str, actor: Actor) -> int:
    """Let a person in again; how many revocations that lifts. Sessions from before stay denied. Accounts are told at once: their policy
    denies also what begins within the next minute, and where they trust a directory, whatever begins."""
    blocked = (
        access_revocations.c.person == person.lower(),
        access_revocations.c.grant == "",
        access_revocations.c.readmitted_at.is_(None),
    )
    told = select(access_denials.c.connector).where(access_denials.c.revocation.in_(select(access_revocations.c.id).where(*blocked)))
    connectors = set(connection.execute(told).scalars())
    lifted = connection.execute(update(access_revocations).where(*blocked).values(readmitted_at=engine.now())).rowcount
    if lifted:
        target = f"/providers/Isthmus.Access/people/{person}"
        jobs = tuple(deny_order(one, f"{one}:{engine.new_guid()}", settle=True) for one in sorted(connectors))
        engine.apply_within(connection, Change(jobs=jobs), actor, "Isthmus.Access/people/readmit", target)
    return lifted


def denied_now(connection: Connection, connector: str, now: int) -> Denied:
    """Whom the policy of a connector's account has to deny now."""
    wanted = (access_denials.c.connector == connector, access_revocations.c.until > now)
    joined = access_revocations.join(access_denials, access_denials.c.revocation == access_revocations.c.id)
    rows = connection.execute(select(access_revocations).select_from(joined).where(*wanted)).all()
    blocked = {row.person for row in rows if not row.grant and row.readmitted_at is None}
    readmitted: dict[str, int] = {}
    for row in rows:
        if not row.grant and row.person not in blocked:
            readmitted[row.person] = max(readmitted.get(row.person, 0), _second_after(row.before))
    return Denied(
        people=frozenset(blocked),
        before=max((_second_after(row.before) for row in rows if row.person in blocked and not row.grant), default=0),
        readmitted=readmitted,
        grants=frozenset(row.grant for row in rows if row.grant),
        ended_before=max((_second_after(row.before) for row in rows if row.grant), default=0),
    )


def waiting(connection: Connection, connector: str, now: int) -> tuple[Revocation, ...]:
    """Revocations that an account does not deny yet, or whose shells there were not looked for."""
    wanted = (access_denials.c.connector == connector, access_denials.c.state != DENIED, access_revocations.c.until > now - _KEEP_TRYING)
    joined = access_revocations.join(access_denials, access_denials.c.revocation == access_revocations.c.id)
    rows = connection.execute(select(access_revocations).select_from(joined).where(*wanted).order_by(access_revocations.c.at)).all()
    return tuple(_revocation(row) for row in rows)


def to_look_again(connection: Connection, connector: str, now: int) -> tuple[Revocation, ...]:
    """Revocations that an account denies, but whose shells there were last looked for while one could still be opened."""
    joined = access_revocations.join(access_denials, access_denials.c.revocation == access_revocations.c.id)
    wanted = (access_denials.c.connector == connector, _may_have_opened(now))
    rows = connection.execute(select(access_revocations).select_from(joined).where(*wanted).order_by(access_revocations.c.at)).all()
    return tuple(_revocation(row) for row in rows)


def note_look(connection: Connection, connector: str, ids: Sequence[str], at: int) -> None:
    """The shells of revocations were looked for in an account."""
    chosen = (access_denials.c.connector == connector, access_denials.c.revocation.in_(ids))
    connection.execute(update(access_denials).where(*chosen).values(looked_at=at))


def find(connection: Connection, id: str) -> Revocation | None:
    """A revocation with where its accounts stand."""
    row = connection.execute(select(access_revocations).where(access_revocations.c.id == id)).first()
    return None if row is None else with_denials(connection, [row])[0]


def unsettled(connection: Connection, now: int) -> tuple[str, ...]:
    """Connectors whose policy may have to change, or whose shells are to be looked for again: something waits, or what it denies has ended
    within the last minutes."""
    joined = access_revocations.join(access_denials, access_denials.c.revocation == access_revocations.c.id)
    waits = (access_denials.c.state != DENIED) & (access_revocations.c.until > now - _KEEP_TRYING)
    over = (access_revocations.c.until <= now) & (access_revocations.c.until > now - 180_000)
    found = select(access_denials.c.connector).select_from(joined).where(waits | over | _may_have_opened(now)).distinct()
    return tuple(connection.execute(found).scalars())


def note(connection: Connection, revocation: str, connector: str, **values: Any) -> None:
    """Change where an account stands with a revocation. What is denied does not become unreachable again."""
    chosen = [access_denials.c.revocation == revocation, access_denials.c.connector == connector]
    if values.get("state") == UNREACHABLE:
        chosen.append(access_denials.c.state != DENIED)
    connection.execute(update(access_denials).where(*chosen).values(**values))


def count_shells(connection: Connection, revocation: str, connector: str, more: int) -> None:
    """Add to the shells that were ended."""
    note(connection, revocation, connector, shells=access_denials.c.shells + more)


def deny_order(connector: str, id: str, *, settle: bool = False) -> JobOrder:
    """The job that brings an account's policy in line; those of one account take turns."""
    return JobOrder(
        job=DENY, id=f"{DENY}:{id}", arguments={"connector": connector, **({"settle": True} if settle else {})}, partition=connector
    )


def _order(
    connection: Connection,
    engine: Engine,
    person: str,
    grant: str,
    actor: Actor,
    reason: str,
    connectors: Collection[str],
    *,
    lasts: int = LONGEST_SESSION,
) -> str:
    id, now = engine.new_guid(), engine.now()
    before = now + _AHEAD
    row = {"id": id, "person": person, "grant": grant, "actor": actor.id, "reason": reason[:512], "at": now}
    connection.execute(access_revocations.insert().values(**row, before=before, until=before + lasts))
    for connector in sorted(connectors):
        connection.execute(access_denials.insert().values(revocation=id, connector=connector, state=PENDING, shells=0, detail=""))
    jobs = tuple(deny_order(connector, f"{id}:{number}") for number, connector in enumerate(sorted(connectors)))
    detail = {"revocation": id, "person": person, **({"grant": grant} if grant else {}), "reason": reason[:512]}
    target = f"/providers/Isthmus.Access/people/{person}"
    engine.apply_within(connection, Change(jobs=jobs, detail=detail), actor, "Isthmus.Access/people/revoke", target)
    return id


def _touched(connection: Connection, person: str, now: int) -> set[str]:
    """Connectors in whose accounts sessions of a person may live, or shells, which outlive them."""
    joined = access_sessions.join(access_grants, access_grants.c.id == access_sessions.c.grant)
    is_recent = (access_sessions.c.issued_at > now - LONGEST_SESSION) | grants.IS_SHELL
    recent = (access_sessions.c.person == person, is_recent)
    return set(connection.execute(select(access_grants.c.connector).select_from(joined).where(*recent).distinct()).scalars())


def _may_have_opened(now: int) -> ColumnElement[bool]:
    """Whether somebody who is denied may have opened a shell since theirs were looked for. Who was let in again opens shells by right."""
    revocation, session = access_revocations.c, access_sessions.c
    looked_at = func.coalesce(access_denials.c.looked_at, 0)
    is_of_it = (session.person == revocation.person) & ((revocation.grant == "") | (session.grant == revocation.grant))
    opened = exists().where(is_of_it, grants.IS_SHELL, session.lease_until + _LISTED > looked_at)
    is_known = (access_denials.c.state == DENIED) & (revocation.until > now - _KEEP_TRYING) & revocation.readmitted_at.is_(None)
    # No lease from before is longer: of old revocations nobody's sessions are read.
    return is_known & (looked_at < revocation.at + LONGEST_LEASE * 1000 + _LISTED) & opened


def _second_after(at: int) -> int:
    """AWS compares whole seconds: what began within the second of `at` has to count as before."""
    return at // 1000 + 1


def with_denials(connection: Connection, rows: Sequence[Row[Any]]) -> list[Revocation]:
    """The revocations of rows, each with where its accounts stand."""
    ids = [row.id for row in rows]
    found: dict[str, list[Denial]] = {id: [] for id in ids}
    order = select(access_denials).where(access_denials.c.revocation.in_(ids)).order_by(access_denials.c.connector)
    for row in connection.execute(order):
        names = ("connector", "state", "attached_at", "denied_at", "shells", "detail")
        found[row.revocation].append(Denial(**{name: getattr(row, name) for name in names}))
    return [_revocation(row, tuple(found[row.id])) for row in rows]


def _revocation(row: Row[Any], denials: tuple[Denial, ...] = ()) -> Revocation:
    names = ("id", "person", "grant", "actor", "reason", "at", "before", "until", "readmitted_at")
    return Revocation(**{name: getattr(row, name) for name in names}, denials=denials)
