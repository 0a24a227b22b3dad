"""`why`: the same decision as minting takes, with what it stands on, in two indexed queries over what may be a million sessions."""

from __future__ import annotations

import itertools
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, text

from isthmus.access import grants
from isthmus.access.broker import Broker
from isthmus.access.explaining import explain, history, policy
from isthmus.access.grants import Grant
from isthmus.access.leaving import offboard
from isthmus.identity import evidence
from isthmus.identity.people import Person
from isthmus.store import Store
from isthmus.store.tables import access_sessions
from tests.access.estate import ADMIN, mapping_id, paper_broker
from tests.support.clock import Clock

ALICE = str(uuid.UUID(int=77))


@pytest.fixture
def broker(store: Store, clock: Clock) -> Broker:
    return paper_broker(store, clock)


def sign_in(broker: Broker, *groups: str, seconds: float = 3600, **claims: Any) -> str:
    person = Person(object_id=ALICE, name="Alice", mail="alice@example.test", issuer="https://idp.test", subject="alice")
    told = {"amr": ["pwd", "mfa"], "groups": list(groups), **claims}
    with broker.engine.store.begin() as connection:
        made = evidence.new_sign_in(
            connection, person, told, clock=broker.engine.clock, identifier=lambda: str(uuid.uuid4()), seconds=seconds
        )
    return made.id


def grant(broker: Broker, id: str, *, began: int, ends: int, because: str = "group:g-dev", mapping: str = "Reader") -> None:
    found = broker.mapping(str(mapping_id(mapping)))
    made = Grant(
        id=id,
        mapping=found.key,
        connector=found.connector,
        person=ALICE,
        name="Alice",
        because=because,
        began_at=began,
        ends_at=ends,
        checked_at=began,
    )
    with broker.engine.store.begin() as connection:
        grants.add(connection, made)


def session(broker: Broker, id: str, under: str, at: int, mapping: str = "Reader") -> None:
    found = broker.mapping(str(mapping_id(mapping)))
    row = {
        "id": id,
        "grant": under,
        "mapping": found.key,
        "person": ALICE,
        "sign_in": "s",
        "account": "710000000001",
        "role_arn": "arn",
        "use": "shell",
    }
    with broker.engine.store.begin() as connection:
        grants.note_session(connection, {**row, "issued_at": at, "lease_until": at + 300_000})


def explained(broker: Broker, mapping: str = "Reader") -> Any:
    return explain(broker, broker.mapping(str(mapping_id(mapping))), ALICE.upper())


def test_who_may_sees_every_step_the_grant_and_the_last_session(broker: Broker) -> None:
    now = broker.engine.now()
    sign_in(broker, "g-dev")
    grant(broker, "G-OLD", began=now - 9_000_000, ends=now - 5_000_000)
    grant(broker, "G-NOW", began=now - 1000, ends=now + 5_000_000)
    session(broker, "ASIAOLD", "G-OLD", now - 8_000_000)
    session(broker, "ASIANEW", "G-NOW", now - 500)
    session(broker, "ASIAELSE", "G-ELSE", now - 100, "Operator")
    found = explained(broker)
    assert found.decision.refusal is None
    assert [step.name for step in found.decision.steps] == ["revocation", "sign-in", "second factor", "context", "membership"]
    assert (found.decision.because, found.decision.until) == ("group:g-dev", now + 300_000)
    assert [one.id for one in found.grants] == ["G-NOW"]
    assert (found.last.id, found.last.grant, found.last.use) == ("ASIANEW", "G-NOW", "shell")
    assert [(one.property, one.value) for one in found.lines] == [
        ("requiresMfa", True),
        ("groups", ["g-dev"]),
        ("activation.mode", "Standing"),
        ("leaseSeconds", 300),
    ]
    assert {one.step for one in found.lines if one.step} <= {step.name for step in found.decision.steps}


def test_the_latest_sign_in_counts_and_only_one_that_stands(broker: Broker, clock: Clock) -> None:
    first = sign_in(broker, "g-dev")
    clock.advance(10)
    second = sign_in(broker, seconds=60)
    assert explained(broker).sign_in.id == second
    assert explained(broker).decision.refusal.code == "NotAMember"
    clock.advance(120)
    assert explained(broker).sign_in.id == first
    assert explained(broker).decision.refusal is None
    clock.advance(7200)
    assert explained(broker).sign_in is None
    assert explained(broker).decision.refusal.code == "SignInNeeded"


