"""Lists are followed to their end, at the largest page, and never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clouds.aws.wire import AwsError, Credentials, Wire, names, operation
from isthmus.clouds.aws.wire.paging import Cursor
from tests.clouds.aws.wire import oracle

CREDENTIALS = Credentials(access_key="a", secret_key="s", token=None, expires_at=0)


def follow(name: str, params: Mapping[str, Any], pages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parameters that each of the given pages is asked with."""
    cursor, asked = Cursor(operation(name), params, region="eu-west-1"), []
    for page in pages:
        assert cursor.params is not None
        asked.append(dict(cursor.params))
        cursor.advance(page)
    assert cursor.params is None
    return asked


def test_the_largest_page_is_asked_for() -> None:
    cases: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("ec2:DescribeInstances", {}, {"MaxResults": 1000}),
        ("ec2:DescribeInstances", {"InstanceIds": ["i-1"]}, {"InstanceIds": ["i-1"]}),
        ("ec2:DescribeSnapshots", {"OwnerIds": ["self"]}, {"OwnerIds": ["self"], "MaxResults": 1000}),
        ("ec2:DescribeVolumes", {}, {"MaxResults": 500}),
        ("ec2:DescribeVolumes", {"MaxResults": 5}, {"MaxResults": 5}),
        ("lambda:ListFunctions", {}, {"MaxItems": 50}),
        ("s3:ListBuckets", {}, {"MaxBuckets": 10000}),
        ("sns:ListTopics", {}, {}),
        ("kms:DescribeKey", {"KeyId": "k"}, {"KeyId": "k"}),
        ("sqs:ListQueues", {}, {"MaxResults": 1000}),
    ]
    for name, params, expected in cases:
        assert follow(name, params, [{}]) == [expected]


def test_tokens_are_followed_whatever_they_are_called() -> None:
    assert follow("lambda:ListFunctions", {}, [{"NextMarker": "m"}, {}]) == [{"MaxItems": 50}, {"MaxItems": 50, "Marker": "m"}]
    assert follow("dynamodb:ListTables", {}, [{"LastEvaluatedTableName": "t"}, {}])[1] == {"Limit": 100, "ExclusiveStartTableName": "t"}
    assert follow("wafv2:ListLoggingConfigurations", {"Scope": "REGIONAL"}, [{"NextMarker": "n"}, {}])[1]["NextMarker"] == "n"
    assert follow("lightsail:GetBuckets", {}, [{"nextPageToken": "n"}, {}])[1] == {"pageToken": "n"}
    page = {"DistributionList": {"IsTruncated": True, "NextMarker": "d"}}
    assert follow("cloudfront:ListDistributions", {}, [page, {"DistributionList": {"IsTruncated": False, "NextMarker": "e"}}])[1] == {
        "Marker": "d"
    }


@pytest.mark.parametrize("last", [{}, {"NextToken": ""}, {"NextToken": None}])
def test_an_absent_or_empty_token_ends_and_an_empty_page_does_not(last: dict[str, Any]) -> None:
    asked = follow("ssm:ListCommands", {"InstanceId": "i-1"}, [{"Commands": [], "NextToken": "a"}, last])
    assert asked[1] == {"InstanceId": "i-1", "MaxResults": 50, "NextToken": "a"}


def test_a_flag_of_no_more_outweighs_a_token() -> None:
    assert len(follow("iam:ListRoles", {}, [{"IsTruncated": True, "Marker": "a"}, {"IsTruncated": False, "Marker": "b"}])) == 2


@given(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=12))
def test_a_list_ends_or_names_the_loop(tokens: list[str]) -> None:
    cursor = Cursor(operation("sqs:ListQueues"), {}, region="eu-west-1")
    seen: set[str] = set()
    for token in tokens:
        if token in seen:
            with pytest.raises(AwsError) as caught:
                cursor.advance({"NextToken": token})
            assert caught.value.code == "RepeatedToken"
            assert cursor.params is None
            return
        cursor.advance({"NextToken": token})
        assert cursor.params == {"MaxResults": 1000, "NextToken": token}
        seen.add(token)


def test_every_paginator_of_botocore_is_known() -> None:
    for name in names():
        service = name.partition(":")[0]
        paginators = oracle.session().get_component("data_loader").load_service_model(service, "paginators-1")["pagination"]
        if name.partition(":")[2] in paginators:
            assert operation(name).paging is not None, name


def test_pages_come_from_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[dict[str, Any]] = [{"QueueUrls": ["a"], "NextToken": "t"}, {"NextToken": "u"}, {"QueueUrls": ["b"]}]
    asked: list[Mapping[str, Any]] = []

    async def call(self: Wire, _operation: str, params: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        asked.append(params)
        return answers[len(asked) - 1]

    monkeypatch.setattr(Wire, "call", call)

    async def collect() -> list[dict[str, Any]]:
        wire = Wire(environ={}, clock=lambda: 0.0)
        return [page async for page in wire.pages("sqs:ListQueues", {"QueueNamePrefix": "x"}, region="eu-west-1", credentials=CREDENTIALS)]

    assert asyncio.run(collect()) == answers
    assert [params.get("NextToken") for params in asked] == [None, "t", "u"]
