"""From a sign-in to the last call, as the lab's CloudTrail tells it: every event of a person is theirs, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import select

from isthmus.access.timeline import Asked, page
from isthmus.clouds.contract import ScanTarget
from isthmus.solutions.trail import Trails
from isthmus.store.tables import trail_events
from tests.access.estate import CONNECTOR, GUID, Estate

pytestmark = pytest.mark.e2e
REGION = "us-east-1"


def trails(people: Estate) -> Trails:
    return Trails(engine=people.engine, lookup=people.lookup, cloud=people.trail, loop=people.loop, issuer_url=people.signer.url)


def target(people: Estate) -> ScanTarget:
    return ScanTarget(account=people.account, guid=GUID, solution="Isthmus.Access")


def rows(people: Estate) -> list[Any]:
    with people.engine.store.read() as connection:
        return list(connection.execute(select(trail_events).order_by(trail_events.c.seq)))


def test_every_call_of_a_person_joins_to_one_sign_in_and_one_grant(people: Estate) -> None:
    alice, bob = people.sign_in("alice", "g-dev"), people.sign_in("bob", "g-dev")
    held = {"alice": people.issue(alice), "bob": people.issue(bob)}
    for issued in held.values():
        ec2 = people.client(issued, "ec2")
        for _ in range(5):
            ec2.describe_regions()
        with pytest.raises(ClientError):
            ec2.describe_instances()
        people.client(issued, "sts").get_caller_identity()
    people.root("iam").list_roles()
    taken = trails(people).read_region(target(people), REGION)
    found = rows(people)
    assert taken.new == len(found)
    for actor, name in ((alice, "alice"), (bob, "bob")):
        mine = [row for row in found if row.person == actor.id]
        assert len(mine) == 8, "the exchange, five calls, a denied one, and one of STS"
        assert {(row.sign_in, row.grant, row.session) for row in mine} == {
            (actor.sign_in, held[name].grant, held[name].credentials.access_key)
        }
        assert [row.name for row in mine if row.outcome] == ["DescribeInstances"]
    others = {row.foreign for row in found if row.person is None}
    assert others <= {"OurOwn", "AccountRoot"}, [(row.name, row.foreign, row.kind) for row in found if row.person is None]
    assert "" not in others
    with people.engine.store.read() as connection:
        entries, _ = page(connection, Asked(person=alice.id), limit=50)
    kinds = [entry.kind for entry in entries]
    assert (kinds.count("Call"), kinds.count("Session"), kinds.count("Grant"), kinds.count("SignIn")) == (8, 1, 1, 1)
    # CloudTrail tells whole seconds, so what happened in the second of the sign-in may stand before it.
    [began] = [entry.at // 1000 for entry in entries if entry.kind == "SignIn"]
    assert all(entry.at // 1000 >= began for entry in entries)


def test_the_job_reads_every_region_and_what_was_read_comes_once(people: Estate) -> None:
    alice = people.sign_in("alice", "g-dev")
    issued = people.issue(alice)
    people.client(issued, "ec2").describe_regions()
    reader = trails(people)
    first = reader.read({"connector": str(CONNECTOR)})
    assert first is not None
    assert first["joined"] == 2
    second = reader.read_region(target(people), REGION)
    assert (second.new, second.joined) == (0, 0)


def test_events_join_by_what_the_cloud_tells_alone(people: Estate) -> None:
    """Without our own record of the session, as another installation would read the same trail."""
    from_cloud = people.sign_in("carol", "g-dev")
    issued = people.issue(from_cloud)
    people.client(issued, "ec2").describe_regions()
    with people.engine.store.begin() as connection:
        connection.exec_driver_sql("delete from access_sessions")
    trails(people).read_region(target(people), REGION)
    mine = [row for row in rows(people) if row.person == from_cloud.id]
    assert sorted(row.name for row in mine) == ["AssumeRoleWithWebIdentity", "DescribeRegions"]
    assert {(row.sign_in, row.grant) for row in mine} == {(from_cloud.sign_in, issued.grant)}
