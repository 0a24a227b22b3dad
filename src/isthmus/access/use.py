"""What people used, kept beside the events that prove it, and what therefore has to stay allowed at their next session.

It never narrows on half a view: the account's trail has to have been read beyond the last session that was not narrowed, no call of the
person may be unexplained, and the role's statements have to be ours. Else everything stays allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, exists, func, select

from isthmus.access.shrinking import EVERYTHING
from isthmus.arm.envelope import Resource
from isthmus.clouds.aws.usage import Usage
from isthmus.engine import Lookup
from isthmus.store import Store, dialect
from isthmus.store.tables import access_grants, access_sessions, trail_events, trail_marks, trail_sessions, trail_use

LATE: Final = 1_800_000
"""How much later than it happened a call may still come to be known (ms); CloudTrail tells of 15 minutes at most as usual."""
OWN: Final = ("sts:GetAccessKeyInfo",)
"""What Isthmus itself calls with a person's session."""
SHELLS: Final = ("ec2-instance-connect:SendSSHPublicKey", "ssm:ResumeSession", "ssm:StartSession", "ssm:TerminateSession")
_DAY = 86_400_000
_EXCHANGE = ("sts.amazonaws.com", "AssumeRoleWithWebIdentity")
_DENIED = re.compile("Denied|Unauthorized|NotAuthorized|AuthorizationError")
PROBE = "probe"


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """A call as far as it tells of use: `at` in milliseconds."""

    source: str
    name: str
    outcome: str
    at: int


def note_use(connection: Connection, calls: Iterable[tuple[str | None, Use]]) -> None:
    """Keep what was called under which grant, in the caller's transaction. What was denied is no use: trying widens nothing."""
    latest: dict[tuple[str, str, str], int] = {}
    for grant, one in calls:
        if grant and not _DENIED.search(one.outcome):
            key = (grant, one.source, one.name)
            latest[key] = max(latest.get(key, 0), one.at)
    rows = [{"grant": grant, "source": source, "name": name, "last_at": at} for (grant, source, name), at in sorted(latest.items())]
    dialect.upsert_latest(connection, trail_use, rows, "last_at")


@dataclass(frozen=True, kw_only=True)
class TrailUse:
    """Knows from the trails what people did. Fulfils `shrinking.UsedActions`. `now` in milliseconds."""

    store: Store
    lookup: Lookup
    usage: Usage
    now: Callable[[], int]

    def used_actions(self, person: str, mapping: str, days: int) -> tuple[str, ...]:
        """Actions and patterns that have to stay allowed for a person (object id) by a mapping (key); everything where that is unsure."""
        found = self.lookup.find(mapping)
        permitted = permitted_actions(found) if found is not None else EVERYTHING
        if permitted == EVERYTHING:
            return EVERYTHING
        since = self.now() - days * _DAY
        with self.store.read() as connection:
            if not _is_seen(connection, person, mapping, since):
                return EVERYTHING
            grants = select(access_grants.c.id).where(access_grants.c.person == person, access_grants.c.mapping == mapping)
            asked = select(trail_use.c.source, trail_use.c.name).where(trail_use.c.grant.in_(grants), trail_use.c.last_at >= since)
            events = {(row.source, row.name) for row in connection.execute(asked)}
        if not events - {_EXCHANGE}:
            return EVERYTHING
        own = (*OWN, *SHELLS) if found is not None and found.properties.get("machineTag") else OWN
        return tuple(sorted({*self.usage.remaining(permitted, events), *own}))


def permitted_actions(mapping: Resource) -> tuple[str, ...]:
    """Actions and patterns that the statements of a mapping allow; everything where policies of AWS, which we do not know, allow more."""
    given = mapping.properties
    statements: list[Any] = given.get("statements") or []
    allowed = {action for one in statements if one["Effect"] == "Allow" for action in one["Action"]}
    if given.get("managedPolicyArns") or not all(":" in one for one in allowed):
        return EVERYTHING
    return tuple(sorted(allowed))


def _is_seen(connection: Connection, person: str, mapping: str, since: int) -> bool:
    """Whether everything that the person may have done is known. Of each session that allowed everything the trail has to have told the
    beginning, and to be read in every region, without trouble, until some time after the last one's end; and there may be no call that
    might be theirs and is under no grant."""
    table, events = access_sessions.c, trail_events.c
    wide = (table.person == person, table.mapping == mapping, table.use != PROBE, table.issued_at >= since, table.is_narrowed.is_(False))
    told = exists().where(trail_sessions.c.id == table.id, trail_sessions.c.account == table.account)
    untold = select(table.id).where(*wide, ~told).limit(1)
    if connection.execute(untold).first() is not None:
        return False
    ends = select(table.account, func.max(table.lease_until).label("end")).where(*wide).group_by(table.account)
    for row in connection.execute(ends):
        marks = connection.execute(select(trail_marks.c.until, trail_marks.c.detail).where(trail_marks.c.account == row.account)).all()
        if not marks or any(one.detail or one.until < row.end + LATE for one in marks):
            return False
    unexplained = (events.source_identity == person, events.at >= since, events.loose.is_not(None), events.foreign != "")
    return connection.execute(select(events.seq).where(*unexplained).limit(1)).first() is None
