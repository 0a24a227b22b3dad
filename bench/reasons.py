"""`why` over a log of trails and the sessions that stand behind it: what a person waits for who asks why somebody may have a role."""

from __future__ import annotations

import random
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

from bench.rows import row
from isthmus.access.broker import Broker
from isthmus.access.explaining import explain
from isthmus.identity import evidence
from isthmus.identity.people import Person
from isthmus.store import Store
from isthmus.store.tables import access_grants, access_sessions
from tests.access.estate import mapping_id, paper_broker

ASKED, BUDGET = 200, 50.0
_HOUR = 3_600_000


def why_rows(store: Store, people: list[str], sessions: int, chance: random.Random) -> list[dict[str, Any]]:
    """Rows in milliseconds. Everybody of `people` (object ids) has signed in and held three grants; `sessions` are spread over these."""
    broker = paper_broker(store, time.time)
    mapping = broker.mapping(str(mapping_id("Reader")))
    _remember(broker, people, sessions, chance)
    asked = [chance.choice(people) for _ in range(ASKED)]
    allowed = sum(explain(broker, mapping, person).decision.refusal is None for person in asked)
    times = sorted(_timed(lambda person=person: explain(broker, mapping, person)) for person in asked)  # type: ignore[misc]
    worst = times[ASKED * 99 // 100]
    against = f"median {statistics.median(times):.2f} ms, {allowed} of {ASKED} may; {len(people):,} people, {sessions:,} sessions"
    return [row("trail", "why a person may have a role, p99", worst, "ms", budget=BUDGET, against=against)]


def _remember(broker: Broker, people: list[str], sessions: int, chance: random.Random) -> None:
    mapping, now = broker.mapping(str(mapping_id("Reader"))), broker.engine.now()
    grants = []
    with broker.engine.store.begin() as connection:
        for person in people:
            known = Person(object_id=person, name=person, mail="", issuer="https://idp.test", subject=person)
            told = {"amr": ["pwd", "mfa"], "groups": [chance.choice(("g-dev", "g-ops"))]}
            evidence.new_sign_in(connection, known, told, clock=time.time, identifier=lambda: str(uuid.uuid4()), seconds=3600)
            grants += [
                {
                    "id": f"W-{person}-{age}",
                    "mapping": mapping.key,
                    "connector": mapping.connector,
                    "person": person,
                    "name": person,
                    "because": "group:g-dev",
                    "is_break_glass": False,
                    "began_at": now - (age + 1) * _HOUR,
                    "ends_at": now + _HOUR - age * 2 * _HOUR,
                    "checked_at": now,
                    "ending": "",
                }
                for age in range(3)
            ]
        connection.execute(access_grants.insert(), grants)
        connection.execute(access_sessions.insert(), [_session(number, chance.choice(grants)) for number in range(sessions)])


def _session(number: int, grant: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"ASIAWHY{number:013d}",
        "grant": grant["id"],
        "mapping": grant["mapping"],
        "person": grant["person"],
        "sign_in": "",
        "account": "710000000001",
        "role_arn": "",
        "use": "credentials",
        "issued_at": grant["began_at"] + number,
        "lease_until": grant["began_at"] + number + 300_000,
    }


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
