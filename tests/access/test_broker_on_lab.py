"""From a sign-in to a call at AWS and to the first denial, against the lab with authorisation on."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from isthmus.access import grants, leaving, revocations
from isthmus.arm.errors import ArmError
from tests.access.estate import ADMIN, CONNECTOR, Estate, claims_of_a_stranger, mapping_id
from tests.support.waiting import LOADED

pytestmark = pytest.mark.e2e


def denied(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def until_denied(call: Any, seconds: float = 10 * LOADED) -> float:
    """After how many seconds the last call began that was allowed."""
    began, last = time.monotonic(), 0.0
    while (asked := time.monotonic() - began) < seconds:
        try:
            call()
        except ClientError:
            return last
        last = asked
        time.sleep(0.02)
    raise AssertionError(f"still allowed after {seconds} s")


def test_a_member_calls_aws_as_themselves_and_no_further_than_the_role(people: Estate) -> None:
    alice = people.sign_in("alice", "g-dev", "g-other")
    issued = people.issue(alice)
    who = people.client(issued, "sts").get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::{people.account}:assumed-role/IsthmusPerson-Reader-aa5f1c9e/alice@example-test.{alice.id}"
    ec2 = people.client(issued, "ec2")
    assert ec2.describe_regions()["Regions"]
    assert denied(ec2.describe_instances) == "UnauthorizedOperation"
    claims = people.signer.minted[-1]
    assert claims["https://aws.amazon.com/source_identity"] == alice.id
    assert claims["https://aws.amazon.com/tags"]["principal_tags"] == {"grant": [issued.grant], "signin": [alice.sign_in]}
    with people.engine.store.read() as connection:
        grant = grants.find(connection, issued.grant)
    assert grant is not None
    assert (grant.person, grant.because, grant.state(people.engine.now())) == (alice.id, "group:g-dev", "Active")
    assert people.issue(alice).grant == issued.grant, "one reason is one grant"


def test_aws_itself_refuses_who_had_no_second_factor(people: Estate) -> None:
    """The broker refuses first; a broker that did not look would meet the trust policy."""
    bob = people.sign_in("bob", "g-dev", amr=["pwd"])
    with pytest.raises(ArmError) as caught:
        people.issue(bob)
    assert (caught.value.code, caught.value.status) == ("SecondFactorNeeded", 403)
    assert people.signer.minted == []
    token = people.signer.mint({**claims_of_a_stranger(people), "amr": ["pwd"]}, 300)
    with pytest.raises(PermissionError, match="AccessDenied"):
        _exchange(people, token)
    assert _exchange(people, people.signer.mint(claims_of_a_stranger(people), 300)).access_key


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"aud": "isthmus:aws:{account}"}, "AccessDenied|InvalidIdentityToken"),
        ({"aud": "isthmus:people:999999999999"}, "InvalidIdentityToken"),
        ({"sub": "svc:Isthmus.Access:{guid}"}, "AccessDenied"),
        ({"https://aws.amazon.com/roles": ["arn:aws:iam::{account}:role/IsthmusPerson-Operator-aa5f1c9e"]}, "InvalidIdentityToken"),
        ({"https://aws.amazon.com/roles": None}, "AccessDenied"),
        ({"https://aws.amazon.com/source_identity": None}, "AccessDenied"),
        ({"https://aws.amazon.com/tags": None}, "AccessDenied"),
        ({"https://aws.amazon.com/tags": {"principal_tags": {"grant": ["X-1"]}}}, "AccessDenied"),
        ({"https://aws.amazon.com/tags": {"principal_tags": {"grant": ["G-1"], "team": ["x"]}}}, "AccessDenied"),
    ],
)
def test_the_account_takes_no_token_but_such_as_the_broker_makes(people: Estate, change: dict[str, Any], told: str) -> None:
    """Confused deputies: another audience, account, subject, role, or a session that nobody could be found by."""
    filled = {name: _filled(value, people.account) for name, value in change.items()}
    with pytest.raises(PermissionError, match=told):
        _exchange(people, people.signer.mint({**claims_of_a_stranger(people), **filled}, 300))


def test_the_lease_ends_the_session_to_the_second_and_nothing_chains_past_it(people: Estate) -> None:
    alice = people.sign_in("alice", "g-dev", seconds=8)
    issued = people.issue(alice)
    ec2, sts = people.client(issued, "ec2"), people.client(issued, "sts")
    assert ec2.describe_regions()["Regions"]
    assert denied(sts.assume_role, RoleArn=issued.mapping.role_arn, RoleSessionName="again") == "AccessDenied"
    left = issued.until / 1000 - time.time()
    assert 0 < left <= 8
    assert until_denied(ec2.describe_regions) <= left + 1.0
    while people.engine.now() < issued.until:
        time.sleep(0.02)
    with pytest.raises(ArmError) as caught:
        people.issue(alice)
    assert (caught.value.code, caught.value.status) == ("SignInNeeded", 401)


def test_offboarding_ends_everything_and_measures_it(people: Estate) -> None:
    alice, bystander = people.sign_in("alice", "g-dev"), people.sign_in("bob", "g-dev")
    hers, his = people.client(people.issue(alice), "ec2"), people.client(people.issue(bystander), "ec2")
    with people.engine.store.begin() as connection:
        id = leaving.offboard(connection, people.engine, alice.id, ADMIN, "left the company")
    with pytest.raises(ArmError) as caught:
        people.issue(alice)
    assert caught.value.code == "AccessRevoked"
    assert people.run_jobs() == 1
    assert denied(hers.describe_regions) == "UnauthorizedOperation"
    assert his.describe_regions()["Regions"], "a bystander is unharmed"
    with people.engine.store.read() as connection:
        found = revocations.find(connection, id)
    assert found is not None
    (denial,) = found.denials
    assert denial.state == "Denied"
    assert denial.connector == CONNECTOR.key
    assert denial.denied_at is not None
    assert found.at <= denial.denied_at <= found.at + 10_000 * LOADED
    again = people.sign_in("alice", "g-dev")
    with pytest.raises(ArmError) as caught:
        people.issue(again)
    assert caught.value.code == "AccessRevoked", "a new sign-in does not lift it"
    with people.engine.store.begin() as connection:
        assert revocations.readmit(connection, people.engine, alice.id, ADMIN) == 1
    assert denied(hers.describe_regions) == "UnauthorizedOperation", "what was taken stays taken"


def test_ending_one_of_two_grants_leaves_the_other_alone(people: Estate) -> None:
    both = people.sign_in("carol", "g-dev")
    first = people.issue(both)
    with people.engine.store.begin() as connection:
        other = grants.Grant(
            id="G-OTHER",
            mapping=mapping_id("Operator").key,
            connector=CONNECTOR.key,
            person=both.id,
            name="carol",
            because="request:r-1",
            began_at=people.engine.now(),
            ends_at=people.engine.now() + 60_000,
            checked_at=people.engine.now(),
        )
        grants.add(connection, other)
    member = people.sign_in("carol", "g-ops", "g-dev")
    second = people.issue(member, "Operator")
    assert second.grant == "G-OTHER"
    one, two = people.client(first, "ec2"), people.client(second, "ec2")
    with people.engine.store.begin() as connection:
        found = grants.find(connection, "G-OTHER")
        assert found is not None
        revocations.end_grants(connection, people.engine, [found], ADMIN, "over")
    assert people.run_jobs() == 1
    assert denied(two.describe_instances) == "UnauthorizedOperation"
    assert one.describe_regions()["Regions"]
    with pytest.raises(ArmError) as caught:
        people.issue(member, "Operator")
    assert caught.value.code == "RequestNeeded"


@pytest.mark.parametrize("taken", ["person", "grant"])
def test_what_is_taken_away_while_sts_answers_is_handed_to_nobody(people: Estate, taken: str) -> None:
    alice = people.sign_in("alice", "g-dev")

    class Late:
        """The cloud, at which somebody takes access away before its answer arrives."""

        async def exchange(self, *arguments: Any, **more: Any) -> Any:
            made = await people.cloud.exchange(*arguments, **more)
            with people.engine.store.begin() as connection:
                if taken == "person":
                    leaving.offboard(connection, people.engine, alice.id, ADMIN, "left")
                else:
                    held = grants.living(connection, alice.id, people.engine.now())
                    revocations.end_grants(connection, people.engine, held, ADMIN, "over")
            return made

    cloud: Any = Late()
    late = replace(people.broker, cloud=cloud)
    with pytest.raises(ArmError) as caught:
        late.issue(late.mapping(str(mapping_id("Reader"))), alice)
    assert caught.value.code == ("AccessRevoked" if taken == "person" else "GrantEnded")


def test_leaving_the_group_is_noticed_at_the_next_mint(people: Estate) -> None:
    before = people.sign_in("dave", "g-dev")
    held = people.client(people.issue(before), "ec2")
    after = people.sign_in("dave")
    with pytest.raises(ArmError) as caught:
        people.issue(after)
    assert caught.value.code == "NotAMember"
    assert people.run_jobs() == 1
    assert denied(held.describe_regions) == "UnauthorizedOperation"


def _filled(value: Any, account: str) -> Any:
    if isinstance(value, list):
        return [_filled(one, account) for one in value]
    return value.replace("{account}", account) if isinstance(value, str) else value


def _exchange(people: Estate, token: str) -> Any:
    mapping = people.broker.mapping(str(mapping_id("Reader")))
    return people.loop.run(people.cloud.exchange(mapping.target, mapping.role, token=token, session_name="mallory", policy="", seconds=900))
