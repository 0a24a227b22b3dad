"""The proof of the log, joins included: from a database or from an archive of a backup, with the anchor's files, without a server."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import DBAPIError

from isthmus.access.joining import UNKNOWN, Console, Joined, Place, exchanged, joined, loose_of, makes_root, places
from isthmus.arm.errors import ArmError
from isthmus.audit.anchors import FolderAnchor
from isthmus.audit.events import Event
from isthmus.audit.verification import Verification, verify_log
from isthmus.store import Store
from isthmus.store.tables import access_sessions, trail_sessions
from isthmus.transfer.archive import unpack
from isthmus.transfer.copying import open_existing, require_schema

_WHOSE = ("person", "sign_in", "grant", "session", "foreign")


class Joins:
    """Checks that whose each event is follows from the sessions, and whose each session is from the event that made it.

    Our own record of the sessions that we gave is under no checkpoint: what the event of an exchange tells, which is, has to be the same.
    `believed` calls follow from our record alone, since nobody met the exchange.
    """

    def __init__(self, connection: Connection, issuer: str) -> None:
        self._issuer = issuer
        self.believed = 0
        self._given: dict[Place, Joined] = {
            (row.id, row.account): Joined(person=row.person, sign_in=row.sign_in, grant=row.grant, session=row.id)
            for row in connection.execute(select(access_sessions))
        }
        self._homes = {place[0]: place[1] for place in self._given}
        self._made: dict[Place, Row[Any]] = {}
        self._roots: dict[Console, list[Joined]] = {}
        sessions, told = dict[Place, Joined](), set[Place]()
        for row in connection.execute(select(trail_sessions)):
            self._made[row.event, row.account] = row
            told.add((row.id, row.account))
            sessions |= dict.fromkeys(places(row.id, row.account, row.home), _whose(row))
            if row.is_root:
                self._roots.setdefault(_console(row), []).append(_whose(row))
        self._told = frozenset(told)
        self._sessions = sessions | self._given

    def __call__(self, row: Row[Any], event: Event) -> str:
        """What is wrong with the joining of an event."""
        if event.is_federation:
            expected, is_known = exchanged(event, self._issuer, self._given), True
        else:
            expected, is_known = joined(event, self._sessions, lambda console: self._roots.get(console, ()))
        stored = _whose(row)
        place = (event.key, event.account)
        is_given_alone = place in self._given and place not in self._told
        is_late = stored.foreign == UNKNOWN and is_given_alone  # joined at the next look at the trails
        if stored != expected and not is_late:
            return "it is said to be somebody's whose it does not follow to be"
        if not is_late and row.loose != loose_of(event, is_known=is_known):
            return "how it may still be joined is not what follows from it"
        self.believed += is_given_alone and not is_late
        return self._made_fault(event, stored)

    def _made_fault(self, event: Event, stored: Joined) -> str:
        """What is wrong with what we know of the session that an event made."""
        place = (event.made, event.account)
        made, given = self._made.pop((event.id, event.account), None), self._given.get(place)
        told = exchanged(event, self._issuer, {}) if event.is_federation else None
        is_elsewhere = told is not None and told.person and self._homes.get(event.made, event.account) != event.account
        if is_elsewhere or (given is not None and told != given):
            return f"by our own record the session {event.made} that it made is somebody else's, or under another grant, sign-in or account"
        if made is None:
            return f"the session {event.made} that it made is not known" if event.made and place not in self._told else ""
        described = (made.id, made.home or event.home, made.principal, made.began_at, bool(made.is_root))
        if described != (event.made, event.home, event.made_principal, event.at, makes_root(event)) or _whose(made) != stored:
            return f"the session {event.made} that it made is said to be another one, or somebody else's"
        return ""

    def left(self, since: int) -> list[str]:
        """Keys of sessions whose event nobody met; not of such as began before `since` (ms), whose events may be deleted."""
        return sorted(row.id for row in self._made.values() if row.began_at > since)


def verify_offline(database: str, archive: Path | None, anchor: str, issuer: str) -> Verification:
    """Check a database by its URL, or the database in an archive. Raises ArmError when either cannot be opened; what does not fit is told.

    `issuer` is the issuer's URL under which tokens for the accounts were signed; an empty `anchor` leaves the second store out.
    """
    held = FolderAnchor(anchor) if anchor else None
    if archive is None:
        with closing(open_existing(database)) as store:
            require_schema(store)
            return _verify(store, held, issuer)
    with tempfile.TemporaryDirectory(prefix="isthmus-verify-") as folder:
        laid = unpack(archive, Path(folder)).database
        with closing(Store(f"sqlite:///{laid}")) as store:
            require_schema(store)
            return _verify(store, held, issuer)


def _verify(store: Store, anchor: FolderAnchor | None, issuer: str) -> Verification:
    try:
        with store.snapshot() as connection:
            joins = Joins(connection, issuer)
            result = verify_log(connection, anchor, joins)
            result.believed = joins.believed
            for key in joins.left(result.cut_at):
                result.find(f"session {key}", "no event tells that it was made")
            return result
    except DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        message = f"The database {store.name} cannot be read: {reason}. It is damaged; check the copy in the latest archive."
        raise ArmError("DatabaseDamaged", message, target=store.name) from error


def _console(row: Any) -> Console:
    return Console(account=row.account, principal=row.principal, began_at=row.began_at, source_identity=row.source_identity)


def _whose(row: Any) -> Joined:
    return Joined(**{name: getattr(row, name) for name in _WHOSE})
