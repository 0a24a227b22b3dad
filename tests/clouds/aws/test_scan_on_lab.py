"""Inventory end to end in the lab: our token, the template's least-privilege role, and everything that the estate holds."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator

import boto3
import pytest

from isthmus.clouds.aws.catalog import TAGGING, TYPES
from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.scan import AwsScanner
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.template import InventoryAsk, TemplateRequest, authentication_template, template_text
from isthmus.clouds.aws.wire import Wire
from isthmus.clouds.contract import Gap, Item, Listed, Reading, ScanTarget, Selection
from isthmus_lab.estate import Summary, seed
from isthmus_lab.process import LabProcess
from tests.lab.issuer import FakeIssuer
from tests.support.waiting import STACK

pytestmark = pytest.mark.e2e

TARGET = ScanTarget(account="222222222222", guid="aa5f1c9e-4f89-41d3-9a0c-0305e82c3301", solution="Microsoft.AssetManagement")


class Tokens:
    """A TokenSource over the fake issuer."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.issuer = issuer

    def mint(self, *, audience: str, subject: str) -> str:
        return self.issuer.token(aud=audience, sub=subject)


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer("scan.isthmus.test") as fake:
        yield fake


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer) -> Iterator[LabProcess]:
    with LabProcess(tmp_path_factory.mktemp("lab"), port=0) as process:
        process.admin("POST", "/_lab/issuers", issuer.told)
        yield process


@pytest.fixture(scope="module")
def estate(lab: LabProcess, issuer: FakeIssuer) -> Summary:
    ask = InventoryAsk(global_read_only=False)
    wanted = TemplateRequest(account=TARGET.account, guid=TARGET.guid, issuer_url=issuer.url, inventory=ask)
    cloudformation = boto3.client("cloudformation", **lab.client_arguments(TARGET.account, "us-east-1"))
    text = template_text(authentication_template(wanted))
    cloudformation.create_stack(StackName="isthmus", TemplateBody=text, Capabilities=["CAPABILITY_NAMED_IAM"])
    cloudformation.get_waiter("stack_create_complete").wait(StackName="isthmus", WaiterConfig=STACK)
    return seed(lab.url, TARGET.account, machines=6)


Scan = tuple[list[Reading], Counter[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def scan(lab: LabProcess, issuer: FakeIssuer, estate: Summary) -> Scan:
    """What a scan of the estate read, and the calls that it made."""

    async def run() -> Scan:
        wire = Wire(environ={"AWS_ENDPOINT_URL": lab.url}, clock=time.time)
        try:
            scanner = AwsScanner(Sessions(wire, Tokens(issuer), Pacer(time.monotonic), time.time))
            return [reading async for reading in scanner.scan(TARGET, Selection(regions=estate.regions))], wire.calls
        finally:
            await wire.close()

    return asyncio.run(run())


@pytest.fixture
def readings(scan: Scan) -> list[Reading]:
    return scan[0]


def test_the_least_privileged_role_may_read_every_type(readings: list[Reading]) -> None:
    assert [each for each in readings if isinstance(each, Gap)] == []
    assert {each.cell: each.shortfalls for each in readings if isinstance(each, Listed) and each.shortfalls} == {}


def test_everything_that_the_estate_holds_is_found(readings: list[Reading], estate: Summary) -> None:
    found = Counter(
        (each.cell.type, "global" if TYPES[each.cell.type].is_global else each.cell.region) for each in readings if isinstance(each, Item)
    )
    made: Counter[tuple[str, str]] = Counter()
    for (name, region), number in estate.made.items():
        if name in TYPES:
            made[name, "global" if TYPES[name].is_global else region] += number
    assert len(made) > 60
    missing = {key: (found[key], number) for key, number in made.items() if found[key] < number}
    assert missing == {}


def test_calls_stay_near_the_minimum(scan: Scan, estate: Summary) -> None:
    readings, calls = scan
    rows = Counter((each.cell.type, each.cell.region) for each in readings if isinstance(each, Item))
    minimum = 2  # the session and the regions
    tagged = set()
    for entry in TYPES.values():
        for region in ("",) if entry.is_global else estate.regions:
            number = rows[entry.arm, region]
            if entry.parent is None:
                minimum += 1
            elif entry.list and entry.parent.type.arm in TYPES:
                minimum += rows[entry.parent.type.arm, region]
            minimum += sum(math.ceil(number / detail.batch) if detail.batch else 1 for detail in entry.details if number)
            if entry.tags == TAGGING and number:
                tagged.add(region or "us-east-1")
    users = calls["iam", "ListAccessKeys", "us-east-1"]
    minimum += len(tagged) + 2 * users + 2  # keys and devices per user; the users, listed with and without their policies
    assert sum(calls.values()) <= 1.2 * minimum, (minimum, calls.most_common(20))
