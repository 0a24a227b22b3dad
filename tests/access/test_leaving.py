"""What follows when a directory tells that somebody has gone."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import insert, select

from isthmus.access import grants, revocations
from isthmus.access.groups import ProvisionedGroups
from isthmus.access.leaving import follow_directory, offboard
from isthmus.access.mappings import RoleMapping
from isthmus.arm.types import Actor
from isthmus.clouds.contract import ScanTarget
from isthmus.engine import Engine
from isthmus.identity import evidence
from isthmus.identity.evidence import SignedIn
from isthmus.identity.people import Person
from isthmus.store import Store
from isthmus.store.tables import access_revocations, directory_groups, directory_members, directory_users, sign_ins
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

ALICE, DEV, OPS = (str(uuid.UUID(int=number)) for number in (1, 2, 3))
MAPPING = RoleMapping(
    id="/c/providers/Isthmus.Access/roleMappings/Reader", name="Reader", target=ScanTarget(account="1", guid="g" * 8, solution="s")
)


@pytest.fixture
def engine(store: Store, clock: Clock) -> Engine:
    return Engine(store, RecordedJobs(), clock=clock, new_guid=lambda: str(uuid.uuid4()))


def signed_in(engine: Engine) -> SignedIn:
    person = Person(object_id=ALICE, name="Alice", issuer="https://idp.test", subject="alice")
    with engine.store.begin() as connection:
        return evidence.new_sign_in(connection, person, {}, clock=engine.clock, identifier=lambda: str(uuid.uuid4()), seconds=3600)


def provision(store: Store, *groups: str, active: bool = True) -> None:
    with store.begin() as connection:
        for table, rows in _rows(groups, active).items():
            for row in rows:
                connection.execute(insert(table).values(**row))


def _rows(groups: tuple[str, ...], active: bool) -> dict[Any, list[dict[str, Any]]]:
    def filled(table: Any, **known: Any) -> dict[str, Any]:
        """Columns that do not matter here get something of their type."""
        plain = {
            column.name: 0 if column.type.python_type is int else False if column.type.python_type is bool else f"{uuid.uuid4()}"
            for column in table.columns
            if not column.nullable and column.name not in known and column.server_default is None
        }
        return {**plain, **known}

    return {
        directory_users: [filled(directory_users, id="u1", object_id=ALICE, active=active)],
        directory_groups: [filled(directory_groups, id=f"s-{group}", object_id=group) for group in groups],
        directory_members: [filled(directory_members, group_id=f"s-{group}", member_id="u1", kind="User") for group in groups],
    }


def grant(engine: Engine, person: SignedIn, because: str) -> str:
    with engine.store.begin() as connection:
        return grants.standing(connection, MAPPING, person, because, engine.now(), f"G-{because}").id


def test_who_is_disabled_loses_everything_once(engine: Engine) -> None:
    person = signed_in(engine)
    grant(engine, person, f"group:{DEV}")
    provision(engine.store, active=False)
    departed = follow_directory(engine)
    for _ in range(2):
        with engine.store.begin() as connection:
            departed(connection, ALICE, frozenset())
    with engine.store.begin() as connection:
        assert revocations.is_revoked(connection, ALICE)
        assert grants.living(connection, ALICE, engine.now()) == ()
        assert connection.execute(select(sign_ins.c.ended_at)).scalar() == engine.now()
        assert len(connection.execute(select(access_revocations)).all()) == 1, "told twice, done once"


def test_who_left_one_group_keeps_what_others_give(engine: Engine) -> None:
    person = signed_in(engine)
    grant(engine, person, f"group:{DEV}")
    kept = grant(engine, person, f"group:{OPS}")
    provision(engine.store, OPS)
    with engine.store.begin() as connection:
        follow_directory(engine)(connection, ALICE, frozenset({DEV}))
        assert not revocations.is_revoked(connection, ALICE)
        assert [one.id for one in grants.living(connection, ALICE, engine.now())] == [kept]


def test_a_provisioned_directory_tells_memberships_and_who_is_no_more(engine: Engine) -> None:
    person = signed_in(engine)
    source = ProvisionedGroups(engine.store)
    assert not source.ask(person, {DEV}).is_active, "nobody it does not know"
    provision(engine.store, DEV)
    found = source.ask(person, {DEV, OPS})
    assert (found.groups, found.is_active) == ({DEV}, True)


def test_offboarding_twice_orders_twice_and_blocks_once(engine: Engine) -> None:
    signed_in(engine)
    admin = Actor(id="admin", kind="User")
    with engine.store.begin() as connection:
        first = offboard(connection, engine, ALICE, admin, "left")
        second = offboard(connection, engine, ALICE, admin, "left")
        assert first != second
        assert revocations.readmit(connection, engine, ALICE, admin) == 2
        assert not revocations.is_revoked(connection, ALICE)
