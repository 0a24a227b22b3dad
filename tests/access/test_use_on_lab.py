"""Least privilege by use against the lab: what was called stays allowed at the next session, what the role allows besides does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import update

from isthmus.access.use import LATE, TrailUse
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.clouds.aws.usage import load
from isthmus.solutions.trail import Trails
from isthmus.store.tables import trail_marks
from tests.access.estate import ADMIN, CONNECTOR, Estate, deploy_again, mapping_id

pytestmark = pytest.mark.e2e
ALLOWED = ["ec2:Describe*", "ec2:CreateKeyPair", "iam:ListRoles", "iam:ListUsers", "s3:ListAllMyBuckets", "s3:CreateBucket"]


def test_three_actions_used_are_the_next_session_and_others_of_the_role_are_not(people: Estate) -> None:
    properties = {"groups": ["g-dev"], "statements": [{"Effect": "Allow", "Action": ALLOWED, "Resource": ["*"]}], "leastPrivilege": "Apply"}
    people.engine.apply(Change(puts=(Resource(id=mapping_id("Wide"), properties=properties),)), ADMIN, "put", "/")
    deploy_again(people)
    usage = TrailUse(store=people.engine.store, lookup=people.lookup, usage=load(), now=people.engine.now)
    people.broker = replace(people.broker, used=usage)
    alice = people.sign_in("alice", "g-dev")
    first = people.issue(alice, "Wide")
    people.client(first, "ec2").describe_vpcs()
    people.client(first, "iam").list_roles()
    people.client(first, "s3").list_buckets()
    reader = Trails(engine=people.engine, lookup=people.lookup, cloud=people.trail, loop=people.loop, issuer_url=people.signer.url)
    assert reader.read({"connector": str(CONNECTOR)}) is not None
    wide = people.issue(alice, "Wide")
    assert people.client(wide, "ec2").describe_subnets(), "what was done a moment ago may not be known yet"
    with people.engine.store.begin() as connection:
        connection.execute(update(trail_marks).values(read_at=0))
    assert reader.read({"connector": str(CONNECTOR)}) is not None
    with people.engine.store.begin() as connection:  # as if the hour had passed in which everything comes to be known
        connection.execute(update(trail_marks).values(until=people.engine.now() + 3_600_000 + LATE))
    narrow = people.issue(alice, "Wide")
    people.client(narrow, "ec2").describe_vpcs()
    people.client(narrow, "iam").list_roles()
    people.client(narrow, "s3").list_buckets()
    with pytest.raises(ClientError, match="AccessDenied"):
        people.client(narrow, "iam").list_users()
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        people.client(narrow, "ec2").create_key_pair(KeyName="never used")
    with pytest.raises(ClientError, match="AccessDenied"):
        people.client(narrow, "s3").create_bucket(Bucket=f"never-used-{people.account}")
    bob = people.sign_in("bob", "g-dev")
    assert people.client(people.issue(bob, "Wide"), "iam").list_users(), "nobody else is narrowed by what alice used"
