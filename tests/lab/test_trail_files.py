"""Log files of trails, and that the memory of the recorder is bounded."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from isthmus_lab.call import Notes
from isthmus_lab.process import LabProcess
from isthmus_lab.trail.entry import Entry, number_of
from isthmus_lab.trail.parameters import RawRequest, read_parameters
from isthmus_lab.trail.store import Store


def records(s3: Any, bucket: str) -> dict[str, list[dict[str, Any]]]:
    """Events by the key of their file."""
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {
        row["Key"]: json.loads(gzip.decompress(s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read()))["Records"] for row in found
    }


@pytest.mark.e2e
def test_a_trail_that_logs_writes_what_was_recorded_since_the_last_file(client: Callable[..., Any], account: str, lab: LabProcess) -> None:
    s3, trail, bucket = client("s3"), client("cloudtrail"), f"logs-{account}"
    began = time.time()
    s3.create_bucket(Bucket=bucket)
    trail.create_trail(Name="all", S3BucketName=bucket, S3KeyPrefix="p", IsMultiRegionTrail=True)
    client("ec2").create_key_pair(KeyName="too early")
    lab.admin("POST", "/_lab/trails/deliver")
    assert records(s3, bucket) == {}
    trail.start_logging(Name="all")
    client("ec2").create_key_pair(KeyName="east")
    client("ec2", "eu-west-1").create_key_pair(KeyName="west")
    client("iam").list_roles()
    mine = [one for one in lab.admin("POST", "/_lab/trails/deliver")["files"] if account in one["key"]]
    assert [one["error"] for one in mine] == [""] * len(mine)
    files = records(s3, bucket)
    names = {(one["awsRegion"], one["eventName"]) for rows in files.values() for one in rows}
    assert {("us-east-1", "CreateKeyPair"), ("eu-west-1", "CreateKeyPair"), ("us-east-1", "ListRoles")} <= names
    # A day may have ended meanwhile.
    days = "|".join(time.strftime("%Y/%m/%d", time.gmtime(at)) for at in (began, time.time()))
    pattern = (
        rf"p/AWSLogs/{account}/CloudTrail/(us-east-1|eu-west-1)/(?:{days})/{account}_CloudTrail_\1_\d{{8}}T\d{{4}}Z_\w{{16}}\.json\.gz"
    )
    assert all(re.fullmatch(pattern, key) for key in files), list(files)
    client("ec2").delete_key_pair(KeyName="east")
    lab.admin("POST", "/_lab/trails/deliver")
    every = [one["eventID"] for rows in records(s3, bucket).values() for one in rows]
    assert len(every) == len(set(every)), "no event is written twice"
    shown = client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "DeleteKeyPair"}])
    assert shown["Events"][0]["EventId"] in every


@pytest.mark.e2e
def test_a_trail_of_one_region_may_log_to_another_account(client: Callable[..., Any], account: str, lab: LabProcess) -> None:
    archive = boto3.client("s3", **lab.client_arguments("888000111222", "us-east-1"))
    archive.create_bucket(Bucket=f"archive-{account}")
    west = client("cloudtrail", "eu-west-1")
    west.create_trail(Name="west", S3BucketName=f"archive-{account}", IncludeGlobalServiceEvents=False)
    west.start_logging(Name="west")
    client("ec2", "eu-west-1").create_key_pair(KeyName="west")
    client("ec2").create_key_pair(KeyName="east")
    client("iam").list_roles()
    lab.admin("POST", "/_lab/trails/deliver")
    found = [one for rows in records(archive, f"archive-{account}").values() for one in rows]
    assert "CreateKeyPair" in {one["eventName"] for one in found}
    assert {one["awsRegion"] for one in found} == {"eu-west-1"}


def entry(number: int, *, account: str = "1", body: bytes = b"") -> Entry:
    return Entry(
        number=number,
        series=7,
        at=float(number),
        account=account,
        region="r",
        service="ec2",
        action="DescribeVpcs",
        principal=None,
        notes=Notes(),
        request=RawRequest(path="/", query="", body=body),
        source="",
        agent="",
        host="",
        request_id="",
    )


def test_the_oldest_records_go_when_there_are_too_many() -> None:
    store = Store(capacity=3)
    for number in range(1, 6):
        store.add(entry(number, account="1" if number % 2 else "2"))
    assert [one.number for one in store.newest_first("1", "r")] == [5, 3]
    assert [one.number for one in store.newest_first("2", "r")] == [4]
    assert [one.number for one in store.since("1", 3, 0)] == [5]
    assert len(store) == 3


def test_the_oldest_records_go_when_their_bodies_are_too_large() -> None:
    store = Store(bodies=100)
    for number in range(1, 5):
        store.add(entry(number, body=b"x" * 40))
    assert [one.number for one in store.newest_first("1", "r")] == [4, 3]


def test_an_event_id_leads_back_to_its_record() -> None:
    made = entry(123456)
    assert number_of(made.event_id, 7) == 123456
    assert number_of(made.event_id, 8) is None
    assert number_of("no id", 7) is None


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        (
            RawRequest(path="/", query="", body=b"Action=X&Version=1&Tags.member.1.Key=a&Tags.member.1.Value=b&PolicyArns.member.2.arn=d"),
            {"tags": [{"key": "a", "value": "b"}], "policyArns": [{"arn": "d"}]},
        ),
        (RawRequest(path="/", query="", body=b"Action=X&InstanceId.2=b&InstanceId.1=a"), {"instanceId": ["a", "b"]}),
        (RawRequest(path="/", query="", body=b'{"Name": "n", "Password": "p", "Rows": [{"SecretString": "s"}]}'), None),
        (RawRequest(path="/", query="", body=None), {"omitted": True, "reason": "The request is too large."}),
        (RawRequest(path="/", query="", body=b"{broken"), None),
        (RawRequest(path="/", query="Action=X&a.b=1&a=2&a.b.c=3", body=b""), {"a": "2"}),
    ],
)
def test_parameters_are_read_from_raw_requests(request_: RawRequest, shown: dict[str, Any] | None) -> None:
    found = read_parameters("iam", "X", request_)
    if shown is None and found is not None:
        assert "p" not in found.values()
        assert found["rows"] == [{"secretString": "HIDDEN_DUE_TO_SECURITY_REASONS"}]
    else:
        assert found == shown
