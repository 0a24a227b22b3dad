"""A scan: every cell ends once, failures stay where they happen, nothing is lost, nothing is asked twice."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.clouds.aws.catalog import TYPES, selected
from isthmus.clouds.aws.scan import AwsScanner
from isthmus.clouds.contract import Cell, Gap, Item, Listed, Reading, Selection
from tests.clouds.aws.estate import BUCKETS, CLUSTERS, QUEUES, REGIONS, SERVICES, TABLES, USERS, answers, truth
from tests.clouds.aws.fake_aws import ACCOUNT, TARGET, FakeAws, refuse, sessions_of, unreachable
from tests.support.examples import examples

ALL = Selection(services=SERVICES, regions=REGIONS)


def scan(aws: FakeAws, selection: Selection = ALL, done: Collection[Cell] = ()) -> list[Reading]:
    async def collect() -> list[Reading]:
        return [reading async for reading in AwsScanner(sessions_of(aws)).scan(TARGET, selection, done)]

    return asyncio.run(asyncio.wait_for(collect(), 60))


def cell(type_: str, region: str) -> Cell:
    return Cell(account=ACCOUNT, region=region, type=type_)


def ends(readings: list[Reading]) -> dict[Cell, Gap | Listed]:
    return {each.cell: each for each in readings if not isinstance(each, Item)}


def ids(readings: list[Reading]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in readings:
        if isinstance(each, Item):
            found[each.cell.type, each.cell.region].add(each.id)
    return dict(found)


def expected_cells(selection: Selection = ALL) -> set[Cell]:
    return {
        cell(entry.arm, region)
        for entry in selected(selection.services)
        for region in ([""] if entry.is_global else selection.regions or ())
    }


def failing(*rules: tuple[str, str, Any]) -> Any:
    """A fault by (operation, region or "", error code or transport reason)."""

    def fault(operation: str, region: str) -> Exception | None:
        for name, place, what in rules:
            if operation.startswith(name) and place in ("", region):
                return what(operation, region) if callable(what) else refuse(what, operation, region)
        return None

    return fault


def test_every_cell_is_listed_and_every_item_is_found() -> None:
    readings = scan(FakeAws(answers()))
    assert {each for each, end in ends(readings).items() if isinstance(end, Listed)} == expected_cells()
    assert ids(readings) == truth()
    assert all(
        end.rows == len(truth().get((each.type, each.region), ())) for each, end in ends(readings).items() if isinstance(end, Listed)
    )


def test_items_come_with_details_tags_and_their_own_region() -> None:
    items = {(each.cell.type, each.cell.region, each.id): each for each in scan(FakeAws(answers())) if isinstance(each, Item)}
    queue = items["sqsQueues", "eu-west-1", "q1"]
    assert queue.properties["delaySeconds"] == 7
    assert queue.tags == {"team": "sea"}
    assert queue.arn == f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q1"
    assert items["iamRoles", "", "arn:r1"].tags == {"team": "t1"}
    assert (items["s3Buckets", "", "beta"].region, items["s3Buckets", "", "beta"].cell.region) == ("eu-west-1", "")
    assert items["s3BucketPolicies", "", "beta"].properties["policyDocument"] == {"Statement": [{"Effect": "Deny"}]}
    assert items["iamAccessKeyMetaData", "", "AKIAu0"].properties["status"] == {"value": "Active"}


def test_calls_stay_at_the_minimum() -> None:
    aws = FakeAws(answers())
    scan(aws)
    per_region = 1 + QUEUES + 1 + CLUSTERS + 3 * CLUSTERS + 2 * TABLES  # attributes, clusters, services' lists and batches, tables
    empty = sum(1 for each in selected(["ec2"]) if each.arm != "ec2VPCs") + 1  # and task definitions
    lists = empty + 3 + 2 + 2 + 1  # VPCs, queues, tables in pages; tags
    per_account = 1 + 2 + 2 + 1 + USERS * 3 + 1 + 1 + 1 + 1 + 1 + 1 + len(BUCKETS) * 6 + 1
    minimum = 2 + len(REGIONS) * (per_region - 1 + lists) + per_account
    assert len(aws.calls) <= 1.2 * minimum, Counter(call[0] for call in aws.calls)
    asked = Counter((operation, region, repr(sorted(params.items()))) for operation, region, params in aws.calls)
    assert [call for call, times in asked.items() if times > 1] == []
    assert aws.count("sts:AssumeRoleWithWebIdentity") == 1
    assert aws.count("ec2:DescribeRegions") == 1


def test_details_are_batched_and_unselected_services_are_not_called() -> None:
    aws = FakeAws(answers())
    scan(aws, Selection(services=["ECS"], regions=["eu-west-1"]))
    batches = [len(params["services"]) for operation, _, params in aws.calls if operation == "ecs:DescribeServices"]
    assert sorted(batches) == [3, 3, 3, 10, 10, 10, 10, 10, 10]
    assert {operation.split(":")[0] for operation, _, _ in aws.calls} == {"sts", "ec2", "ecs"}
    assert aws.count("ecs:ListClusters") == 1


def test_a_parent_that_is_done_is_listed_again_for_its_child_but_not_yielded() -> None:
    aws = FakeAws(answers())
    done = expected_cells() - {cell("ecsServices", "eu-west-1")}
    readings = scan(aws, done=done)
    assert set(ends(readings)) == {cell("ecsServices", "eu-west-1")}
    assert ids(readings) == {("ecsServices", "eu-west-1"): truth()["ecsServices", "eu-west-1"]}
    assert (aws.count("ecs:ListClusters"), aws.count("ecs:DescribeClusters")) == (1, 0)


def test_a_scan_that_is_done_calls_nothing() -> None:
    aws = FakeAws(answers())
    assert scan(aws, done=expected_cells()) == []
    assert aws.calls == []


def test_pages_are_handed_over_before_the_list_is_complete() -> None:
    aws = FakeAws(answers(), fault=None)
    pages: list[int] = []

    async def collect() -> None:
        async for reading in AwsScanner(sessions_of(aws)).scan(TARGET, Selection(services=["ec2"], regions=["eu-west-1"])):
            if isinstance(reading, Item):
                pages.append(aws.count("ec2:DescribeVpcs"))

    asyncio.run(collect())
    assert pages[0] < pages[-1] or pages[0] == 1


def test_a_reader_that_stops_early_ends_the_scan() -> None:
    async def collect() -> int:
        stream = AwsScanner(sessions_of(FakeAws(answers()))).scan(TARGET, ALL)
        async for _ in stream:
            break
        await stream.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(collect()) == 1


def test_denied_is_a_gap_that_names_the_action_and_spares_the_rest() -> None:
    message = "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: sqs:ListQueues with an identity-based policy"
    aws = FakeAws(answers(), fault=failing(("sqs:ListQueues", "", lambda o, r: refuse("AccessDenied", o, r, status=403, message=message))))
    found = ends(scan(aws))
    end = found[cell("sqsQueues", "eu-west-1")]
    assert isinstance(end, Gap)
    assert (end.outcome, end.action) == ("denied", "sqs:ListQueues")
    assert sum(isinstance(each, Gap) for each in found.values()) == len(REGIONS)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (lambda o, r: refuse("AccessDenied", o, r, message="... with an explicit deny in a service control policy"), "scp"),
        (lambda o, r: refuse("ThrottlingException", o, r), "throttled"),
        (lambda o, r: refuse("InternalError", o, r, status=500), "error"),
        (lambda o, r: refuse("SubscriptionRequiredException", o, r), "unsupported"),
        (lambda o, r: unreachable("dns", o, r), "unsupported"),
        (lambda o, r: unreachable("timeout", o, r), "error"),
        (lambda o, r: refuse("RepeatedToken", o, r, status=200), "error"),
        (lambda o, r: refuse("ExpiredToken", o, r), "error"),
    ],
)
def test_failures_have_outcomes(fault: Any, outcome: str) -> None:
    end = ends(scan(FakeAws(answers(), fault=failing(("sqs:ListQueues", "eu-west-1", fault)))))[cell("sqsQueues", "eu-west-1")]
    assert isinstance(end, Gap)
    assert end.outcome == outcome
    assert "eu-west-1" in end.reason


def test_a_mistake_in_one_answer_stays_in_its_cell() -> None:
    broken = answers() | {"sqs:ListQueues": lambda p, r: {"QueueUrls": [None, 5]}}
    found = ends(scan(FakeAws(broken)))
    assert [each.type for each, end in found.items() if isinstance(end, Gap)] == ["sqsQueues", "sqsQueues"]


def test_a_failed_parent_is_its_childrens_gap_too() -> None:
    found = ends(scan(FakeAws(answers(), fault=failing(("iam:ListUsers", "", "AccessDenied")))))
    gaps = {each.type: end for each, end in found.items() if isinstance(end, Gap)}
    assert set(gaps) == {"iamAccessKeyMetaData", "iamAccessKeyLastUseds", "iamMFADevices"}
    assert all(end.action == "iam:ListUsers" for end in gaps.values())


def test_one_child_list_that_fails_keeps_the_others_items_and_makes_a_gap() -> None:
    def keys(params: Mapping[str, Any], region: str) -> Mapping[str, Any]:
        if params["UserName"] == "u1":
            raise refuse("AccessDenied", "iam:ListAccessKeys", region)
        return answers()["iam:ListAccessKeys"](params, region)

    aws = FakeAws(answers() | {"iam:ListAccessKeys": keys})
    readings = scan(aws, Selection(services=["iam"], regions=[]))
    assert isinstance(ends(readings)[cell("iamAccessKeyMetaData", "")], Gap)
    assert ids(readings)["iamAccessKeyMetaData", ""] == {"AKIAu0", "AKIAu2"}


def test_a_parent_that_vanished_meanwhile_has_no_rows() -> None:
    fault = failing(("s3:GetBucketPolicy", "", "NoSuchBucketPolicy"))
    readings = scan(FakeAws(answers(), fault=fault), Selection(services=["s3"], regions=[]))
    assert ends(readings)[cell("s3BucketPolicies", "")] == Listed(cell=cell("s3BucketPolicies", ""), rows=0)


def test_a_failed_detail_costs_the_item_nothing_but_the_detail() -> None:
    aws = FakeAws(answers(), fault=failing(("sqs:GetQueueAttributes", "", "AccessDenied")))
    readings = scan(aws, Selection(services=["sqs"], regions=["eu-west-1"]))
    assert ids(readings) == {("sqsQueues", "eu-west-1"): truth()["sqsQueues", "eu-west-1"]}
    assert all(each.partial for each in readings if isinstance(each, Item))
    end = ends(readings)[cell("sqsQueues", "eu-west-1")]
    assert isinstance(end, Listed)
    assert "sqs:GetQueueAttributes" in end.shortfalls[0]
    assert aws.count("sqs:GetQueueAttributes") < QUEUES, "a detail that is always denied is not asked for every row"


def test_denied_tags_leave_items_without_tags_and_say_so() -> None:
    readings = scan(
        FakeAws(answers(), fault=failing(("resourcegroupstaggingapi", "", "AccessDenied"))),
        Selection(services=["sqs"], regions=["eu-west-1"]),
    )
    assert all(each.partial and not each.tags for each in readings if isinstance(each, Item))
    end = ends(readings)[cell("sqsQueues", "eu-west-1")]
    assert isinstance(end, Listed)
    assert "tag:GetResources" in end.shortfalls[0]


@pytest.mark.parametrize(
    ("what", "outcome"),
    [("AuthFailure", "not-opted-in"), (lambda o, r: unreachable("dns", o, r), "error"), (lambda o, r: unreachable("tls", o, r), "error")],
)
def test_a_dead_region_costs_one_call(what: Any, outcome: str) -> None:
    aws = FakeAws(answers(), fault=failing(("", "eu-west-1", what)))
    found = ends(scan(aws, Selection(services=["ec2", "sqs", "ecs"], regions=REGIONS)))
    assert sum(region == "eu-west-1" for _, region, _ in aws.calls) == 1
    assert {end.outcome for each, end in found.items() if isinstance(end, Gap) and each.region == "eu-west-1"} == {outcome}
    assert all(isinstance(end, Listed) for each, end in found.items() if each.region == "us-east-1")


def test_a_service_without_a_host_does_not_close_its_region() -> None:
    aws = FakeAws(answers(), fault=failing(("ecs:", "eu-west-1", lambda o, r: unreachable("dns", o, r))))
    found = ends(scan(aws, Selection(services=["ecs", "dynamodb"], regions=["eu-west-1"])))
    assert isinstance(found[cell("dynamoDBTables", "eu-west-1")], Listed)
    assert isinstance(found[cell("ecsClusters", "eu-west-1")], Gap)


def test_a_closed_region_is_a_gap_only_when_it_was_named() -> None:
    named = ends(scan(FakeAws(answers()), Selection(services=["sqs"], regions=["me-south-1", "eu-west-1", "xx-north-9"])))
    assert {each.region: getattr(end, "outcome", "listed") for each, end in named.items()} == {
        "me-south-1": "not-opted-in",
        "eu-west-1": "listed",
        "xx-north-9": "unsupported",
    }
    every = ends(scan(FakeAws(answers()), Selection(services=["sqs"])))
    assert {each.region for each in every} == set(REGIONS)


def test_regions_that_aws_will_not_tell_are_taken_at_their_word() -> None:
    aws = FakeAws(answers(), fault=failing(("ec2:DescribeRegions", "", "UnauthorizedOperation")))
    assert {each.region for each in ends(scan(aws, Selection(services=["sqs"], regions=["eu-west-1"])))} == {"eu-west-1"}


def test_an_account_that_does_not_trust_us_is_a_gap_everywhere_after_one_call() -> None:
    aws = FakeAws(answers(), fault=failing(("sts:", "", lambda o, r: refuse("AccessDenied", o, r, status=403))))
    found = ends(scan(aws))
    assert set(found) == expected_cells()
    assert {end.outcome for end in found.values() if isinstance(end, Gap)} == {"denied"}
    assert len(aws.calls) == 1


def test_check_says_what_to_do() -> None:
    aws = FakeAws(answers(), fault=failing(("sts:", "", lambda o, r: refuse("InvalidIdentityToken", o, r))))
    with pytest.raises(PermissionError, match=r"IsthmusInventory-5f2b7c1e.*authentication template"):
        asyncio.run(AwsScanner(sessions_of(aws)).check(TARGET))


KINDS = ("fine", "denied", "internal", "throttle", "dns", "timeout", "expired", "auth", "truncated", "malformed")
_OPERATIONS = sorted(
    {name for each in selected(SERVICES) for name in each.operations} | {"ec2:DescribeRegions", "sts:AssumeRoleWithWebIdentity"}
)


def _error(kind: str, operation: str, region: str) -> Exception | None:
    if kind in ("dns", "timeout", "truncated"):
        return unreachable(kind, operation, region)
    codes = {
        "denied": ("AccessDenied", 403),
        "internal": ("InternalError", 500),
        "throttle": ("Throttling", 400),
        "expired": ("ExpiredToken", 400),
        "auth": ("AuthFailure", 401),
        "malformed": ("MalformedAnswer", 200),
    }
    return refuse(codes[kind][0], operation, region, status=codes[kind][1]) if kind in codes else None


@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(_OPERATIONS), st.sampled_from(REGIONS)),
        st.lists(st.sampled_from(KINDS), min_size=1, max_size=9),
        max_size=8,
    ),
    st.sets(st.sampled_from(sorted(expected_cells(), key=repr)), max_size=5),
)
def test_whatever_fails_every_cell_ends_once_and_nothing_is_lost(faults: dict[tuple[str, str], list[str]], done: set[Cell]) -> None:
    left = {key: list(kinds) for key, kinds in faults.items()}

    def fault(operation: str, region: str) -> Exception | None:
        kinds = left.get((operation, region))
        return _error(kinds.pop(0), operation, region) if kinds else None

    readings = scan(FakeAws(answers(), fault=fault), done=done)
    counted = Counter(each.cell for each in readings if not isinstance(each, Item))
    assert counted == dict.fromkeys(expected_cells() - done, 1)
    ended: set[Cell] = set()
    for each in readings:
        assert each.cell not in ended, "nothing comes after the end of a cell"
        assert each.cell not in done
        if not isinstance(each, Item):
            ended.add(each.cell)
    found, true = ids(readings), truth()
    for where, end in ends(readings).items():
        key = (where.type, where.region)
        if isinstance(end, Listed):
            assert found.get(key, set()) == true.get(key, set()), "a listed cell is complete"
        else:
            assert found.get(key, set()) <= true.get(key, set())
            assert end.reason
            assert (end.outcome == "denied") == bool(end.action) or end.outcome == "scp"


def test_the_catalog_covers_what_was_promised() -> None:
    ec2 = "VPCs Subnets SecurityGroups Instances InstanceStatuses AccountAttributes Addresses FlowLogs Images KeyPairs Volumes NetworkAcls"
    ec2 += " NetworkInterfaces RouteTables VPCEndpoints VPCPeeringConnections Snapshots"
    assert {f"ec2{name}" for name in ec2.split()} == {each.arm for each in selected(["ec2"])}
    assert len(TYPES) >= 40
    assert len({each.service for each in TYPES.values()}) >= 18
