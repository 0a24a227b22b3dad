"""What people used narrows their next session only where all of it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from isthmus.access.trail import ingest
from isthmus.access.use import LATE, TrailUse, permitted_actions
from isthmus.arm.envelope import Resource
from isthmus.audit.events import read_event
from isthmus.clouds.aws.usage import load
from isthmus.store import Store, dialect
from isthmus.store.tables import access_grants, access_sessions, trail_marks, trail_use
from tests.access.cloudtrail import ACCOUNT, BEGIN, ISSUER, Session, called, entered, id_of
from tests.access.estate import mapping_id

ALICE = Session(key="ASIAALICE", person=id_of("alice"), grant="G-1")
KEY = mapping_id("Reader").key
NOW = (BEGIN + 7_200) * 1000
ROLE = ["ec2:Describe*", "ec2:StopInstances", "iam:ListRoles", "dynamodb:*"]


def mapping(actions: Sequence[str] = ROLE, **more: Any) -> Resource:
    return Resource(id=mapping_id("Reader"), properties={"statements": [{"Effect": "Allow", "Action": list(actions)}], **more})


@dataclass
class OneMapping:
    """A lookup that knows one mapping, or none."""

    found: Resource | None

    def find(self, _id: str) -> Resource | None:
        return self.found


@dataclass
class Ground:
    store: Store

    def give(self, session: Session = ALICE, *, narrowed: bool = False, ends: int = 600) -> None:
        grant = {"id": session.grant, "mapping": KEY, "connector": "c", "person": session.person, "name": "n", "because": "group:g"}
        times = {"began_at": 1, "ends_at": 2, "checked_at": 1, "is_break_glass": False, "ending": ""}
        row = {"id": session.key, "grant": session.grant, "mapping": KEY, "person": session.person, "sign_in": session.sign_in}
        more = {"account": ACCOUNT, "role_arn": "r", "use": "credentials", "issued_at": BEGIN * 1000, "is_narrowed": narrowed}
        with self.store.begin() as connection:
            if not narrowed:
                connection.execute(insert(access_grants).values(**grant, **times))
            connection.execute(insert(access_sessions).values(**row, **more, lease_until=(BEGIN + ends) * 1000))

    def tell(self, *documents: dict[str, Any]) -> None:
        with self.store.begin() as connection:
            ingest(connection, [read_event(one) for one in documents], ISSUER)

    def read(self, until: int, region: str = "us-east-1", detail: str = "") -> None:
        with self.store.begin() as connection:
            row = {"account": ACCOUNT, "region": region, "until": until, "read_at": until, "detail": detail}
            dialect.upsert(connection, trail_marks, [row])

    def ask(self, found: Resource | None = None, days: int = 90) -> tuple[str, ...]:
        lookup: Any = OneMapping(found or mapping())
        return TrailUse(store=self.store, lookup=lookup, usage=load(), now=lambda: NOW).used_actions(ALICE.person, KEY, days)


@pytest.fixture
def ground(store: Store) -> Ground:
    """Alice had a session, called two things, was denied a third, and the trail was read long after."""
    made = Ground(store)
    made.give()
    denied = called(ALICE, "StopInstances", 5, errorCode="Client.UnauthorizedOperation")
    made.tell(entered(ALICE), called(ALICE, "DescribeVpcs", 3), called(ALICE, "ListRoles", 4, source="iam"), denied)
    made.read((BEGIN + 600) * 1000 + LATE)
    return made


def test_what_was_used_stays_and_what_was_only_tried_goes(ground: Ground) -> None:
    found = set(ground.ask())
    assert {"ec2:DescribeVpcs", "iam:ListRoles", "dynamodb:*", "sts:GetAccessKeyInfo"} <= found
    assert not {"ec2:StopInstances", "ec2:Describe*", "ec2:DescribeInstances"} & found


def test_shells_stay_where_the_role_opens_them(ground: Ground) -> None:
    assert "ssm:StartSession" in ground.ask(mapping(machineTag="team:red"))
    assert "ssm:StartSession" not in ground.ask()


def test_everything_stays_until_the_trail_is_read_beyond_the_session(ground: Ground) -> None:
    ground.read((BEGIN + 600) * 1000 + LATE - 1)
    assert ground.ask() == ("*",)


@pytest.mark.parametrize("wrong", ["behind", "broken", "none"])
def test_everything_stays_while_one_region_is_not_read(ground: Ground, wrong: str) -> None:
    if wrong == "none":
        with ground.store.begin() as connection:
            connection.execute(delete(trail_marks))
    else:
        ground.read(NOW if wrong == "broken" else BEGIN * 1000, region="eu-west-1", detail="denied" if wrong == "broken" else "")
    assert ground.ask() == ("*",)


def test_everything_stays_for_a_session_that_the_trail_never_told(ground: Ground) -> None:
    """The reading began later: what was done then is not known."""
    ground.give(Session(key="ASIAOLD", person=ALICE.person, grant="G-0"))
    assert ground.ask() == ("*",)


def test_a_narrowed_session_is_not_waited_for(ground: Ground) -> None:
    """It could not use more than what is known."""
    ground.give(Session(key="ASIANEXT", person=ALICE.person, grant="G-1"), narrowed=True, ends=90_000)
    assert "ec2:DescribeVpcs" in ground.ask()


def test_everything_stays_while_a_call_of_the_person_is_unexplained(ground: Ground) -> None:
    stray = Session(key="ASIASTRAY", person=ALICE.person, grant="-", began=77)
    ground.tell(called(stray, "DescribeRegions", 80))
    assert ground.ask() == ("*",)


def test_who_used_nothing_keeps_everything(store: Store) -> None:
    made = Ground(store)
    made.give()
    made.tell(entered(ALICE))
    made.read(NOW + LATE)
    assert made.ask() == ("*",)


@pytest.mark.parametrize(
    "found",
    [mapping(["*"]), mapping(managedPolicyArns=["arn:aws:iam::aws:policy/ReadOnlyAccess"])],
    ids=["star", "managed"],
)
def test_a_role_whose_bounds_are_not_ours_is_left_alone(ground: Ground, found: Resource) -> None:
    assert permitted_actions(found) == ("*",)
    assert ground.ask(found) == ("*",)


def test_use_follows_events_that_are_joined_later(store: Store) -> None:
    """The exchange comes after the calls; use of each is that of its latest event."""
    made = Ground(store)
    made.tell(called(ALICE, "DescribeVpcs", 30), called(ALICE, "DescribeVpcs", 10), called(ALICE, "DescribeSubnets", 20))
    with store.read() as connection:
        assert connection.execute(select(trail_use)).all() == []
    made.tell(entered(ALICE))
    made.tell(called(ALICE, "DescribeVpcs", 25))
    with store.read() as connection:
        rows = {(row.grant, row.name): row.last_at for row in connection.execute(select(trail_use))}
    at = {"DescribeVpcs": 30, "DescribeSubnets": 20, "AssumeRoleWithWebIdentity": 0}
    assert rows == {("G-1", name): (BEGIN + second) * 1000 for name, second in at.items()}
