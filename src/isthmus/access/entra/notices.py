"""What Graph posts: that something changed, or that a subscription needs attention. Nothing in it is believed but that it came.

Source: Microsoft Graph, "Receive change notifications through webhooks" and "Reduce missing subscriptions" (lifecycle notifications).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from isthmus.access.entra.checking import GRAPH, Checks
from isthmus.access.entra.polling import POLL
from isthmus.access.entra.subscriptions import KEEP, drop_remote, hash_of
from isthmus.access.former import trusted_connectors
from isthmus.arm.change import Change, JobOrder
from isthmus.arm.errors import ArmError, invalid
from isthmus.clouds.azure.graph import guid
from isthmus.engine import Engine
from isthmus.store.tables import graph_subscriptions

MOST = 1_000
_SOON = 5_000
REAUTHORIZE, REMOVED, MISSED = "reauthorizationRequired", "subscriptionRemoved", "missed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One notification. `about` are object ids that it names; `lifecycle` is what a subscription needs, empty for changes."""

    subscription: str
    secret: str
    lifecycle: str = ""
    about: frozenset[str] = frozenset()


def read_notices(body: object) -> Sequence[Notice]:
    """The notifications of a body. ArmError 400 when it is none, or holds more than a thousand."""
    listed = body.get("value") if isinstance(body, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST:
        raise invalid("This is no collection of change notifications.", target="value")
    return [_notice(one) for one in listed if isinstance(one, dict)]


@dataclass(frozen=True, kw_only=True)
class Notices:
    """Takes them in: people are checked, changes are asked for, subscriptions are cared for. All of it as jobs, since Graph waits 3 s."""

    engine: Engine
    checks: Checks

    def accept(self, notices: Sequence[Notice]) -> int:
        """How many were known by their secret. Whoever is told of, is checked when it concerns them here."""
        now = self.engine.now()
        with self.engine.store.read() as connection:
            rows = connection.execute(select(graph_subscriptions)).all()
        known = [(one, row) for one in notices if (row := _subscription(rows, one)) is not None]
        if not known:
            return 0
        people = frozenset[str]().union(*(one.about for one, _ in known if not one.lifecycle))
        is_told = any(row.resource != "/users" or one.lifecycle == MISSED for one, row in known)
        with self.engine.store.begin() as connection:
            found = self.checks.order(connection, people, by="notification", noticed=now)
            if is_told:
                self._enqueue(connection, self._order(POLL, {}))
            elif people - found and trusted_connectors(connection, self.engine.now()):
                # Who is unknown here may be in an account all the same. Whether they left is told by the changes: they are asked for once
                # in a few seconds, however many people of the tenant are told of.
                self._enqueue(connection, JobOrder(job=POLL, id=f"{POLL}:soon:{now // _SOON}", arguments={}, partition=POLL))
            for one, _ in known:
                if one.lifecycle:
                    self._care(connection, one)
        return len(known)

    def _care(self, connection: Connection, notice: Notice) -> None:
        """A lifecycle notification leaves a record."""
        detail = {"event": notice.lifecycle, "subscription": notice.subscription}
        self.engine.apply_within(connection, Change(detail=detail), GRAPH, "Isthmus.Access/directory/lifecycle", "/")
        if notice.lifecycle == REMOVED:
            drop_remote(connection, notice.subscription)
            self._enqueue(connection, self._order(KEEP, {}))
        elif notice.lifecycle == REAUTHORIZE:
            self._enqueue(connection, self._order(KEEP, {"renew": notice.subscription}))

    def _order(self, job: str, arguments: Mapping[str, Any]) -> JobOrder:
        return JobOrder(job=job, id=f"{job}:{self.engine.new_guid()}", arguments=arguments, partition=job)

    def _enqueue(self, connection: Connection, order: JobOrder) -> None:
        self.engine.jobs.enqueue(connection, order.job, order.id, order.arguments, partition=order.partition)


def unknown_notice() -> ArmError:
    """403: a post that no subscription of ours vouches for."""
    return ArmError("UnknownSubscription", "No subscription of this server has this id and clientState. Nothing was done.", status=403)


def _subscription(rows: Sequence[Row[Any]], notice: Notice) -> Row[Any] | None:
    """The one that vouches for a notice, in a time that does not depend on how much of a secret is right."""
    digest, found = hash_of(notice.secret), None
    for row in rows:
        is_right = hmac.compare_digest(row.secret_hash, digest)
        if is_right and row.remote in (None, notice.subscription):
            found = row
    return found


def _notice(told: Mapping[str, Any]) -> Notice:
    data = told.get("resourceData")
    lifecycle = told.get("lifecycleEvent")
    return Notice(
        subscription=_text(told.get("subscriptionId")),
        secret=_text(told.get("clientState")),
        lifecycle=_text(lifecycle) if lifecycle is not None else "",
        about=frozenset(_ids(data)) if isinstance(data, dict) else frozenset(),
    )


def _ids(data: Mapping[str, Any]) -> set[str]:
    """Whom a notification is about: itself, and members where it lists some."""
    members = data.get("members@delta")
    listed = [one.get("id") for one in members if isinstance(one, dict)] if isinstance(members, list) else []
    return {guid(id) for id in (data.get("id"), *listed)} - {""}


def _text(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 128 else ""
