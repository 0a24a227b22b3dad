"""A scan through the real wire against moto: the same ids as boto3 lists, for every type that moto answers."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from isthmus.clouds.aws.catalog import TYPES, AwsType
from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.scan import AwsScanner
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.wire import Wire
from isthmus.clouds.contract import Gap, Item, Listed, Reading, ScanTarget, Selection
from tests.clouds.aws.emulated import ACCOUNT, HOME, Account, seed, seed_global
from tests.clouds.aws.fake_aws import Tokens
from tests.clouds.aws.moto import moto

pytestmark = pytest.mark.slow

TARGET = ScanTarget(account=ACCOUNT, guid="5f2b7c1e-0000-4000-8000-000000000000", solution="Microsoft.AssetManagement")
REGIONS = ("eu-west-1", "us-east-1")
UNKNOWN_TO_MOTO = {
    "accessAnalyzerAnalyzers",
    "lightsailBuckets",
    "lightsailInstances",
    "macieAllowLists",
    "networkFirewallFirewallPolicies",
    "networkFirewallRuleGroups",
    "ssmInstanceInformations",
}


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    patch = pytest.MonkeyPatch()
    for name, value in {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}.items():
        patch.setenv(name, value)
    with moto() as url:
        made = Account(url)
        seed_global(made)
        for region in REGIONS:
            seed(made, region)
        yield made
    patch.undo()


class Scan:
    """One scan, with what it cost."""

    def __init__(self, url: str) -> None:
        self.readings: list[Reading] = []
        self.wire = Wire(environ={"AWS_ENDPOINT_URL": url}, clock=time.time)
        asyncio.run(self._run())

    async def _run(self) -> None:
        sessions = Sessions(self.wire, Tokens(), Pacer(time.monotonic), time.time)
        async for reading in AwsScanner(sessions).scan(TARGET, Selection(regions=REGIONS)):
            self.readings.append(reading)
        await self.wire.close()

    @property
    def ids(self) -> dict[tuple[str, str], set[str]]:
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for each in self.readings:
            if isinstance(each, Item):
                found[each.cell.type, each.cell.region].add(each.id)
        return found

    def item(self, type_: str, region: str = "eu-west-1") -> Item:
        return next(each for each in self.readings if isinstance(each, Item) and (each.cell.type, each.cell.region) == (type_, region))


@pytest.fixture(scope="module")
def scan(account: Account) -> Scan:
    return Scan(account.url)


def test_every_cell_is_listed(scan: Scan) -> None:
    gaps = [each for each in scan.readings if isinstance(each, Gap) and each.cell.type not in UNKNOWN_TO_MOTO]
    assert gaps == []
    short = {each.cell.type: each.shortfalls for each in scan.readings if isinstance(each, Listed) and each.shortfalls}
    assert short == {}


@pytest.mark.parametrize("entry", [each for each in TYPES.values() if each.arm not in UNKNOWN_TO_MOTO], ids=lambda each: each.arm)
def test_the_ids_are_those_that_boto3_lists(entry: AwsType, scan: Scan, account: Account) -> None:
    for region in ("",) if entry.is_global else REGIONS:
        assert scan.ids[entry.arm, region] == account.ids(entry, region or HOME)


def test_most_types_were_seen_with_resources(scan: Scan) -> None:
    seen = {type_ for type_, _ in scan.ids}
    assert len(seen) >= 70, sorted(set(TYPES) - seen)


def test_items_read_as_azure_documents_them(scan: Scan) -> None:
    instance = next(each for each in scan.readings if isinstance(each, Item) and each.cell.type == "ec2Instances" and each.name == "buoy")
    assert instance.properties["instanceType"] == {"value": "t3.micro"}
    assert instance.tags == {"Name": "buoy"}
    assert scan.item("rdsDBInstances").properties["dbInstanceIdentifier"] == "base"
    assert scan.item("ec2Volumes").properties["size"] in (8, 15)
    role = scan.item("iamRoles", "")
    assert (role.properties["description"], role.tags) == ("a role", {"team": "sea"})
    assert role.properties["assumeRolePolicyDocument"]["Statement"][0]["Action"] == "sts:AssumeRole"
    for type_ in ("sqsQueues", "snsTopics", "dynamoDBTables", "lambdaFunctions", "kmsKeys", "elasticLoadBalancingV2LoadBalancers"):
        assert {"team": "sea"} in [each.tags for each in scan.readings if isinstance(each, Item) and each.cell.type == type_], type_


def test_no_secret_is_stored(scan: Scan) -> None:
    assert "not-stored" not in repr(scan.readings)


def test_a_second_scan_finds_equal_digests(scan: Scan, account: Account) -> None:
    def digests(one: Scan) -> dict[tuple[Any, str], str]:
        return {(each.cell, each.id): each.digest for each in one.readings if isinstance(each, Item)}

    assert digests(Scan(account.url)) == digests(scan)


def test_no_list_is_made_twice(scan: Scan) -> None:
    calls = scan.wire.calls
    assert calls["sts", "AssumeRoleWithWebIdentity", HOME] == 1
    assert calls["ec2", "DescribeRegions", HOME] == 1
    assert calls["iam", "ListUsers", HOME] == 1
    assert calls["s3", "ListBuckets", HOME] == 1
    assert calls["ecs", "ListClusters", "eu-west-1"] == 1
    assert not os.environ.get("AWS_ENDPOINT_URL")
