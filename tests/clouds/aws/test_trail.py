"""Files of a trail as S3 lists them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from isthmus.clouds.aws.trail import AwsTrail
from tests.clouds.aws.fake_aws import TARGET, FakeAws, sessions_of


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        (
            {"EncodingType": "url", "Contents": [{"Key": "p/%01+odd%25.json.gz", "Size": 3}, {"Key": "p/a%2Bb", "Size": 4}]},
            ["p/\1 odd%.json.gz", "p/a+b"],
        ),
        ({"Contents": [{"Key": "p/a%2Bb", "Size": 3}]}, ["p/a%2Bb"]),
    ],
)
def test_names_that_xml_cannot_hold_are_asked_for_encoded(answer: dict[str, Any], keys: list[str]) -> None:
    def listed(params: Mapping[str, Any], _region: str) -> Mapping[str, Any]:
        assert params == {"Bucket": "logs", "Prefix": "p/", "StartAfter": "p/0", "EncodingType": "url"}
        return answer

    aws = FakeAws({"s3:ListObjectsV2": listed})
    found = asyncio.run(AwsTrail(sessions_of(aws)).files(TARGET, "us-east-1", "logs", "p/", "p/0"))
    assert [one.key for one in found] == keys
