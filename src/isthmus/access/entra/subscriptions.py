"""Promises of Graph to tell changes at once: made for users and for each group that matters, and renewed long before they end.

A notification is known by a secret (`clientState`) that was made for its subscription; here only its hash is kept.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, delete, insert, select, update

from isthmus.access.entra.checking import QUEUE
from isthmus.access.entra.watching import Watching
from isthmus.clouds.azure.graph import Graph, GraphFault
from isthmus.engine import Engine
from isthmus.store.tables import graph_subscriptions
from isthmus.work import Arguments, Job, Timetable

KEEP: Final = "access.entra.subscribe"
PATH: Final = "/graph/notifications"
LIFE: Final = 2 * 86_400_000
"""How long (ms) a promise is asked for; Graph gives at most 29 days for users and groups (unverified)."""
RENEWED: Final = LIFE // 2
"""With this much or less left it is renewed."""
_log = structlog.get_logger("isthmus.access")


def make_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, kw_only=True)
class Subscriptions:
    """Keeps them in line; `origin` is where Graph reaches us."""

    engine: Engine
    graph: Graph
    watching: Watching
    origin: str
    new_secret: Callable[[], str] = make_secret

    def timetable(self) -> Timetable:
        """Every ten minutes."""
        return Timetable(name="graph-subscriptions", cron="20 */10 * * * *", run=self._planned)

    def job(self) -> Job:
        """The same at once. Argument `renew`: Graph's id of one that has to be confirmed now."""
        return Job(name=KEEP, queue=QUEUE, run=self._run, attempts=1)

    def keep(self, renew: str = "") -> None:
        """Make what is missing, renew what ends or is named, end what no longer matters. GraphFault when Graph cannot be asked at all; what
        it refuses singly is logged and tried again."""
        wanted = self._wanted()
        now = self.engine.now()
        with self.engine.store.read() as connection:
            rows = connection.execute(select(graph_subscriptions)).all()
        held: dict[str, Row[Any]] = {}
        for row in rows:
            is_good = row.remote is not None and row.expires_at > now and row.resource in wanted and row.resource not in held
            if is_good and (row.expires_at - now > RENEWED or self._renew(row, now)) and (row.remote != renew or self._renew(row, now)):
                held[row.resource] = row
            else:
                self._end(row)
        for resource, changes in wanted.items():
            if resource not in held:
                self._make(resource, changes, now)

    def _wanted(self) -> Mapping[str, str]:
        groups = {f"/groups/{group}/members": "updated,deleted" for group in sorted(self.watching.groups())}
        return {"/users": "updated,deleted", **groups}

    def _make(self, resource: str, changes: str, now: int) -> None:
        """The secret is known before Graph is: its first notification may come before its answer."""
        id, secret = self.engine.new_guid(), self.new_secret()
        with self.engine.store.begin() as connection:
            row = {"id": id, "resource": resource, "secret_hash": hash_of(secret), "expires_at": now + LIFE}
            connection.execute(insert(graph_subscriptions).values(**row))
        try:
            made = self.graph.subscribe(resource, changes, to=f"{self.origin}{PATH}", secret=secret, until=now + LIFE)
        except GraphFault as error:
            _log.error("graph_not_subscribed", resource=resource, reason=str(error))
            self._forget(id)
            return
        with self.engine.store.begin() as connection:
            chosen = graph_subscriptions.c.id == id
            connection.execute(update(graph_subscriptions).where(chosen).values(remote=made.id, expires_at=made.expires_at))

    def _renew(self, row: Row[Any], now: int) -> bool:
        """Whether it still stands; a failure is not the end of it before its time."""
        try:
            made = self.graph.renew(row.remote, now + LIFE)
        except GraphFault as error:
            _log.error("graph_subscription_not_renewed", resource=row.resource, reason=str(error))
            return True
        if made is None:
            return False
        with self.engine.store.begin() as connection:
            chosen = graph_subscriptions.c.id == row.id
            connection.execute(update(graph_subscriptions).where(chosen).values(expires_at=made.expires_at))
        return True

    def _end(self, row: Row[Any]) -> None:
        if row.remote is not None and row.expires_at > self.engine.now():
            try:
                self.graph.unsubscribe(row.remote)
            except GraphFault as error:
                _log.warning("graph_subscription_left_to_end", resource=row.resource, reason=str(error))
        self._forget(row.id)

    def _forget(self, id: str) -> None:
        with self.engine.store.begin() as connection:
            connection.execute(delete(graph_subscriptions).where(graph_subscriptions.c.id == id))

    def _planned(self, _planned: datetime) -> None:
        self._run({})

    def _run(self, arguments: Arguments) -> None:
        try:
            self.keep(str(arguments.get("renew", "")))
        except GraphFault as error:
            _log.error("graph_subscriptions_not_kept", reason=str(error))


def hash_of(secret: str) -> str:
    """How a secret is kept."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def drop_remote(connection: Connection, remote: str) -> None:
    """Graph has ended one."""
    connection.execute(delete(graph_subscriptions).where(graph_subscriptions.c.remote == remote))
