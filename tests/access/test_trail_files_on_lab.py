"""Log files that the lab's CloudTrail writes to S3, read with the role and the statements of the template."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.solutions import access, subject
from isthmus.solutions.trail import Trails
from isthmus.store.tables import trail_events, trail_files
from tests.access.estate import ADMIN, CONNECTOR, GUID, Estate, deploy_again

pytestmark = pytest.mark.e2e


def configure(people: Estate, bucket: str) -> None:
    settings = {"trailBucket": bucket, "trailPrefix": "p"}
    made = Resource(
        id=CONNECTOR.extension(subject.CONFIGURATIONS, "access"), properties={"solutionType": access.TYPE, "solutionSettings": settings}
    )
    people.engine.apply(Change(puts=(made,)), ADMIN, "put", "/")


def test_calls_of_people_are_read_from_the_bucket_of_the_trail(people: Estate) -> None:
    bucket = f"trail-{people.account}"
    people.root("s3", "eu-west-1").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    trail = people.root("cloudtrail")
    trail.create_trail(Name="all", S3BucketName=bucket, S3KeyPrefix="p", IsMultiRegionTrail=True)
    trail.start_logging(Name="all")
    configure(people, bucket)
    deploy_again(people, trail_bucket=bucket, trail_prefix="p")
    issued = people.issue(people.sign_in("alice", "g-dev"))
    people.client(issued, "ec2").describe_regions()
    people.lab.admin("POST", "/_lab/trails/deliver")
    # XML cannot hold this name.
    folder = f"p/AWSLogs/{people.account}/CloudTrail/us-east-1/{datetime.now(UTC):%Y/%m/%d}"
    people.root("s3", "eu-west-1").put_object(Bucket=bucket, Key=f"{folder}/a\x01 b+.json", Body=b"x")
    reader = Trails(
        engine=people.engine, lookup=people.lookup, cloud=people.trail, loop=people.loop, issuer_url=people.signer.url, files=people.trail
    )
    # The files alone, as if LookupEvents told nothing.
    target = subject.target_of(people.lookup.find(CONNECTOR), access.TYPE)  # type: ignore[arg-type]
    taken = reader._read_files(target, ["us-east-1", "eu-west-1"], people.lookup.find(CONNECTOR), [])  # type: ignore[arg-type]
    assert taken["files"]["Taken"] >= 1
    assert (taken["files"]["Refused"], taken["files"]["Missing"]) == (0, 0)
    with people.engine.store.read() as connection:
        events = {row.name: row.grant for row in connection.execute(select(trail_events).where(trail_events.c.grant == issued.grant))}
        rows = connection.execute(select(trail_files)).all()
    assert set(events) == {"AssumeRoleWithWebIdentity", "DescribeRegions"}
    assert {(row.bucket, row.account, row.state, row.detail) for row in rows} == {(bucket, people.account, "Taken", "")}
    before = {row.key: row.at for row in rows}
    again = reader.read({"connector": str(CONNECTOR)})
    assert again is not None
    with people.engine.store.read() as connection:
        after = {row.key: row.at for row in connection.execute(select(trail_files))}
    assert {key: after[key] for key in before} == before, "no file is read again"
    assert again["files"]["Taken"] == len(after) - len(before)
    with people.engine.store.read() as connection:
        ids = list(connection.execute(select(trail_events.c.id)).scalars())
    assert len(ids) == len(set(ids)), "files and LookupEvents told the same events"


def test_nothing_else_of_the_bucket_may_be_read(people: Estate) -> None:
    bucket = f"mixed-{people.account}"
    people.root("s3").create_bucket(Bucket=bucket)
    people.root("s3").put_object(Bucket=bucket, Key="p/secrets.json", Body=b"x")
    deploy_again(people, trail_bucket=bucket, trail_prefix="p")
    target = replace(subject.target_of(people.lookup.find(CONNECTOR), access.TYPE), guid=GUID)  # type: ignore[arg-type]
    with pytest.raises(PermissionError):
        people.loop.run(people.trail.fetch(target, "us-east-1", bucket, "p/secrets.json"))
    with pytest.raises(PermissionError):
        people.loop.run(people.trail.files(target, "us-east-1", bucket, "p/", ""))
    assert people.loop.run(people.trail.files(target, "us-east-1", bucket, f"p/AWSLogs/{people.account}/", "")) == []
