"""From a request to a call at AWS and to the end of its grant, against the lab with authorisation on."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from isthmus.access import grants, revocations
from isthmus.access.judging import Request
from isthmus.access.requests import Requests, Wanted
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from tests.access.estate import ADMIN, MAPPINGS, Estate, mapping_id
from tests.access.test_broker_on_lab import denied, until_denied

pytestmark = pytest.mark.e2e


class Desk:
    """Requests over the account; Operator needs two approvals."""

    def __init__(self, people: Estate) -> None:
        self.people, self.broken = people, list[int]()
        self.requests = Requests(engine=people.engine, broker=people.broker, count_glass=lambda: self.broken.append(1))
        operator = {**MAPPINGS["Operator"], "activation": {**MAPPINGS["Operator"]["activation"], "approvals": 2}}
        people.engine.apply(Change(puts=(Resource(id=mapping_id("Operator"), properties=operator),)), ADMIN, "setup", "/")
        self.leads = people.sign_in("lead-1", "g-lead"), people.sign_in("lead-2", "g-lead")

    def ask(self, actor: Actor, seconds: int) -> Request:
        mapping = self.people.broker.mapping(str(mapping_id("Operator")))
        return self.requests.ask(mapping, actor, Wanted(reason="INC-7", seconds=seconds), lambda _scope: False)

    def approved(self, actor: Actor, seconds: int) -> str:
        """A grant, approved by two."""
        asked = self.ask(actor, seconds)
        for lead in self.leads:
            made = self.requests.approve(asked.id, lead, lambda _scope: False)
        return made.grant

    def end(self, id: str) -> None:
        with self.people.engine.store.begin() as connection:
            found = grants.find(connection, id)
            assert found is not None
            assert revocations.end_grants(connection, self.people.engine, [found], ADMIN, "over")


@pytest.fixture
def desk(people: Estate) -> Desk:
    return Desk(people)


def refusal(people: Estate, actor: Actor) -> str:
    with pytest.raises(ArmError) as caught:
        people.issue(actor, "Operator")
    return caught.value.code


def test_a_role_is_taken_after_two_approvals_and_ending_one_of_two_grants_leaves_the_other(people: Estate, desk: Desk) -> None:
    alice = people.sign_in("alice", "g-ops")
    assert refusal(people, alice) == "RequestNeeded"
    asked = desk.ask(alice, 600)
    desk.requests.approve(asked.id, desk.leads[0], lambda _scope: False)
    assert refusal(people, alice) == "RequestNeeded"
    first = desk.requests.approve(asked.id, desk.leads[1], lambda _scope: False).grant
    before = people.issue(alice, "Operator")
    assert before.grant == first
    second = desk.approved(alice, 1_200)
    after = people.issue(alice, "Operator")
    assert after.grant == second
    one, two = people.client(before, "ec2"), people.client(after, "ec2")
    assert one.describe_instances()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert two.describe_instances()["ResponseMetadata"]["HTTPStatusCode"] == 200
    desk.end(second)
    assert people.run_jobs() == 1
    assert denied(two.describe_instances) == "UnauthorizedOperation"
    assert one.describe_instances()["ResponseMetadata"]["HTTPStatusCode"] == 200, "the session of the other grant goes on"
    assert people.issue(alice, "Operator").grant == first
    desk.end(first)
    assert people.run_jobs() == 1
    assert denied(one.describe_instances) == "UnauthorizedOperation"
    assert refusal(people, alice) == "RequestNeeded"


def test_the_session_ends_with_the_grant_to_the_second(people: Estate, desk: Desk) -> None:
    alice = people.sign_in("alice", "g-ops")
    grant = desk.approved(alice, 8)
    issued = people.issue(alice, "Operator")
    with people.engine.store.read() as connection:
        found = grants.find(connection, grant)
    assert found is not None
    assert issued.until == found.ends_at
    ec2, left = people.client(issued, "ec2"), issued.until / 1000 - time.time()
    assert until_denied(ec2.describe_instances) <= left + 1.0
    desk.requests.expire(datetime.now(UTC))
    while people.engine.now() < found.ends_at:
        time.sleep(0.02)
    assert refusal(people, alice) == "RequestNeeded"
    assert found.state(people.engine.now()) == "Expired"
    assert people.run_jobs() == 0, "what ends by itself needs no change of the account"