def test_who_may_not_sees_what_is_in_the_way(broker: Broker) -> None:
    sign_in(broker, "g-ops")
    found = explained(broker, "Operator")
    assert found.decision.refusal.code == "RequestNeeded"
    assert found.decision.steps[-1].name == "request"
    assert [one.step for one in found.lines if one.property == "activation.mode"] == ["request"]
    with broker.engine.store.begin() as connection:
        offboard(connection, broker.engine, ALICE, ADMIN, "left")
    found = explained(broker, "Operator")
    assert found.decision.refusal.code == "AccessRevoked"
    assert (found.grants, found.last, found.sign_in) == ((), None, None)


def test_explaining_changes_nothing(broker: Broker) -> None:
    sign_in(broker, "g-dev")
    explained(broker)
    with broker.engine.store.read() as connection:
        assert connection.execute(text("select count(*) from access_grants")).scalar() == 0
        assert connection.execute(text("select count(*) from access_sessions")).scalar() == 0


def test_lines_name_what_a_mapping_demands(broker: Broker) -> None:
    lines = {one.property: one for one in policy(broker.mapping(str(mapping_id("Guest"))))}
    assert "requiresMfa" not in lines
    assert lines["claims"].value == {"dept": ["ops", "sales"]}
    assert (lines["requiredContexts"].value, lines["requiredContexts"].step) == (["c1"], "context")


def test_it_asks_by_indexes_alone(broker: Broker) -> None:
    """Each table is searched by an index; with 20,000 sessions of other people and roles an answer stays within milliseconds."""
    now, mapping = broker.engine.now(), broker.mapping(str(mapping_id("Reader"))).key
    numbers = itertools.count(1)
    rows = [
        {
            "id": f"ASIA{next(numbers)}",
            "grant": f"G-{number % 500}",
            "mapping": mapping,
            "person": ALICE if number % 2 else f"p-{number}",
            "sign_in": "s",
            "account": "1",
            "role_arn": "arn",
            "use": "credentials",
            "issued_at": now - number,
            "lease_until": now,
            "revoked_at": None,
        }
        for number in range(20_000)
    ]
    with broker.engine.store.begin() as connection:
        connection.execute(access_sessions.insert(), rows)
    grant(broker, "G-7", began=now - 1000, ends=now + 1000)
    if broker.engine.store.engine.dialect.name == "sqlite":
        assert plans(broker, mapping) == ["access_grants_by_person", "access_sessions_by_grant", "access_sessions_by_grant"]
    with broker.engine.store.read() as connection:
        began = time.perf_counter()
        living, last = history(connection, mapping, ALICE, now)
        took = time.perf_counter() - began
    assert [one.id for one in living] == ["G-7"]
    assert last is not None
    assert last.issued_at == now - 7
    assert took < 1.0


def plans(broker: Broker, mapping: str) -> list[str]:
    """The indexes that SQLite searches for the statements of `history`, in order; a scan is `SCAN`."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    event.listen(broker.engine.store.engine, "before_cursor_execute", note)
    with broker.engine.store.read() as connection:
        history(connection, mapping, ALICE, broker.engine.now())
    event.remove(broker.engine.store.engine, "before_cursor_execute", note)
    found = []
    with broker.engine.store.read() as connection:
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                found += [row[-1] for row in connection.exec_driver_sql(f"explain query plan {statement}", parameters)]
    return [line.partition("INDEX ")[2].partition(" ")[0] or "SCAN" for line in found if line.startswith(("SEARCH", "SCAN"))]


class Used:
    """Knows what was used, and what it was asked."""

    def __init__(self, *actions: str) -> None:
        self.actions = actions
        self.asked: list[tuple[str, str, int]] = []

    def used_actions(self, person: str, mapping: str, days: int) -> tuple[str, ...]:
        self.asked.append((person, mapping, days))
        return self.actions


@pytest.mark.parametrize(("mode", "told"), [("Off", ("*",)), ("Suggest", ("s3:GetObject",)), ("Apply", ("s3:GetObject",))])
def test_least_privilege_is_told_where_it_is_on(broker: Broker, mode: str, told: tuple[str, ...]) -> None:
    used = Used("s3:GetObject")
    knowing = replace(broker, used=used)
    found = explain(knowing, replace(broker.mapping(str(mapping_id("Reader"))), least_privilege=mode), ALICE)
    assert found.suggested == told
    assert used.asked == ([] if mode == "Off" else [(ALICE, found.mapping.key, 90)])
    assert [one.value for one in found.lines if one.property == "leastPrivilege"] == ([] if mode == "Off" else [mode])
    assert explain(broker, replace(found.mapping, least_privilege="Apply"), ALICE).suggested == ("*",), "nobody knows"
