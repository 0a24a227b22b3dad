"""Sign-ins as Entra logged them, joined to ours, from where the last reading ended."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.access.entra.sign_in_logs import SignInLogs
from isthmus.clouds.azure.graph import GraphRefused
from isthmus.identity import evidence
from isthmus.identity.people import Person
from isthmus.store.tables import graph_marks, sign_in_logs
from tests.access.entra.conftest import ALICE, ISSUER, Followed
from tests.support.clock import Clock


@pytest.fixture
def logs(followed: Followed) -> SignInLogs:
    person = Person(object_id=ALICE, name="Alice", issuer=ISSUER, subject=ALICE)
    with followed.engine.store.begin() as connection:
        claims = {"uti": "token-1", "sid": "session-1"}
        evidence.new_sign_in(connection, person, claims, clock=followed.engine.clock, identifier=lambda: str(uuid.uuid4()), seconds=3600)
    return SignInLogs(engine=followed.engine, graph=followed.there.graph)


def logged(followed: Followed, id: str, *, ago: float = 60, kind: str = "interactiveUser", **more: Any) -> None:
    at = datetime.fromtimestamp(followed.engine.clock() - ago, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    row = {"id": id, "createdDateTime": at, "signInEventTypes": [kind], "userId": ALICE, "ipAddress": "192.0.2.1", **more}
    followed.tenant.sign_ins.append(row)


def kept(followed: Followed) -> dict[str, bool]:
    with followed.engine.store.read() as connection:
        return {row.id: row.sign_in is not None for row in connection.execute(select(sign_in_logs))}


def test_both_kinds_are_read_and_joined_and_strangers_are_not_kept(followed: Followed, logs: SignInLogs) -> None:
    logged(followed, "s1", uniqueTokenIdentifier="token-1", sessionId="session-1")
    logged(followed, "s2", kind="nonInteractiveUser", uniqueTokenIdentifier="other", sessionId="session-1")
    logged(followed, "s3", uniqueTokenIdentifier="other", sessionId="other")
    logs.timetable().run(datetime.now(UTC))
    assert kept(followed) == {"s1": True, "s2": False}


def test_reading_goes_on_where_it_ended_and_back_for_what_came_late(followed: Followed, logs: SignInLogs, clock: Clock) -> None:
    assert logs.read("interactive").by_token == 0
    windows = len([call for call in followed.there.server.calls if "signIns" in call])
    assert windows == 24, "a day, hour by hour"
    clock.advance(300)
    logged(followed, "late", ago=1500, uniqueTokenIdentifier="token-1", sessionId="session-1")
    assert logs.read("interactive").by_token == 1
    assert len([call for call in followed.there.server.calls if "signIns" in call]) == windows + 1
    clock.advance(300)
    assert logs.read("interactive").by_token == 1
    assert kept(followed) == {"late": True}, "the same record is one"


def test_what_cannot_be_read_is_said_and_made_up_for(followed: Followed, logs: SignInLogs, clock: Clock) -> None:
    logs.read("interactive")
    clock.advance(600)
    logged(followed, "s1", uniqueTokenIdentifier="token-1", sessionId="session-1")
    followed.there.server.granted = frozenset({"User.Read.All"})
    with pytest.raises(GraphRefused, match=r"AuditLog\.Read\.All"):
        logs.read("interactive")
    logs.timetable().run(datetime.now(UTC))
    with followed.engine.store.read() as connection:
        told = connection.execute(select(graph_marks.c.detail).where(graph_marks.c.name.startswith("sign-ins:"))).scalars().all()
    assert len(told) == 2
    assert all("AuditLog.Read.All" in one for one in told)
    clock.advance(7200)
    followed.there.server.granted = frozenset({"AuditLog.Read.All"})
    logs.timetable().run(datetime.now(UTC))
    assert kept(followed) == {"s1": True}
